"""`vl3 run` from the outside."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vl3.cli import main
from vl3.weights.demo import save_demo_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    save_demo_model(folder / "model")
    for name, colour in {"a.png": "red", "b.png": "blue"}.items():
        Image.new("RGB", (60, 40), colour).save(folder / name)
    return folder


def run(*args: str | Path) -> int:
    with pytest.raises(SystemExit) as exit_:
        main(["run", *map(str, args)])
    return int(exit_.value.code or 0)


def test_answers_a_summary_and_the_status(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [{"image": "a.png", "question": "What?"}, {"image": "none.png", "question": "What?"}]
    (folder / "in.jsonl").write_text("\n".join(map(json.dumps, lines)))
    common = ("-m", folder / "model", "--max-new-tokens", "4")
    out = tmp_path / "new" / "out.jsonl"
    assert run(folder / "in.jsonl", "-o", out, *common) == 1
    said = capsys.readouterr()
    assert "1 answered, of 2;" in said.out and str(out) in said.out
    assert f"failed: {folder / 'in.jsonl'}:2: " in said.err and "1 of 2 FAILED" in said.err
    Image.new("RGB", (60, 40)).save(folder / "none.png")
    assert run(folder / "in.jsonl", "-o", out, "--json", "--retry-failed", *common) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["answered_before"], summary["answered"], summary["failed"]) == (1, 1, 0)
    assert run(folder / "in.jsonl", "-o", out, "--temperature", "1", *common) == 2
    assert "other settings (options)" in capsys.readouterr().err
    assert run(folder / "in.jsonl", "-o", folder / "in.jsonl", *common) == 2
    assert "is what is asked" in capsys.readouterr().err
    (folder / "none.png").unlink()


def test_a_folder(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.jsonl"
    common = (folder, "-q", "What?", "-m", folder / "model", "--max-new-tokens", "2")
    assert run(*common, "-o", out, "--shard", "1/2") == 0
    assert [json.loads(line)["file"] for line in out.read_text().splitlines()] == ["a.png"]
    assert "neither images nor videos" in capsys.readouterr().err
    assert run(folder, "-o", out, "-m", folder / "model") == 2
    assert "needs a question" in capsys.readouterr().err


@pytest.mark.slow
def test_kill_9_at_any_time_changes_nothing(folder: Path, tmp_path: Path) -> None:
    """Fifty questions, the process killed wherever it is, until it gets to the end."""
    lines: list[dict[str, Any]] = [{"image": "ab"[i % 2] + ".png", "question": f"What is {i}?"} for i in range(48)]
    lines += [{"question": "Hello?"}, {"image": "missing.png", "question": "?"}]
    (folder / "many.jsonl").write_text("\n".join(map(json.dumps, lines)))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(out: Path) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "vl3", "run", folder / "many.jsonl", "-o", out, "-m", folder / "model"]
        return subprocess.Popen(
            [*map(str, command), "--max-new-tokens", "60"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def lines_of(out: Path) -> dict[int, Any]:
        found = [json.loads(line) for line in out.read_text().splitlines()]
        assert len({record["line"] for record in found}) == len(found), "a line is there twice"
        return {record["line"]: record for record in found}

    whole, cut, luck = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl", random.Random(1)
    assert start(whole).wait() == 1
    kills = 0
    while True:
        process = start(cut)
        begin = cut.stat().st_size if cut.exists() else 0
        while process.poll() is None and not (cut.exists() and cut.stat().st_size > begin):
            time.sleep(0.005)
        time.sleep(luck.uniform(0, 0.5))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        if process.wait() != -signal.SIGKILL:
            break
    assert process.returncode == 1 and kills >= 3
    assert lines_of(cut) == lines_of(whole)
    assert len(lines_of(cut)) == 50
