"""`vl3 eval` from the outside."""

import json
from pathlib import Path

import pytest

from vl3.cli import main
from vl3.weights.demo import save_demo_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "model"
    save_demo_model(folder)
    return folder


def run(*args: str | Path) -> int:
    with pytest.raises(SystemExit) as exit_:
        main([str(arg) for arg in args])
    return int(exit_.value.code or 0)


def test_files_a_table_json_and_a_report(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    turns = [{"from": "human", "value": "Say yes."}, {"from": "gpt", "value": "yes"}]
    (tmp_path / "a.jsonl").write_text(json.dumps({"conversations": turns, "kinds": ["yes_no"]}))
    common = ("-m", model, "--max-new-tokens", "3", "--baseline", "most-frequent", "--train", tmp_path / "a.jsonl")
    assert run("eval", "jsonl", tmp_path / "a.jsonl", "-o", tmp_path / "run", *common) == 0
    assert "yes_no" in capsys.readouterr().out
    assert run("eval", "jsonl", tmp_path / "a.jsonl", "-o", tmp_path / "run", "--json", *common) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["rows"]["most-frequent"]["yes_no"]["mean"] == 1
    assert run("eval", "report", tmp_path / "run", tmp_path / "run") == 0
    assert "| yes_no | 1 |" in capsys.readouterr().out


def test_a_failed_question_shows_in_the_status(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "x"}]
    (tmp_path / "a.jsonl").write_text(json.dumps({"image": "missing.jpg", "conversations": turns}))
    assert run("eval", "jsonl", tmp_path / "a.jsonl", "-o", tmp_path / "run", "-m", model) == 1
    assert "failed: model a:1.1" in capsys.readouterr().err
