"""`vl3 eval` from the outside."""

import json
import zipfile
from pathlib import Path

import pytest

from tests.eval.miniatures import MINIATURES
from tests.servers import serving
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


def test_a_published_benchmark_from_folder_to_page(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    assert run("eval", "prepare", "chartqa", data) == 1
    assert "missing: data/test-*.parquet (questions, answers and charts)" in capsys.readouterr().out
    MINIATURES["chartqa"](data)
    assert run("eval", "prepare", "chartqa", data) == 0
    assert capsys.readouterr().out == "ChartQA: complete, 3 questions\n"
    [file] = (data / "data").glob("*.parquet")
    with zipfile.ZipFile(data / "all.zip", "w") as packed:
        packed.write(file, f"data/{file.name}")
    file.unlink()
    assert run("eval", "prepare", "chartqa", data) == 1
    assert "packed: all.zip; `vl3 eval prepare chartqa" in capsys.readouterr().out
    assert run("eval", "prepare", "chartqa", data, "--unpack") == 0
    common = ("eval", "run", "chartqa", data, "-m", model, "--max-new-tokens", "2", "--max-tokens", "64")
    assert run(*common, "-o", tmp_path / "parts", "--shard", "1/2") == 0
    assert "left to other shards" in capsys.readouterr().err and not (tmp_path / "parts/result.json").exists()
    assert run(*common, "-o", tmp_path / "parts", "--shard", "2/2") == 0
    assert run(*common, "-o", tmp_path / "whole") == 0
    assert (tmp_path / "parts/result.json").read_bytes() == (tmp_path / "whole/result.json").read_bytes()
    capsys.readouterr()
    assert run("eval", "report", tmp_path / "whole", "--html", tmp_path / "page") == 0
    assert capsys.readouterr().out.endswith(f"{tmp_path / 'page/index.html'}\n")


def test_an_endpoint_and_a_judge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    turns = [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "a dog"}]
    (tmp_path / "a.jsonl").write_text(json.dumps({"conversations": turns, "kinds": ["judge"]}))
    with serving(lambda body: "Yes" if "Somebody" in str(body) else "canine") as server:
        common = ("--endpoint", server.url, "--judge", server.url, "--json")
        assert run("eval", "jsonl", tmp_path / "a.jsonl", "-o", tmp_path / "run", *common) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["rows"]["model"]["all"]["mean"] == 1 and result["settings"]["model"] == "fake"
    assert run("eval", "jsonl", tmp_path / "a.jsonl", "-o", tmp_path / "run", "--endpoint", "http://127.0.0.1:9") == 2
    assert "cannot be reached" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("run", "chartq", "x", "-o", "o"), "did you mean chartqa"),
        (("prepare", "nonsense", "x"), "see vl3 eval list"),
        (("run", "chartqa", "nowhere", "-o", "o"), "nowhere: no such folder"),
        (("jsonl", "a.jsonl", "-o", "o", "--shard", "3/2"), "parts are counted from 1 to N"),
        (("jsonl", "a.jsonl", "-o", "o", "--endpoint", "localhost"), "a.jsonl: no such file"),
    ],
)
def test_mistakes_are_one_line(args: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("eval", *args) in (1, 2)
    error = capsys.readouterr().err
    assert says in error and "Traceback" not in error


def test_the_list_names_every_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("eval", "list") == 0
    out = capsys.readouterr().out
    assert all(f" {name} " in out for name in MINIATURES)
