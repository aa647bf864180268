# ruff: noqa: E501 (published texts in one piece)
"""Every published benchmark on a miniature in exactly its format: what is asked, what is right, what is missing."""

import io
import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from tests.eval.miniatures import MINIATURES
from tests.tiny import tiny_checkpoint
from vl3.chat import media_of
from vl3.errors import UserError
from vl3.eval import RunConfig, Task
from vl3.eval.answerers import model_examinee
from vl3.eval.benchmark import check, fetch, load
from vl3.eval.run import evaluate
from vl3.eval.task import Item, media_files
from vl3.eval.tasks.catalogue import BENCHMARKS
from vl3.eval.tasks.longvideobench import interleaved
from vl3.eval.tasks.mme import points
from vl3.eval.tasks.videomme import read_srt
from vl3.generate import Assistant
from vl3.media import Decoder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {}
    for name, make in MINIATURES.items():
        made[name] = tmp_path_factory.mktemp(name)
        make(made[name])
    return made


def task_of(name: str, folders: dict[str, Path]) -> Task:
    return load(BENCHMARKS[name], folders[name], BENCHMARKS[name].options)


def prompt(item: Item) -> str:
    """The question as one text, media as <image> and <video>."""
    [message] = item.messages
    return "".join(part["text"] if part["type"] == "text" else f"<{part['type']}>" for part in message["content"])


def test_every_benchmark_has_a_miniature() -> None:
    assert MINIATURES.keys() == BENCHMARKS.keys()
    assert all(benchmark.source.startswith("https://") for benchmark in BENCHMARKS.values())
    assert all(need.source.startswith("https://") for b in BENCHMARKS.values() for need in b.needs)


@pytest.mark.parametrize("name", MINIATURES)
def test_its_truth_is_right_and_nonsense_is_wrong(name: str, folders: dict[str, Path]) -> None:
    task = task_of(name, folders)
    assert task.items
    for item in task.items:
        assert all(Path(path).exists() for path in media_files(item.messages))
        assert task.score(item, "").score == 0 == task.score(item, "I am sorry, that cannot be seen.").score
        for truth in item.truths:
            if item.kind == "captioning":
                continue
            right = {
                "mathvista": truth,
                "charades_sta": f"from {truth.replace(' ', ' to ')} seconds",
            }.get(name, f"({truth})" if item.choices else truth)
            assert task.score(item, right).score == pytest.approx(1), (item, right)
            wrong = next((letter for letter in item.choices if letter not in item.truths), "nothing")
            if name != "mathvista":
                assert task.score(item, wrong).score == 0


@pytest.mark.parametrize("name", MINIATURES)
def test_prepare_finds_it_complete_and_names_what_is_gone(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    benchmark = BENCHMARKS[name]
    found = check(benchmark, folders[name])
    assert found.missing == [] and found.questions == len(task_of(name, folders).items)
    for number, need in enumerate(benchmark.needs):
        copy = tmp_path / str(number)
        shutil.copytree(folders[name], copy)
        for path in need.found(copy):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        [sentence] = check(benchmark, copy).missing
        assert need.what in sentence and need.source in sentence
        with pytest.raises(UserError, match=r"vl3 eval prepare"):
            load(benchmark, copy, benchmark.options)


@pytest.mark.parametrize("name", MINIATURES)
def test_the_tiny_model_runs_it(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    assistant = Assistant(tiny_checkpoint(), Decoder())
    options = {**BENCHMARKS[name].options, "max_new_tokens": 2, "max_tokens": 64}
    config = RunConfig(out=tmp_path / "run", model="tiny", options=options, limit=1)
    result = evaluate(task_of(name, folders), model_examinee(assistant, 4, options), config)
    assistant.close()
    assert result["failed"] == [] and json.loads((tmp_path / "run/result.json").read_text()) == result


PROMPTS = {
    "chartqa": "<image>How many?\nAnswer the question using a single word or phrase.",
    "docvqa": "<image>What is the 'actual' value per 1000?\nAnswer the question with a single word or phrase.",
    "infovqa": "<image>What is the 'actual' value per 1000?\nAnswer the question with a single word or phrase.",
    "ocrbench": "<image>what is written in the image?\nAnswer the question with a single word or phrase.",
    "ai2d": "<image>which of these is a predator?\nA. grass\nB. fox\nC. sun\n"
    "Answer with the option's letter from the given choices directly.",
    "mmmu": "<image 1>:<image> Which is due?\n\n(A):$6\n(B):$7\n(C):$8\n\n"
    "Answer with the option's letter from the given choices directly.",
    "mmmu_pro": "Who is in <image 1>:<image>?\n"
    + "".join(f"({letter}):king {number}\n" for number, letter in enumerate("ABCDEFGHIJ"))
    + "Answer with the option letter from the given choices directly.",
    "blink": "<image>Which?\nSelect from the following choices.\n(A) the first\n(B) the second\n"
    "Answer with the option's letter from the given choices directly.",
    "mathvision": '<image>Please solve the problem step by step and put your answer in one "\\boxed{}". If it is a multiple '
    'choice question, only one letter is allowed in the "\\boxed{}".\nHow many dots? <image1>\n',
    "mathverse": "<image>Please first conduct reasoning, and then answer the question and provide the correct option letter, "
    "e.g., A, B, C, D, at the end.\nQuestion: Find x.\nChoices:\nA:145°\nB:35°",
    "realworldqa": "<image>In which direction is the sun?\n\nA. Left\nB. Right\nC. Behind\nPlease answer directly with only "
    "the letter of the correct option and nothing else.",
    "mathvista": "<image>Hint: Please answer the question requiring a floating-point number with one decimal place and "
    "provide the final value, e.g., 1.2, 1.3, 1.4, at the end.\nQuestion: When?",
    "gqa": "<image>Is it overcast?\nAnswer the question using a single word or phrase.",
    "mme": "<image>Is this Yes?\nAnswer the question using a single word or phrase.\nPlease answer yes or no.",
    "mvbench": "<video>Question: What happened?\nOptions:\n(A) Sat.\n(B) Stood.\n(C) Ran.\n"
    "Answer with the option's letter from the given choices directly and only give the best option.",
    "videomme": "<video>Select the best answer to the following multiple-choice question based on the video. Respond with "
    "only the letter (A, B, C, or D) of the correct option.\nWhich?\nA. Apples.\nB. Candles.\nC. Berries.\nD. The three "
    "kinds are of the same number.\nAnswer with the option's letter from the given choices directly and only give the "
    "best option. The best answer is:",
    "egoschema": "<video>Select the best answer to the following multiple-choice question based on the video.\nWhat is the "
    "overall goal?\nOptions:\n(A) C does thing 0.\n(B) C does thing 1.\n(C) C does thing 2.\n(D) C does thing 3.\n(E) C "
    "does thing 4.\nAnswer with the option's letter from the given choices directly and only give the best option. The "
    "best answer is: ",
    "lvbench": "<video>What year appears?\n(A) 1636\n(B) 1366\n(C) 1363\n(D) 1633\nAnswer with the option's letter from "
    "the given choices directly.",
    "activitynetqa": "<video>Question: is the athlete wearing trousers\nPlease watch the video and answer the question "
    "clearly and concisely.\n",
    "mlvu": "<video>Question: What colour?\nOptions:\n(A) yellow\n(B) red\n(C) white\n(D) blue\n"
    "Answer with the option's letter from the given choices directly and only give the best option.",
    "mmvu": "<video>\nQuestion: Which movement?\nA: Pop Art\nB: Cubism\nC: Fauvism\nD: Dada\nE: Futurism\n\nDo not generate "
    "any intermediate reasoning process. Answer directly with the option letter from the given choices.\n",
    "perceptiontest": "<video>Question: What moved?\nOptions:\n(A) ball\n(B) cup\n(C) nothing\n"
    "Answer with the option's letter from the given choices directly and only give the best option.",
    "tempcompass": "<video>Question: What is happening?\nA. sitting\nB. running\nC. swimming\nD. jumping\nPlease answer with "
    "the option's letter from the given choices directly and only give the best option.",
    "nextqa": "<video>Question: how do the two man play, in tune\nOptions:\n(A) roll the handle\n(B) tap\n(C) strum\n(D) "
    "hit\n(E) pat\nAnswer with the option's letter from the given choices directly and only give the best option.",
}


@pytest.mark.parametrize("name", PROMPTS)
def test_the_prompt_is_the_authors(name: str, folders: dict[str, Path]) -> None:
    assert prompt(task_of(name, folders).items[0]) == PROMPTS[name]


def test_pictures_are_unpacked_once_and_shared(folders: dict[str, Path]) -> None:
    first, _, third = task_of("chartqa", folders).items
    assert first.cluster == third.cluster, "questions about one chart are one cluster"
    unpacked = list((folders["chartqa"] / "unpacked").rglob("*.png"))
    times = [path.stat().st_mtime_ns for path in unpacked]
    task_of("chartqa", folders)
    assert len(unpacked) == 2 and [path.stat().st_mtime_ns for path in unpacked] == times


def test_pictures_stand_where_the_text_names_them(folders: dict[str, Path]) -> None:
    open_question = task_of("mmmu", folders).items[1]
    assert prompt(open_question).startswith(
        "What follows from <image 1>:<image> and <image 2>:<image>?\n\nAnswer the question"
    )
    assert len(set(media_files(open_question.messages))) == 2


def test_unknown_truths_are_logged_for_the_server(folders: dict[str, Path], tmp_path: Path) -> None:
    assistant = Assistant(tiny_checkpoint(), Decoder())
    options: Any = {"max_new_tokens": 2, "max_tokens": 64}
    config = RunConfig(out=tmp_path, model="tiny", options=options)
    result = evaluate(task_of("docvqa_test", folders), model_examinee(assistant, 2, options), config)
    assistant.close()
    assert result["rows"]["model"]["all"]["n"] == 0 and result["failed"] == []
    assert result["notes"] == ["2 questions have no public answer: they are logged, not scored"]


def test_subtitles_are_those_on_screen_at_the_frames(folders: dict[str, Path]) -> None:
    assert read_srt(folders["videomme"] / "subtitle/fFjv93ACGo8.srt") == [
        (0.0, 1.5, "Good morning."),
        (1.8, 2.6, "Goodbye."),
    ]
    item = task_of("videomme_subtitles", folders).items[0]
    # frames at 0, 1 and 2 s; a subtitle begins before the frame, not with it
    assert prompt(item).startswith(
        "<video>This video's subtitles are listed below:\nGood morning.\nGoodbye.\nSelect the best"
    )


def test_subtitles_stand_between_the_frames(folders: dict[str, Path]) -> None:
    first, second = task_of("longvideobench", folders).items
    assert prompt(first).startswith(
        "<video>Hello.<video>Woof.Question: Who speaks?\nA. a cat\nB. a dog\nC. a cow\nAnswer"
    )
    assert prompt(second).startswith("<video>Hello.<video>Question: Who barks?")
    assistant = Assistant(tiny_checkpoint(), Decoder())
    seen = [time for times in assistant.chat(first.messages, max_new_tokens=1).frame_times_s for time in times]
    assistant.close()
    assert seen == [0.0, 1.0, 2.0], "no frame is lost or shown twice"
    parts = interleaved("x.mp4", 1000.0, [(395.0, 405.0, "Hm.")], {"fps": 1, "max_frames": 100})
    assert [part.get("text") or (part.get("start_s"), part.get("end_s"), part["fps"]) for part in parts] == [
        (None, 410.0, 0.1),
        "Hm.",
        (410.0, None, 0.1),
    ]


def test_parts_of_videos(folders: dict[str, Path]) -> None:
    items = {item.kind: item for item in task_of("mvbench", folders).items}
    assert len(items) == 20
    [part] = media_of(items["action_sequence"].messages)
    assert part.options == {"start_s": 0.5, "end_s": 2.5}
    [part] = media_of(items["action_antonym"].messages)
    assert part.options == {}
    [part] = media_of(items["episodic_reasoning"].messages)
    assert [Path(file).name for file in part.source] == ["00002.jpg", "00005.jpg"] and part.options == {"fps": 1}


def test_mvbench_finds_its_videos_wherever_its_archives_put_them(folders: dict[str, Path], tmp_path: Path) -> None:
    copy = tmp_path / "mvbench"
    shutil.copytree(folders["mvbench"], copy)
    moved = {
        "star/Charades_v1_480/action_sequence.mp4": "data0613/star/Charades_v1_480/action_sequence.mp4",
        "ssv2_video/action_antonym.mp4": "ssv2_video/action_antonym.webm",
        "sta/sta_video/action_localization.mp4": "sta/sta_video_segment/action_localization.mp4",
        "nturgbd/fine_grained_pose.mp4": "nturgbd_convert/fine_grained_pose.mp4",
    }
    for before, after in moved.items():
        (copy / "video" / after).parent.mkdir(parents=True, exist_ok=True)
        (copy / "video" / before).rename(copy / "video" / after)
    assert check(BENCHMARKS["mvbench"], copy).missing == []
    items = {item.kind: item for item in load(BENCHMARKS["mvbench"], copy, {}).items}
    parts = {kind: media_of(item.messages)[0] for kind, item in items.items()}
    assert Path(parts["action_antonym"].source).name == "action_antonym.webm"
    assert parts["action_sequence"].options == {"start_s": 0.5, "end_s": 2.5}
    assert parts["action_localization"].options == {}, "a segment is the part itself"


@pytest.mark.parametrize(
    ("begin", "end", "part"), [(2.5, 0.5, (0.5, 2.5)), (1.0, 1.0, (1.0, 2.0)), (-1.0, 2.0, (0.0, 2.0))]
)
def test_bounds_in_any_order_are_a_part(
    begin: float, end: float, part: tuple[float, float], folders: dict[str, Path], tmp_path: Path
) -> None:
    copy = tmp_path / "mvbench"
    shutil.copytree(folders["mvbench"], copy)
    path = copy / "json/action_sequence.json"
    path.write_text(json.dumps([json.loads(path.read_text())[0] | {"start": begin, "end": end}]))
    items = {item.kind: item for item in load(BENCHMARKS["mvbench"], copy, {}).items}
    [found] = media_of(items["action_sequence"].messages)
    assert (found.options["start_s"], found.options["end_s"]) == part


def test_mathverse_takes_options_from_where_they_are(folders: dict[str, Path]) -> None:
    first, free, hidden = task_of("mathverse", folders).items
    task = task_of("mathverse", folders)
    assert first.choices == hidden.choices == {"A": "145°", "B": "35°"}, "the text of Vision Only shows none"
    assert [item.kind for item in task.items] == ["Text Dominant", "Vision Only", "Vision Only"]
    assert first.cluster == free.cluster
    assert task.score(hidden, "The angles add up to 180. Therefore the correct answer is B: 35°.").score == 1
    assert (
        task.score(free, "The sum is 180, so 180 - 145 = 35. Therefore the angle is approximately 35 degrees.").score
        == 1
    )
    assert task.score(free, "The sum is 180, so the angle is 180 - 55.").score == 0


def test_mme_counts_as_its_authors_do() -> None:
    scored = [("1", "count", "a", 1.0), ("2", "count", "a", 1.0), ("3", "count", "b", 1.0), ("4", "count", "b", 0.0)]
    scored += [("5", "code_reasoning", "a", 0.0), ("6", "code_reasoning", "a", 1.0)]
    assert points(scored) == {"perception": 75 + 50, "cognition": 50 + 0, "total": 175}


def test_files_that_are_not_what_they_seem(folders: dict[str, Path], tmp_path: Path) -> None:
    copy = tmp_path / "chartqa"
    shutil.copytree(folders["chartqa"], copy)
    [path] = (copy / "data").glob("*.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"test-00000-of-00001\.parquet: not a whole parquet file"):
        load(BENCHMARKS["chartqa"], copy, {})
    copy = tmp_path / "charades"
    shutil.copytree(folders["charades_sta"], copy)
    (copy / "charades_sta_test.txt").write_text("3MSZA 24.3 30.4 person turns a light on\n")
    with pytest.raises(UserError, match=r"charades_sta_test\.txt:1: not of the form"):
        load(BENCHMARKS["charades_sta"], copy, {})
    with pytest.raises(UserError, match="no such folder"):
        load(BENCHMARKS["chartqa"], tmp_path / "none", {})


def test_a_missing_video_is_counted_by_prepare(folders: dict[str, Path], tmp_path: Path) -> None:
    copy = tmp_path / "egoschema"
    shutil.copytree(folders["egoschema"], copy)
    (copy / "good_clips_git/00aa7247.mp4").unlink()
    [sentence] = check(BENCHMARKS["egoschema"], copy).missing
    assert sentence.startswith("1 of 2 videos: good_clips_git/00aa7247.mp4; published at https://")


def test_download_asks_the_hub_for_the_benchmarks_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: dict[str, Any] = {}
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **given: called.update(given, name=name))
    fetch(BENCHMARKS["gqa"], tmp_path)
    assert (
        called["name"] == "lmms-lab-encoder/GQA"
        and called["repo_type"] == "dataset"
        and called["local_dir"] == tmp_path
    )
    assert called["allow_patterns"][:2] == [
        "testdev_balanced_instructions/testdev-*.parquet",
        "testdev_balanced_images/testdev-*.parquet",
    ]
    with pytest.raises(UserError, match="not one download"):
        fetch(BENCHMARKS["lvbench"], tmp_path)


@pytest.mark.parametrize("name", MINIATURES)
def test_files_of_another_form_are_one_line(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    """Each column or key gone, empty, or of another type; whole files empty, or something else."""
    copy = tmp_path / name
    shutil.copytree(folders[name], copy, ignore=shutil.ignore_patterns("unpacked"))
    benchmark = BENCHMARKS[name]
    by_folder = itertools.groupby(sorted(copy.rglob("*")), lambda path: (path.parent, path.suffix))
    for path in [path for _, paths in by_folder for path in list(paths)[:2]]:  # mvbench has 20 alike
        if path.suffix not in (".parquet", ".json", ".jsonl", ".csv", ".txt", ".srt"):
            continue
        content = path.read_bytes()
        for spoilt in list(spoilings(path)):
            path.write_bytes(spoilt)
            try:
                check(benchmark, copy)
            except UserError as error:
                message = str(error)
                assert "\n" not in message, message
        path.write_bytes(content)
    assert check(benchmark, copy).missing == []


def spoilings(path: Path) -> Iterator[bytes]:
    yield from (b"", b"\x00\xff junk", b"<html>404</html>", b"null", b"[1]", b"{}", b'{"a": {}}', b"[{}]")
    if path.suffix == ".parquet":
        table = parquet.read_table(path)
        for place, column in enumerate(table.column_names):
            none, number = pa.nulls(len(table)), pa.array([7] * len(table))
            for spoilt in (
                table.drop_columns([column]),
                table.set_column(place, column, none),
                table.set_column(place, column, number),
            ):
                buffer = io.BytesIO()
                parquet.write_table(spoilt, buffer)
                yield buffer.getvalue()
    elif path.suffix == ".json" and isinstance(rows := json.loads(path.read_bytes()), list):
        for key in rows[0]:
            yield json.dumps([{other: row[other] for other in row if other != key} for row in rows]).encode()
            yield from (json.dumps([{**row, key: value} for row in rows]).encode() for value in (None, 7, "x", []))


def test_a_file_that_is_there_twice_is_told(folders: dict[str, Path], tmp_path: Path) -> None:
    copy = tmp_path / "docvqa"
    shutil.copytree(folders["docvqa"], copy)
    [path] = (copy / "DocVQA").glob("*.parquet")
    shutil.copy(path, path.with_name("validation-00001-of-00002.parquet"))
    with pytest.raises(UserError, match="docvqa: 2 questions are there more than once, such as '49153'"):
        load(BENCHMARKS["docvqa"], copy, {})
