# ruff: noqa: E501, RUF001 (answers in one piece)
"""Our measures beside lmms-eval's own functions on the same answers, and the model plug-in inside that package.

Skipped where lmms-eval is not installed; it wants an environment of its own (docs/evaluation.md).
"""

import json
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vl3.chat import media_of
from vl3.errors import UserError
from vl3.eval.choices import choice
from vl3.eval.measures import anls, open_answer, relaxed, same, says, yes_no
from vl3.eval.task import Item

pytest.importorskip("lmms_eval")


def item(truth: str | list[str], **more: Any) -> Item:
    return Item("1", "k", [{"role": "user", "content": "?"}], truth, "c", **more)


def answers(truths: list[str], seed: int) -> list[tuple[str, str]]:
    """200 pairs (answer, truth): right, nearly right, wrong, empty and hostile ones."""
    rng = random.Random(seed)
    odd = [
        "",
        " ",
        ".",
        "%",
        "nan",
        "inf",
        "-",
        "1e999",
        "0",
        "0%",
        "é",
        "\n",
        "a\nb",
        "None",
        "１２",
        "12 %",
        "1,200",
        "0x10",
    ]
    pairs = []
    for _ in range(200):
        truth = rng.choice(truths)
        said = rng.choice([truth, truth.upper(), f" {truth}", f"{truth}.", truth[:-1], truth + "x", *odd])
        if rng.random() < 0.3 and said:
            place = rng.randrange(len(said))
            said = said[:place] + rng.choice("abc123. ") + said[place + 1 :]
        pairs.append((said, truth))
    return pairs


NUMBERS = ["14", "0.57", "3%", "-5", "1200", "Yes", "new york", "2.5", "100%", "0"]
WORDS = ["university of california", "0.28", "12/05/1999", "A", "itc", "Straße", "$ 2,000"]


def test_relaxed_accuracy() -> None:
    from lmms_eval.tasks.chartqa.utils import relaxed_correctness

    for said, truth in answers(NUMBERS, 0):
        theirs = relaxed_correctness(said.strip(), truth)
        assert relaxed(item(truth), said).score == float(theirs), (said, truth)


def test_anls() -> None:
    from lmms_eval.api.metrics import anls as theirs

    for said, truth in answers(WORDS, 1):
        if " ".join(said.split()) != said:
            continue  # theirs divides by the length before spaces are tidied
        expected = theirs([truth, "other"], [said])["anls"]
        assert anls(item([truth, "other"]), said).score == pytest.approx(expected), (said, truth)


def test_ocrbench() -> None:
    from lmms_eval.tasks.ocrbench.utils import ocrbench_process_results

    for said, truth in answers([*WORDS, "x ^ { 2 }", "ＡＢＣ"], 2):
        for dataset in ("IIIT5K", "HME100k"):
            doc = {"answer": [truth], "dataset": dataset, "question_type": "x"}
            theirs = ocrbench_process_results(doc, [said])["ocrbench_accuracy"]["score"]
            ours = says(item(truth, facts={"spaces": dataset != "HME100k"}), said).score
            assert ours == theirs, (said, truth, dataset)


def test_mmmus_open_answers() -> None:
    from lmms_eval.tasks.mmmu.utils import eval_open, parse_open_response

    wordings = [
        "{}",
        "The answer is {}",
        "so it is {}.",
        "x = {}",
        "could be {}\nfinal {}",
        "Thus {} or 3",
        "{} units",
        "1,{}",
    ]
    rng = random.Random(3)
    for said, truth in answers([*NUMBERS, "24/7", "a", "Hooke's law"], 3):
        answer = rng.choice(wordings).replace("{}", said)
        theirs = eval_open([truth], parse_open_response(answer))
        assert open_answer(item([truth]), answer).score == float(theirs), (answer, truth)


def test_gqas_exact_match() -> None:
    import string

    table = str.maketrans("", "", string.punctuation)
    for said, truth in answers(["no", "woman", "t-shirt", "light blue"], 4):
        theirs = said.lower().translate(table) == truth.lower().translate(table)  # what its exact_match does
        if said == said.strip():
            assert same(item(truth), said).score == float(theirs), (said, truth)


def test_mmes_yes_and_no_where_theirs_reads_a_whole_word() -> None:
    from lmms_eval.tasks.mme.utils import parse_pred_ans

    for said in ("Yes", "no", "Yes.", "NO.", "yes, it is", "No, it is not", "y", "N", "", "maybe", "Yes\n", "no way"):
        theirs = parse_pred_ans(said)
        for truth in ("yes", "no"):
            assert yes_no(item(truth), said).score == float(theirs == truth), (said, truth)


def test_letters_where_theirs_does_not_guess() -> None:
    """200 answers that name one option; theirs takes an article for option A, ours does not."""
    from lmms_eval.tasks._task_utils.mcq_extract import extract_mcq_answer

    shapes = ["{}", "({})", "{}.", "{}. because", "The answer is {}.", "Answer: {}", "The correct option is ({})", "I choose {}",
              "{}) so", "\n{}\n"]  # fmt: skip
    rng = random.Random(5)
    options = {letter: f"thing {number}" for number, letter in enumerate("ABCD")}
    for _ in range(200):
        said = rng.choice(shapes).replace("{}", rng.choice("ABCD"))
        assert choice(said, options) == extract_mcq_answer(said, ["A", "B", "C", "D"]), said


# ------------------------------------------------------------------------------------------------------ the plug-in


def test_every_medium_is_passed_on() -> None:
    from PIL import Image

    from vl3.eval.lmms_plugin import converted, generation_options

    picture = Image.new("RGBA", (8, 8), "red")
    given = [
        {"role": "user", "content": [
            {"type": "image", "url": picture},
            {"type": "text", "text": "and"},
            {"type": "video", "url": "b.mp4", "start_time": 1.0, "end_time": 2.5},
            {"type": "text", "text": "What?"}]},
    ]  # fmt: skip
    messages = converted(given)
    first, second = media_of(messages)
    assert first.source.mode == "RGB" and (second.source, second.options) == ("b.mp4", {"start_s": 1.0, "end_s": 2.5})
    part = {"type": "video", "path": "b.mp4", "video_start": 3.0, "video_end": 4.0}
    [found] = media_of(converted([{"role": "user", "content": [{"type": "video", "url": part}]}]))
    assert (found.source, found.options) == ("b.mp4", {"start_s": 3.0, "end_s": 4.0})
    assert converted([{"role": "system", "content": "Be brief."}]) == [{"role": "system", "content": "Be brief."}]
    with pytest.raises(UserError, match="audio, which vl3 does not take"):
        converted([{"role": "user", "content": [{"type": "audio", "url": "c.wav"}]}])
    with pytest.raises(UserError, match="empty video"):
        converted([{"role": "user", "content": [{"type": "video", "url": None}]}])
    assert generation_options({"max_new_tokens": 16, "until": ["\n\n"], "temperature": 0.5}) == {
        "max_new_tokens": 16, "stop": ["\n\n"],
    }  # fmt: skip


def test_the_package_finds_and_asks_it(tmp_path: Path) -> None:
    from lmms_eval.models.registry_v2 import ModelRegistryV2
    from PIL import Image

    from vl3.eval.lmms_plugin import MANIFEST, Vl3, generation_options
    from vl3.generate import load
    from vl3.weights.demo import save_demo_model

    registry = ModelRegistryV2()
    registry.register_manifest(MANIFEST)
    assert registry.get_model_class("vl3") is Vl3
    save_demo_model(tmp_path / "model")
    model = Vl3(pretrained=str(tmp_path / "model"), batch_size=2, max_tokens=64)
    docs = [
        {"image": Image.new("RGB", (40, 40), colour), "question": f"{colour}?"} for colour in ("red", "blue", "green")
    ]
    model.task_dict = {"t": {"test": docs}}

    def to_messages(doc: dict[str, Any]) -> list[dict[str, Any]]:
        content = [{"type": "image", "url": doc["image"]}, {"type": "text", "text": doc["question"]}]
        return [{"role": "user", "content": content}]

    requests = [
        SimpleNamespace(args=("", to_messages, {"max_new_tokens": 4 + n % 2}, n, "t", "test")) for n in range(3)
    ]
    found = model.generate_until(requests)
    plain = load(tmp_path / "model")
    expected = [
        plain.ask(doc["image"], doc["question"], max_new_tokens=4 + n % 2, max_tokens=64).text
        for n, doc in enumerate(docs)
    ]
    assert found == expected
    with pytest.raises(UserError, match="batch_size auto"):
        Vl3(pretrained=str(tmp_path / "model"), batch_size="auto")
    with pytest.raises(UserError, match="5 beams"):
        generation_options({"num_beams": 5})
    with pytest.raises(UserError, match="nonsense"):
        Vl3(pretrained=str(tmp_path / "model"), nonsense=1)
    model.assistant.close()
    plain.close()


TASK = """
dataset_path: json
dataset_kwargs:
  data_files: {{test: {folder}/docs.json}}
task: vl3_probe
test_split: test
output_type: generate_until
doc_to_visual: !function probe.visuals
doc_to_text: !function probe.text
doc_to_target: answer
generation_kwargs: {{max_new_tokens: 4, until: []}}
process_results: !function probe.results
metric_list:
- {{metric: said, aggregation: mean, higher_is_better: true}}
"""
PROBE = """
from PIL import Image


def visuals(doc):
    pictures = [Image.open(path).convert("RGB") for path in doc["images"]]
    return [*pictures, *doc["videos"]]


def text(doc, lmms_eval_specific_kwargs=None):
    return doc["question"]


def results(doc, results):
    return {"said": float(results[0] == doc["answer"])}
"""


@pytest.mark.slow
def test_a_task_of_that_package_from_its_command_line(tmp_path: Path) -> None:
    """No picture, one, several, a video, a video beside pictures: the answers are those of the Python API."""
    from PIL import Image

    from tests.media.clips import write_clip
    from vl3.generate import load
    from vl3.weights.demo import save_demo_model

    save_demo_model(tmp_path / "model")
    for colour in ("red", "blue"):
        Image.new("RGB", (60, 40), colour).save(tmp_path / f"{colour}.png")
    write_clip(tmp_path / "clip.mp4", [250 * number for number in range(12)], size=(32, 64))
    images, videos = [str(tmp_path / f"{colour}.png") for colour in ("red", "blue")], [str(tmp_path / "clip.mp4")]
    plain = load(tmp_path / "model")
    docs = []
    for pictures, clips in (([], []), (images[:1], []), (images, []), ([], videos), (images, videos)):
        question = f"{len(pictures)} {len(clips)}?"
        parts = [
            *({"type": "image", "image": path} for path in pictures),
            *({"type": "video", "video": path} for path in clips),
        ]
        content = [*parts, {"type": "text", "text": question}]
        answer = plain.chat([{"role": "user", "content": content}], max_new_tokens=4, max_tokens=64, max_frames=3).text
        docs.append({"images": pictures, "videos": clips, "question": question, "answer": answer})
    plain.close()
    assert len({doc["answer"] for doc in docs}) > 1, "media change what is said"
    (tmp_path / "tasks").mkdir()
    (tmp_path / "docs.json").write_text(json.dumps(docs))
    (tmp_path / "tasks/probe.py").write_text(PROBE)
    (tmp_path / "tasks/probe.yaml").write_text(TASK.format(folder=tmp_path))
    command = [sys.executable, "-m", "lmms_eval", "--model", "vl3", "--tasks", "vl3_probe", "--batch_size", "2"]
    command += ["--model_args", f"pretrained={tmp_path / 'model'},max_tokens=64,max_frames=3"]
    command += ["--include_path", str(tmp_path / "tasks"), "--output_path", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    [path] = (tmp_path / "out").rglob("*results.json")
    assert json.loads(path.read_text())["results"]["vl3_probe"]["said,none"] == 1
