"""The benchmarks run and print ratios (on tiny shapes; what they print here says nothing about speed)."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "benchmarks"


def run(script: str, *args: str) -> dict[str, object]:
    command = [sys.executable, str(SCRIPTS / script), "--quick", "--json", *args]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout)
    return result


def test_vision() -> None:
    result = run("vision.py", "--runs", "1", "--side", "4", "--dtype", "float32")
    assert result["mean difference of features"] < 1e-5  # type: ignore[operator]
    assert result["times faster than transformers"]["median"] > 0  # type: ignore[index]


def test_prefill_and_decode() -> None:
    result = run("prefill_decode.py", "--runs", "1", "--prompt", "20", "--answer", "4", "--dtype", "float32")
    assert result["same greedy tokens"] == "4 of 4"


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("torchvision", "torchcodec")),
    reason="transformers' video processor needs torchvision and torchcodec",
)
def test_preprocess() -> None:
    result = run("preprocess.py", "--runs", "1")
    assert result["same grid"] == "yes"


def test_train_step() -> None:
    result = run("train_step.py", "--steps", "1")
    theirs, ours = result["losses, transformers and vl3"]  # type: ignore[misc]
    assert ours == pytest.approx(theirs, abs=1e-3)
