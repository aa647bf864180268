"""Bulk runs: every question gets one line, whatever stops the run and however often, and failures are their own."""

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vl3.bulk import Output, RunConfig, Source, Summary, answer_all, open_source
from vl3.bulk.output import opened, settings_path
from vl3.bulk.run import Progress
from vl3.chat import question
from vl3.errors import UserError
from vl3.generate import Assistant, Service, ServiceConfig
from vl3.generate.engine import Engine
from vl3.generate.ticket import EngineStopped

RNG = np.random.default_rng(0)
CONFIG = RunConfig(options={"max_new_tokens": 6})
QUIET = Progress()


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    for name in ("a.png", "b.png", "frames/1.png", "frames/2.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def service(assistant: Assistant) -> Iterator[Service]:
    with Service(assistant, ServiceConfig(max_running=3, max_waiting=4)) as service:
        yield service


def write(path: Path, lines: Sequence[Any]) -> Path:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def run(service: Service, source: Source, out: Path, config: RunConfig = CONFIG, progress: Progress = QUIET) -> Summary:
    with opened(out, {"options": config.options}) as output:
        return answer_all(service, source, output, config, progress)


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def by_key(path: Path) -> dict[Any, str]:
    found = {(r.get("line", r.get("file")), r.get("question")): r.get("answer", r.get("error")) for r in records(path)}
    assert len(found) == len(records(path)), "a question has two lines"
    return found


@pytest.fixture(scope="module")
def twelve(media: Path) -> Source:
    lines = [{"image": "ab"[i % 2] + ".png", "question": f"What is {i}?"} for i in range(10)]
    return open_source(
        write(media / "twelve.jsonl", [*lines, {"question": "Hello?"}, {"image": "no.png", "question": "?"}])
    )


@pytest.fixture(scope="module")
def whole(service: Service, twelve: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "out.jsonl"
    run(service, twelve, out)
    return out


def test_every_form_is_asked_as_the_assistant_would(
    assistant: Assistant, service: Service, media: Path, tmp_path: Path
) -> None:
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A"}]
    more = [{"from": "human", "value": "Who?"}, {"from": "gpt", "value": "B"}]
    part = {"type": "image_url", "image_url": {"url": "a.png"}}
    lines = [
        {"image": "a.png", "question": "What?", "id": "simple", "remark": "goes by"},
        {"messages": [{"role": "user", "content": [part, {"type": "text", "text": "What?"}]}]},
        "",
        {"image": ["a.png"], "conversations": turns},
        {"image": "a.png", "conversations": [*turns, *more]},
        {"image": "a.png", "independent": True, "conversations": [*turns, *more]},
        {"image": ["a.png", "b.png"], "question": "Same?", "options": {"max_new_tokens": 3}},
        {"video": "frames", "question": "Moves?"},
    ]
    out = tmp_path / "out.jsonl"
    summary = run(service, open_source(write(media / "forms.jsonl", lines)), out)
    found = by_key(out)
    a, b = media / "a.png", media / "b.png"
    what = assistant.ask(a, "What?", max_new_tokens=6).text
    follow = [*question([a], "What?"), {"role": "assistant", "content": "A"}, *question([], "Who?")]
    assert found == {
        (1, None): what,
        (2, None): what,
        (4, None): what,
        (5, None): assistant.chat(follow, max_new_tokens=6).text,
        (6, 1): what,
        (6, 2): assistant.ask(a, "Who?", max_new_tokens=6).text,
        (7, None): assistant.ask(a, b, "Same?", max_new_tokens=3).text,
        (8, None): assistant.ask(media / "frames", "Moves?", max_new_tokens=6).text,
    }
    assert [record["line"] for record in records(out) if record.get("id") == "simple"] == [1]
    assert (summary.questions, summary.answered, summary.failed) == (8, 8, 0)
    assert summary.generated_tokens == 7 * 6 + 3


def test_a_folder_and_several_questions(assistant: Assistant, service: Service, media: Path, tmp_path: Path) -> None:
    source = open_source(media, ["What?", "Who?"])
    run(service, source, tmp_path / "out.jsonl", RunConfig(options={"max_new_tokens": 4}, system="Be brief."))
    found = by_key(tmp_path / "out.jsonl")
    names = ("a.png", "b.png", "frames/1.png", "frames/2.png")
    assert set(found) == {(name, number) for name in names for number in (1, 2)}
    expected = assistant.ask(media / "frames/1.png", "Who?", system="Be brief.", max_new_tokens=4).text
    assert found["frames/1.png", 2] == expected


def test_a_file_cut_anywhere_is_gone_on_with(service: Service, twelve: Source, whole: Path, tmp_path: Path) -> None:
    content, expected = whole.read_bytes(), by_key(whole)
    assert len(expected) == 12 and len(set(expected.values())) > 7, "answers must differ for this to mean anything"
    cuts = [0, 1, len(content) - 1, len(content), *random.Random(0).sample(range(len(content)), 8)]
    for cut in cuts:
        out = tmp_path / "out.jsonl"
        out.write_bytes(content[:cut])
        settings_path(out).write_bytes(settings_path(whole).read_bytes())
        kept = content[:cut].count(b"\n")
        summary = run(service, twelve, out)
        assert by_key(out) == expected
        assert out.read_bytes().startswith(content[: content.rfind(b"\n", 0, cut) + 1])
        assert summary.answered + summary.failed == 12 - kept


def test_a_stop_in_the_middle_loses_and_repeats_nothing(
    service: Service, twelve: Source, whole: Path, tmp_path: Path
) -> None:
    asked: list[int] = []
    for stop in (3, 4, 100):
        told: list[int] = []

        def advance(told: list[int] = told, stop: int = stop) -> None:
            told.append(1)
            if len(told) == stop:
                raise KeyboardInterrupt

        try:
            run(service, twelve, tmp_path / "out.jsonl", progress=Progress(advance=advance))
        except KeyboardInterrupt:
            asked.append(len(told))
    assert asked == [3, 4]
    assert by_key(tmp_path / "out.jsonl") == by_key(whole)


def test_shards_add_up(service: Service, twelve: Source, whole: Path, media: Path, tmp_path: Path) -> None:
    parts = [tmp_path / f"{k}.jsonl" for k in (1, 2, 3)]
    for k, part in enumerate(parts, 1):
        run(service, twelve, part, RunConfig(options=CONFIG.options, shard=(k, 3)))
    found = [by_key(part) for part in parts]
    assert sum(map(len, found)) == 12
    assert found[0] | found[1] | found[2] == by_key(whole)
    both = open_source(media, ["What?", "Who?"])  # the questions of one file stay together
    run(service, both, tmp_path / "folder.jsonl", RunConfig(options=CONFIG.options, shard=(2, 2)))
    assert {place for place, _ in by_key(tmp_path / "folder.jsonl")} == {"b.png", "frames/2.png"}


def test_failures_are_their_own_and_can_be_retried(
    assistant: Assistant, service: Service, media: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes((media / "a.png").read_bytes())
    (tmp_path / "bad.mp4").write_bytes(b"no video" * 100)
    lines = [
        {"image": "a.png", "question": "What?", "id": 7},
        {"video": "bad.mp4", "question": "What?"},
        {"image": "later.png", "question": "What?"},
        {"image": "a.png", "question": "Again?", "id": 7},
        {"image": "a.png", "question": "What?", "options": {"fsp": 1}},
        {"image": "a.png", "question": "What?", "options": {"temperature": -1}},
        {"image": "a.png"},
        {"messages": [{"role": "assistant", "content": "Hello"}]},
        {"question": 5},
        "[1]",
        "{",
        '{"question": "\\ud800"}',
    ]
    source, out = open_source(write(tmp_path / "in.jsonl", lines)), tmp_path / "out.jsonl"
    named: list[str] = []
    progress = Progress(failed=lambda question, error: named.append(f"{question.where}: {error}"))
    summary = run(service, source, out, progress=progress)
    assert (summary.questions, summary.answered, summary.failed) == (12, 2, 10)
    found = by_key(out)
    patterns = {2: "bad.mp4", 3: "later.png", 4: "line 1", 5: "fps", 6: "temperature", 7: "question", 8: "asked"}
    for line, words in patterns.items():
        assert words in found[line, None]
        assert any(error.startswith(f"{tmp_path / 'in.jsonl'}:{line}: ") and words in error for error in named)
    (tmp_path / "later.png").write_bytes((media / "b.png").read_bytes())
    again = run(service, source, out)
    assert (again.answered_before, again.failed_before, again.answered, again.failed) == (2, 10, 0, 0)
    retried = run(service, source, out, RunConfig(options=CONFIG.options, retry_failed=True))
    assert (retried.answered_before, retried.failed_before, retried.answered, retried.failed) == (2, 0, 1, 9)
    assert by_key(out)[3, None] == assistant.ask(media / "b.png", "What?", max_new_tokens=6).text


def test_a_fault_inside_the_engine_is_one_lines_failure(
    service: Service, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, seen = Engine.feed, set()

    def faulty(self: Engine, work: Any) -> Any:
        seen.update(sequence.config.seed for sequence, _ in work)
        if any(sequence.config.seed == 13 for sequence, _ in work):
            raise ArithmeticError("injected")
        return feed(self, work)

    monkeypatch.setattr(Engine, "feed", faulty)
    lines = [{"question": "Unlucky", "options": {"seed": 13}}, {"question": "Hello?"}]
    run(service, open_source(write(tmp_path / "in.jsonl", lines)), tmp_path / "out.jsonl")
    assert by_key(tmp_path / "out.jsonl") == {(1, None): "injected", (2, None): by_key(whole)[11, None]}
    assert 13 in seen


def test_when_the_engine_stops_nothing_is_called_a_failure(
    assistant: Assistant, twelve: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    with Service(assistant) as fresh:
        monkeypatch.setattr("vl3.generate.scheduler.Scheduler.tick", lambda _: 1 / 0)
        with pytest.raises((EngineStopped, UserError), match=r"stopped|shutting down"):
            run(fresh, twelve, tmp_path / "out.jsonl")
    failed = [record for record in records(tmp_path / "out.jsonl") if record["line"] != 12]
    assert failed == []


# --------------------------------------------------------------------------------------------------- what is refused


def test_answers_to_other_questions_are_refused(service: Service, media: Path, tmp_path: Path) -> None:
    lines = [{"question": f"Number {i}?"} for i in range(3)]
    file, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    run(service, open_source(write(file, lines)), out)
    before = out.read_bytes()
    with pytest.raises(UserError, match=r"out\.jsonl.*in\.jsonl:2"):
        run(service, open_source(write(file, [lines[0], {"question": "Other?"}, lines[2]])), out)
    with pytest.raises(UserError, match=r"answers to 1 questions .* line 3"):
        run(service, open_source(write(file, lines[:2])), out)
    with pytest.raises(UserError, match="not asked here"):
        run(service, open_source(media, ["What?"]), out)
    with pytest.raises(UserError, match=r"other settings \(options\)"):
        run(service, open_source(write(file, lines)), out, RunConfig(options={"max_new_tokens": 7}))
    assert out.read_bytes() == before
    longer = run(service, open_source(write(file, [*lines, {"question": "Number 3?"}])), out)
    assert (longer.answered_before, longer.answered) == (3, 1), "what is added at the end is asked"


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text('{"important": 1}\n')
    with pytest.raises(UserError, match="not a file that vl3 run wrote"), opened(tmp_path / "mine.jsonl", {}):
        pass
    settings_path(tmp_path / "mine.jsonl").write_text("{}")
    with pytest.raises(UserError, match=r"mine\.jsonl:1: not a line of vl3 run"), opened(tmp_path / "mine.jsonl", {}):
        pass
    (tmp_path / "mine.jsonl").write_text("text\n")
    with pytest.raises(UserError, match=r"mine\.jsonl:1"), opened(tmp_path / "mine.jsonl", {}):
        pass
    with pytest.raises(UserError, match="cannot be written"), opened(tmp_path, {}):
        pass


def test_two_processes_do_not_write_to_one_file(tmp_path: Path, service: Service) -> None:
    source = open_source(write(tmp_path / "in.jsonl", [{"image": "no.png", "question": "?"}, {"question": "Hello?"}]))
    out = tmp_path / "out.jsonl"
    run(service, source, out)
    with opened(out, {"options": CONFIG.options}) as output:
        for _ in range(2):
            with pytest.raises(UserError, match="another process"), opened(out, {"options": CONFIG.options}):
                pass
            assert isinstance(output, Output)
            output.forget_failures()  # makes the file anew: it stays locked


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_nothing_to_ask(tmp_path: Path, content: str) -> None:
    (tmp_path / "in.jsonl").write_text(content)
    with pytest.raises(UserError, match=r"in\.jsonl: no questions"):
        open_source(tmp_path / "in.jsonl")


def test_what_is_no_input(tmp_path: Path, media: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        open_source(tmp_path / "none.jsonl")
    with pytest.raises(UserError, match="no images or videos"):
        open_source(tmp_path, ["What?"])
    with pytest.raises(UserError, match="needs a question"):
        open_source(media)
    with pytest.raises(UserError, match="has its own questions"):
        open_source(write(tmp_path / "in.jsonl", [{"question": "?"}]), ["What?"])
    with pytest.raises(UserError, match=r"lines of a \.jsonl"):
        open_source(media / "a.png")
