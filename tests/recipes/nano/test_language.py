"""The table of two models' answers."""

from pathlib import Path

from recipes.nano.language import answers, table
from vl3.weights.demo import save_demo_model


def test_two_models_side_by_side(tmp_path: Path) -> None:
    save_demo_model(tmp_path / "tiny")
    questions = ["Hello?", "a | b?"]
    said = answers(str(tmp_path / "tiny"), questions)
    assert len(said) == 2 and all("\n" not in line for line in said)
    lines = table(questions, said, ["same", "other"]).splitlines()
    assert len(lines) == 4 and lines[3].startswith("| a \\| b? | ") and lines[2].endswith(" | same |")
