"""The measured parts of the model card, from logs."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from recipes.nano.card import STAGES, ablations, answers, card, draw
from vl3.errors import UserError
from vl3.eval.log import Record, log_path
from vl3.eval.report import read_run

EMPTY = "before\n" + "".join(
    f"<!-- {name} -->\nold\n<!-- end -->\nkept\n" for name in ("scores", "photos", "answers", "training", "ablations")
)


def record(number: int, kind: str, score: float, medium: str = "a.png", tokens: int = 16) -> Record:
    return Record(f"q{number}", kind, medium, f"question {number}?", ["yes"], answer="y\\1", score=score,
                  visual_tokens=tokens, finish_reason="stop", media=[medium])  # fmt: skip


def run(folder: Path, records: list[Record]) -> None:
    def cell(part: list[Record]) -> dict[str, Any]:
        mean = sum(r.score or 0.0 for r in part) / len(part)
        return {"n": len(part), "mean": mean, "low": None, "high": None, "failed": 0, "also": {}}

    kinds = sorted({r.kind for r in records})
    rows = {"model": {**{k: cell([r for r in records if r.kind == k]) for k in kinds}, "all": cell(records)}}
    path = log_path(folder, "model")
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(asdict(r)) + "\n" for r in records))
    (folder / "result.json").write_text(json.dumps({"settings": {"task": "nano", "model": "m"}, "rows": rows}))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    asked = [record(1, "name", 1.0), record(2, "when", 0.0, "b.mp4", 48), record(3, "when", 1.0, "c.mp4", 16)]
    for name in ("eval", "photos", "ablations/pruning_off", "ablations/as_shipped"):
        run(tmp_path / name, asked)
    for stage in STAGES:
        (tmp_path / stage).mkdir()
        steps = [{"step": n, "loss": 20.0 - n, "samples_per_s": 4.0, "steps_per_s": 0.5} for n in range(1, 11)]
        held_out = {"step": 10, "held_out_loss": 2.5, "held_out_named": 0.25}
        (tmp_path / stage / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in [*steps, held_out]))
    return tmp_path


def test_the_measured_parts_are_made_anew_and_the_words_left(runs: Path) -> None:
    made = card(runs, EMPTY)
    assert "old" not in made and made.count("kept") == 5 and made.startswith("before\n")
    assert "| stage0_align | 10 | 80 | 19.00 | 10.00 | 2.50 | 25.0 | - |" in made
    assert "| all | 3 | 66.7 |" in made
    assert card(runs, made) == made  # and again


def test_a_card_without_a_place_is_refused(runs: Path) -> None:
    with pytest.raises(UserError, match="no place for photos"):
        card(runs, EMPTY.replace("<!-- photos -->", ""))


def test_pictures_and_clips_are_counted_apart(runs: Path) -> None:
    lines = ablations([read_run(runs / "ablations" / "pruning_off")])
    assert lines[1] == ("pruning off", "3", "66.7", "100.0", "50.0", "32")


def test_answers_take_the_kinds_in_turn() -> None:
    records = [record(n, "name", 1.0) for n in range(9)] + [record(9, "when", 1.0), record(10, "when", 0.0)]
    shown = [line[1:] for line in answers(records)[1:]]
    assert [line[0] for line in shown] == [f"question {n}?" for n in (0, 9, 1, 2, 3, 10)]
    assert [line[3] for line in shown] == ["right"] * 5 + ["wrong"]


def test_the_curves_are_a_picture(runs: Path) -> None:
    draw(runs, runs / "curves.png")
    assert (runs / "curves.png").read_bytes().startswith(b"\x89PNG")
