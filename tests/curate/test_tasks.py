"""From dense captions to a training set: events become rows, questions are built or written, and exported."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.curate.pools import recipe, rows_after, write_table
from tests.servers import serving
from vl3.chat import media_of
from vl3.curate import curate
from vl3.curate.asking import Ask, Judge, Judged
from vl3.curate.dense import Event, dense
from vl3.curate.questions import parse_questions, prompt_for
from vl3.curate.steps.tasks import TasksConfig, written
from vl3.data import open_source
from vl3.data.check import check
from vl3.data.config import SourceConfig
from vl3.errors import UserError
from vl3.media import Decoder

CITY = Path(__file__).parents[2] / "assets/city.mp4"
EVENTS = [
    {"start_s": 4.64, "end_s": 7.6, "text": "Lamps shine along a river at night."},
    {"start_s": 0, "end_s": 4.64, "text": "Office towers are seen from below"},
]


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """A video with a dense caption, one with a caption of the other form, one without, and an image."""
    other = tmp_path / "other.mp4"
    other.write_bytes(CITY.read_bytes())
    pairs = {"timestamps": [[0, 3], [3, 6.5]], "sentences": ["Cars wait in a street.", "People cross a square."]}
    rows = [
        {"video": str(CITY), "text": EVENTS},
        {"video": str(other), "text": json.dumps(pairs)},
        {"video": str(CITY), "text": "just words"},
        {"image": str(CITY.with_suffix(".jpg")), "text": "A city by night."},
    ]
    return write_table(tmp_path, rows)


@pytest.mark.parametrize("form", ["jsonl", "webdataset", "parquet"])
def test_dense_captions_become_a_set_that_can_be_trained_on(pool: Path, tmp_path: Path, form: str) -> None:
    steps = {"events": {}, "tasks": {"texts": ["text"]}, "export": {"form": form, "tasks": True}}
    outcomes = curate(recipe(tmp_path, pool, steps, runner={"kind": "plain"}))
    assert outcomes[1].reasons == {"no dense caption": 1} and outcomes[-1].kept == 5
    rows = rows_after(outcomes[1])
    assert [(row["start_s"], row["text"]) for row in rows[:2]] == [
        (0.0, "Office towers are seen from below."),
        (4.64, "Lamps shine along a river at night."),
    ]
    if form == "jsonl":
        ids = [json.loads(line)["id"] for line in (tmp_path / "out/set/train.jsonl").read_text().splitlines()]
        assert len(ids) == len(set(ids)) == 9
    suffix = {"jsonl": "train.jsonl", "webdataset": "train-00000.tar", "parquet": "train-00000.parquet"}[form]
    source = SourceConfig(path=str(tmp_path / "out/set" / suffix))
    opened = open_source(source)
    with Decoder() as decoder:
        *_, report = check(opened, decoder)
    assert report.problems == [] and report.kinds == Counter(video=6, stream=2, image=1)
    found = [opened.get(number) for number in range(opened.length)]
    samples = [sample for sample in found if sample.kind == "video" and not sample.independent]
    times = [(part.options["start_s"], part.options["end_s"]) for s in samples for part in media_of(s.messages)]
    assert times == [(0.0, 4.64), (4.64, 7.6), (0.0, 3.0), (3.0, 6.5)]
    asked = next(sample for sample in found if sample.independent)
    answers = [message["content"] for message in asked.messages if message["role"] == "assistant"]
    assert any("From 0.0 to 4.6 seconds." in str(answer) for answer in answers)


def test_a_model_writes_more_questions(pool: Path, tmp_path: Path) -> None:
    def answer(body: dict[str, Any]) -> str:
        prompt = body["messages"][0]["content"]
        text = prompt if isinstance(prompt, str) else prompt[0]["text"]
        return "Sorry." if "towers" in text else '[{"question": "What waits in the street?", "answer": "Cars."}]'

    with serving(answer) as server:
        writer = {"endpoint": server.url, "model": "fake"}
        steps = {"events": {}, "tasks": {"texts": ["text"], "kinds": ["when"], "num_questions": 2, "writer": writer}}
        *_, last = curate(recipe(tmp_path, pool, steps, runner={"kind": "plain"}))
        assert len(server.bodies) == 3, "what is no list is asked for once more"
    made = [[json.loads(sample) for sample in row["samples"] or []] for row in rows_after(last)]
    assert [len(samples) for samples in made] == [1, 0, 2, 0, 0, 0]
    assert made[2][1]["conversations"] == [
        {"from": "human", "value": "<video>\nWhat waits in the street?"},
        {"from": "gpt", "value": "Cars."},
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('[{"question": "Who?", "answer": "A man."}]', [("Who?", "A man.")]),
        ('Here you are:\n```json\n[{"question": " Who? ", "answer": "A man."}]\n```\nDone.', [("Who?", "A man.")]),
        ('[{"question": "Who?", "answer": "A"}, {"question": "who?", "answer": "B"}]', [("Who?", "A")]),
        ('[{"question": "What do the notes say?", "answer": "X"}, {"question": "Q", "answer": "A"}]', [("Q", "A")]),
        (
            '[{"question": "Q", "answer": 3}, "x", {"question": "", "answer": "A"}, {"question": "R", "answer": "S"}]',
            [("R", "S")],
        ),
    ],
)
def test_questions_are_read_from_what_models_say(text: str, found: list[tuple[str, str]]) -> None:
    assert parse_questions(text) == found


@pytest.mark.parametrize("text", ["", "No.", "[]", "[1, 2", '{"question": "a", "answer": "b"}', '[{"question": "a"}]'])
def test_what_holds_no_questions_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"no JSON list|no question with an answer"):
        parse_questions(text)


def test_a_model_is_asked_with_times_and_at_most_what_was_wanted_is_taken() -> None:
    one = dense("a", [Event(0, 2, "It rains."), Event(2, 4.5, "A bus stops.")])
    assert "from 2.0 to 4.5 seconds: A bus stops." in prompt_for(one, 5) and "Write 5 different" in prompt_for(one, 5)
    assert prompt_for(one, 2, "{number}: {notes}").startswith("2: from 0.0 to 2.0 seconds: It rains.")
    said = json.dumps([{"question": f"Q{n}", "answer": "A"} for n in range(9)])

    def asker(asks: Sequence[Ask], judge: Judge) -> list[Judged]:
        return [judge(said, "stop") for _ in asks]

    [made] = written(TasksConfig(num_questions=3), [one], asker)
    assert made is not None and len(made["conversations"]) == 6
