"""Runs: resumed, repeated, batched, with failures and baselines, on the tiny model."""

import json
import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from recipes.nano.data.sample import Clip, Question, Sample, Writer
from vl3.chat import media_of
from vl3.errors import UserError
from vl3.eval import Item, RunConfig, Task
from vl3.eval.answerers import BlankDecoder, model_examinee, most_frequent, without_pictures
from vl3.eval.log import Log, Reply
from vl3.eval.report import comparison, markdown, read_run
from vl3.eval.run import Progress
from vl3.eval.run import evaluate as evaluate_examinee
from vl3.eval.scorers import score
from vl3.eval.streams import decisions, first_word
from vl3.eval.sums import Result
from vl3.eval.tasks.annotations import jsonl, nano
from vl3.generate import Assistant
from vl3.processing import load_visuals, times_of

COLOURS = ("red", "green", "blue", "red")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Held-out data as nano's renderers write them: pictures, a clip and a stream."""
    pictures = Writer(tmp_path / "data", "scenes")
    lines = []
    for index, colour in enumerate(COLOURS):
        questions = [Question("colour", "Which colour?", f"{colour}."), Question("name", "What is it?", "A square.")]
        lines.append(pictures.line(index, Sample(questions, [Image.new("RGB", (40, 40), colour)])))
    (tmp_path / "data/scenes.jsonl").write_text("\n".join(lines))
    clips = Writer(tmp_path / "data", "clips")
    clip = Clip(np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), dtype=np.uint8))
    lines = [clips.line(0, Sample([Question("when", "When?", "from 0.0 to 1.0 seconds")], clip=clip))]
    lines.append(clips.line(1, Sample([], clip=clip, stream=[(0, "user", "Say when."), (1, "assistant", "Now.")])))
    (tmp_path / "data/clips.jsonl").write_text("\n".join(lines))
    return tmp_path / "data"


def config(out: Path, **changes: Any) -> RunConfig:
    return replace(RunConfig(out=out, model="tiny", options={"max_new_tokens": 6}), **changes)


def evaluate(
    task: Task, assistant: Assistant, config: RunConfig, progress: Progress | None = None, batch_size: int = 8
) -> Result:
    return evaluate_examinee(
        task, model_examinee(assistant, batch_size, config.options), config, progress=progress or Progress()
    )


def test_the_questions_of_nanos_data(folder: Path) -> None:
    task = nano(folder)
    assert [(item.id, item.reported_as, item.truth) for item in task.items[:4]] == [
        ("clips:1.1", "when", "from 0.0 to 1.0 seconds"),
        ("clips:2", "stream", "1.0"),
        ("scenes:1.1", "colour", "red."),
        ("scenes:1.2", "name_scenes", "A square."),
    ]
    assert task.items[2].cluster == task.items[3].cluster != task.items[4].cluster
    assert [item.question for item in task.items[2:4]] == ["Which colour?", "What is it?"]
    assert all(len(item.messages) == 1 for item in task.items if item.kind != "stream")
    stream = task.items[1]
    assert (stream.kind, stream.truth, len(task.items)) == ("stream", "1.0", 10)


def test_a_run_and_its_log(assistant: Assistant, folder: Path, tmp_path: Path) -> None:
    result = evaluate(nano(folder), assistant, config(tmp_path / "run"))
    row = result["rows"]["model"]
    assert {kind: cell["n"] for kind, cell in row.items()} == {
        "colour": 4,
        "name_scenes": 4,
        "stream": 1,
        "when": 1,
        "all": 10,
    }
    assert json.loads((tmp_path / "run/result.json").read_text()) == result
    log = Log(tmp_path / "run/answers/model.jsonl").records
    first = log["clips:1.1"]
    assert first.prompt == (
        "<|im_start|>user\nTime 0.0s:<image>,Time 1.0s:<image>\nWhen?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert log["scenes:1.1"].visual_tokens > 0
    stream = log["clips:2"]
    assert stream.frames_s == [[0.0, 1.0]] and stream.prompt.count("<image>") == 2 and "Say when." in stream.prompt
    messages = nano(folder).items[2].messages
    assert log["scenes:1.1"].answer == assistant.chat(messages, max_new_tokens=6).text


def test_a_stream_is_scored_by_when_the_model_first_speaks(assistant: Assistant, folder: Path) -> None:
    """The one pass over the clip decides as a pass over each beginning of it does."""
    [item] = [item for item in nano(folder).items if item.kind == "stream"]
    part = {**item.messages[-1]["content"][0], "fps": 4}
    item = replace(item, messages=[*item.messages[:-1], {"role": "stream", "content": [part]}])
    seen: list[bool] = []
    for frames in range(1, 9):
        short = [*item.messages[:-1], {"role": "stream", "content": [{**part, "end_s": frames / 4}]}]
        visuals, infos = load_visuals(media_of(short), assistant.processor.config, assistant.decoder)
        inputs = assistant.processor.inputs(short, visuals, times_of(infos), add_generation_prompt=False)
        seen.append(decisions(assistant, inputs)[-1])
        assert len(infos[0].times_s) == frames
    reply = first_word(assistant, item, {})
    due = next((frames / 4 for frames, speaks in enumerate(seen, 1) if speaks), 2.0)
    assert reply.text == f"{due:.1f}" and reply.visual_tokens > 0
    assert [score(item, answer).score for answer in ("0.0", "2.0", "2.1", "", "1.0 or 2.0")] == [1, 1, 0, 0, 0]


class KilledError(Exception):
    pass


def test_killed_and_resumed_in_any_batches_the_result_is_the_same(
    assistant: Assistant, folder: Path, tmp_path: Path
) -> None:
    task = nano(folder)
    baselines = ("no-picture", "most-frequent")
    evaluate(task, assistant, config(tmp_path / "whole", baselines=baselines), batch_size=1)
    told: list[str] = []

    def advance() -> None:
        told.append("")
        if len(told) in (2, 5, 12):
            raise KilledError

    for batch_size in (3, 2, 8):
        with pytest.raises(KilledError):
            evaluate(
                task,
                assistant,
                config(tmp_path / "parts", baselines=baselines),
                progress=Progress(advance=advance),
                batch_size=batch_size,
            )
        with (tmp_path / "parts/answers/model.jsonl").open("a") as log:
            log.write('{"id": "clips:1.1", "ki')
    done = len(told)
    evaluate(task, assistant, config(tmp_path / "parts", baselines=baselines), progress=Progress(advance=advance))
    assert done == 12 and len(told) == 10 + 10 + 10, "no question is asked twice"
    assert (tmp_path / "whole/result.json").read_bytes() == (tmp_path / "parts/result.json").read_bytes()
    before = (tmp_path / "whole/answers/model.jsonl").read_bytes()
    evaluate(task, assistant, config(tmp_path / "whole", baselines=baselines))
    assert (tmp_path / "whole/answers/model.jsonl").read_bytes() == before


def test_a_run_of_other_settings_is_refused(assistant: Assistant, folder: Path, tmp_path: Path) -> None:
    evaluate(nano(folder), assistant, config(tmp_path / "run"))
    with pytest.raises(UserError, match=r"other settings \(options\)"):
        evaluate(nano(folder), assistant, config(tmp_path / "run", options={"max_new_tokens": 7}))
    with pytest.raises(UserError, match="questions_digest"):
        evaluate(jsonl([folder / "scenes.jsonl"], "nano"), assistant, config(tmp_path / "run"))
    evaluate(nano(folder), assistant, config(tmp_path / "run", baselines=("most-frequent",)), batch_size=2)


def test_a_failure_is_named_and_asked_again(assistant: Assistant, folder: Path, tmp_path: Path) -> None:
    picture = folder / "media/scenes/000001.jpg"
    content = picture.read_bytes()
    picture.unlink()
    result = evaluate(nano(folder), assistant, config(tmp_path / "run"))
    assert [failure["id"] for failure in result["failed"]] == ["scenes:2.1", "scenes:2.2"]
    assert "000001.jpg" in result["failed"][0]["error"]
    assert result["rows"]["model"]["colour"]["n"] == 3 and result["rows"]["model"]["colour"]["failed"] == 1
    picture.write_bytes(content)
    result = evaluate(nano(folder), assistant, config(tmp_path / "run"))
    assert result["failed"] == [] and result["rows"]["model"]["all"]["n"] == 10


def test_a_limit_draws_questions_of_each_kind_by_the_seed(folder: Path) -> None:
    task = nano(folder)
    few = task.limited(2, 0)
    assert [item.kind for item in few.items].count("colour") == 2 and len(few.items) == 6
    assert few.digest() == task.limited(2, 0).digest()
    assert len({tuple(item.id for item in task.limited(2, seed).items) for seed in range(8)}) > 1


def test_without_pictures_only_their_content_is_lost(assistant: Assistant, folder: Path) -> None:
    items = nano(folder).items
    blank = without_pictures(assistant)
    shown, hidden = (a.chat(items[0].messages, max_new_tokens=1, prune="off") for a in (assistant, blank))
    assert shown.num_visual_tokens == hidden.num_visual_tokens and shown.frame_times_s == hidden.frame_times_s
    answers = {blank.chat(item.messages, max_new_tokens=6).text for item in items if item.kind == "colour"}
    assert len(answers) == 1, "red, green and blue look alike"
    assert len({assistant.chat(item.messages, max_new_tokens=6).text for item in items if item.kind == "colour"}) == 3
    assert isinstance(blank.decoder, BlankDecoder)
    blank.close()


def asked(kind: str, question: str, truth: str, cluster: str) -> Item:
    return Item(f"{cluster} {question}", kind, [{"role": "user", "content": question}], truth, cluster)


def said(known: list[Item], items: list[Item], own: bool) -> list[str]:
    replies: list[str] = []

    def told(_item: Item, reply: Reply | UserError) -> None:
        replies.append(str(reply) if isinstance(reply, UserError) else reply.text)

    most_frequent(known, own)(items, told)
    return replies


def test_the_most_frequent_answer_of_training_data() -> None:
    known = [asked("colour", "Roof?", truth, str(i)) for i, truth in enumerate(("red", "red", "blue"))]
    known += [asked("colour", "Sky?", "blue", str(i)) for i in range(3)]
    items = [asked("colour", q, "?", "x") for q in ("Roof?", "Sky?", "Door?")] + [asked("count", "Dogs?", "2", "x")]
    answers = said(known, items, own=False)
    assert answers[:3] == ["red", "blue", "blue"] and "no question of kind count" in answers[3]


def test_the_most_frequent_answer_of_the_questions_themselves() -> None:
    rare = [asked("colour", f"Number {i}?", f"colour {i % 3 or 'most'}", str(i)) for i in range(19)]
    often = [asked("colour", "Sky?", "blue", f"sky {i}") for i in range(20)]
    assert said(rare + often, [rare[1], often[0]], own=True) == ["blue", "blue"]
    assert set(said(rare, rare, own=True)) == {"colour most"}, "a wording asked once does not give its answer away"


def test_a_report_and_a_paired_comparison(assistant: Assistant, tmp_path: Path) -> None:
    items = [asked("colour", f"Is {i} even?", "yes", str(i)) for i in range(12)]
    for name, wrong in (("first", {0, 1, 2, 3}), ("second", {0})):

        def judge(item: Item, answer: str, wrong: set[int] = wrong) -> Any:
            return score(item, "no" if int(item.cluster) in wrong else "yes") if answer is not None else None

        evaluate(Task("even", items, judge), assistant, config(tmp_path / name, options={"max_new_tokens": 1}))
    runs = [read_run(tmp_path / name) for name in ("first", "second")]
    table = markdown(runs)
    assert "| kind | n | first | second |" in table and "| colour | 12 | 66.7 (" in table
    compared = comparison(*runs)
    assert "second minus first" in compared and "| colour | 12 | +25.0 |" in compared and "| 3 differ |" in compared
    assert comparison(runs[0], runs[0]).count("| equal |") == 2
    with pytest.raises(UserError, match="no such folder"):
        read_run(tmp_path / "none")
    result = tmp_path / "first/result.json"
    result.unlink()
    with pytest.raises(UserError, match="all 12 answers are here, but not summed up"):
        read_run(tmp_path / "first")
    log = tmp_path / "first/answers/model.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:5]))
    with pytest.raises(UserError, match="not finished, 5 of 12 questions are answered"):
        read_run(tmp_path / "first")
    for content in ("{}", "[]", "null", '{"settings": {}, "rows": {}}'):
        result.write_text(content)
        with pytest.raises(UserError, match="not the result of a run"):
            read_run(tmp_path / "first")
    with pytest.raises(UserError, match="holds no run"):
        read_run(tmp_path)


def test_what_cannot_be_written_or_read_is_one_line(assistant: Assistant, tmp_path: Path) -> None:
    task = Task("even", [asked("colour", f"Is {i} even?", "yes", str(i)) for i in range(3)], score)
    short: Any = {"max_new_tokens": 1}
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file/below", Path("/proc/none")):
        with pytest.raises(UserError, match=r"settings\.json: cannot be written"):
            evaluate(task, assistant, config(out, options=short))
    run = tmp_path / "run"
    evaluate(task, assistant, config(tmp_path / "whole", options=short))
    size = (tmp_path / "whole/answers/model.jsonl").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - 20, before[1]))  # as a disk that is full in the last line
    try:
        with pytest.raises(UserError, match=r"model\.jsonl: cannot be written: File too large"):
            evaluate(task, assistant, config(run, options=short))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    evaluate(task, assistant, config(run, options=short))
    assert (run / "result.json").read_bytes() == (tmp_path / "whole/result.json").read_bytes()
    for content in ("[]", "null", "{"):
        (run / "settings.json").write_text(content)
        with pytest.raises(UserError, match=r"settings\.json: not "):
            evaluate(task, assistant, config(run, options=short))


def test_lines_of_any_text(tmp_path: Path) -> None:
    """Separators of Unicode inside a text, blank lines and a byte order mark; other encodings and endless nesting."""
    line = {"conversations": [{"from": "human", "value": "Hi\u2028there?"}, {"from": "gpt", "value": "\x85yes"}]}
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + f"\n{json.dumps(line, ensure_ascii=False)}\n\n".encode())
    assert [item.question for item in jsonl([file]).items] == ["Hi\u2028there?"]
    for content in (b"\xff\xfe", b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}", "{'é'}".encode("latin-1")):
        file.write_bytes(content)
        with pytest.raises(UserError, match=r"a\.jsonl:1: not valid JSON"):
            jsonl([file])
    file.write_text(json.dumps({**line, "kinds": ["stream"]}))
    with pytest.raises(UserError, match="the kind `stream` is for samples"):
        jsonl([file])
    for kinds in ("x", [1], {"a": 1}):
        file.write_text(json.dumps({**line, "kinds": kinds}))
        with pytest.raises(UserError, match="`kinds` must be a list of names"):
            jsonl([file])


def test_annotations_that_cannot_be_asked(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"conversations": [{"from": "human", "value": "Hi?"}, {"from": "gpt", "value": "Yes"}]}\nnonsense')
    with pytest.raises(UserError, match=r"bad\.jsonl:2: not valid JSON"):
        jsonl([bad])
    line = {"conversations": [{"from": "human", "value": "Hi?"}, {"from": "gpt", "value": "Yes"}], "kinds": ["a", "b"]}
    bad.write_text(json.dumps(line))
    with pytest.raises(UserError, match="1 questions, but `kinds` names 2"):
        jsonl([bad])
    with pytest.raises(UserError, match="no such file"):
        jsonl([tmp_path / "none.jsonl"])


def test_kinds_of_ones_own(tmp_path: Path) -> None:
    """Multiple choice, ANLS, patterns and judged answers in one file."""
    asked_for = [
        ("choice", "Which?\nA. a dog\nB. a cat", "B", "(B) because", "a dog"),
        ("choice", "Which?\n(A) a dog\n(B) a cat", "a dog.", "A", "B"),
        ("anls", "Read.", "invoice 12", "Invoice 12", "nothing like it"),
        ("regex", "When?", r"\\b19\\d\\d\\b", "In 1984.", "In 2084."),
        ("judge", "What?", "a dog", "A dog!", "a canine"),
    ]
    lines = [
        f'{{"conversations": [{{"from": "human", "value": {json.dumps(question)}}}, '
        f'{{"from": "gpt", "value": "{truth}"}}], "kinds": ["{kind}"]}}'
        for kind, question, truth, _, _ in asked_for
    ]
    (tmp_path / "own.jsonl").write_text("\n".join(lines))
    task = jsonl([tmp_path / "own.jsonl"])
    for item, (kind, _, _, right, wrong) in zip(task.items, asked_for, strict=True):
        assert (task.score(item, right).score, task.score(item, wrong).score) == (1, 0), item
        assert (task.judged(item, wrong) is not None) == (kind == "judge") and task.judged(item, right) is None
    (tmp_path / "own.jsonl").write_text(lines[0].replace('"B"', '"C"'))
    with pytest.raises(UserError, match="none of the options"):
        jsonl([tmp_path / "own.jsonl"])
    (tmp_path / "own.jsonl").write_text(lines[3].replace(asked_for[3][2], "("))
    with pytest.raises(UserError, match="not a regular expression"):
        jsonl([tmp_path / "own.jsonl"])
