"""The benchmarks run and print ratios (on tiny shapes; what they print here says nothing about speed)."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vl3.weights.demo import save_demo_model

SCRIPTS = Path(__file__).parents[2] / "benchmarks"


ROOT = Path(__file__).parents[2]


def run(script: str, *args: str) -> dict[str, object]:
    command = [sys.executable, str(SCRIPTS / script), "--quick", "--json", *args]
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout)
    return result


def test_vision() -> None:
    result = run("vision.py", "--runs", "1", "--side", "4", "--dtype", "float32")
    assert result["mean difference of features"] < 1e-5  # type: ignore[operator]
    assert result["times faster than transformers"]["median"] > 0  # type: ignore[index]
    assert result["largest difference of their tokens"] < 1e-5  # type: ignore[operator]


def test_prefill_and_decode() -> None:
    result = run("prefill_decode.py", "--runs", "1", "--prompt", "20", "--answer", "4", "--dtype", "float32")
    assert result["same greedy tokens"] == "4 of 4"


def test_decoding_with_packed_weights() -> None:
    result = run("decode_quantised.py", "--runs", "1", "--prompt", "20", "--answer", "3")
    for way in ("bfloat16", "int8", "int4"):
        assert result[f"decode, {way}: times faster than transformers bfloat16"]["median"] > 0  # type: ignore[index]
        assert result[f"share of the memory bandwidth, {way}"] > 0  # type: ignore[operator]


@pytest.mark.slow
def test_concurrent_requests() -> None:
    result = run("concurrent_requests.py", "--runs", "1", "--answer", "3")
    assert result["same answers"] == "8 of 8"


@pytest.mark.slow
def test_the_cost_of_packing(tmp_path: Path) -> None:
    save_demo_model(tmp_path / "model")
    photo = str(SCRIPTS.parent / "assets" / "city.jpg")
    turns = [{"from": "human", "value": "<image>\nWhere?"}, {"from": "gpt", "value": "In a city."}]
    (tmp_path / "asked.jsonl").write_text(json.dumps({"image": [photo], "conversations": turns}))
    result = run("quantised_nano.py", str(tmp_path / "asked.jsonl"), "--model", str(tmp_path / "model"))
    assert result["perplexity of texts, int8 / plain"] == pytest.approx(1, abs=0.05)
    assert result["same greedy answer, int4"] in ("0 of 1", "1 of 1")


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


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("torchvision") is None, reason="transformers serve needs torchvision")
def test_serving() -> None:
    assert run("serving.py")["same answer"] == "yes"


@pytest.mark.slow
def test_curation_pool(tmp_path: Path) -> None:
    result = run("curation_pool.py", "--folder", str(tmp_path))
    for fault in ("corrupt", "shape", "leak", "duplicate"):
        assert result[fault]["precision"] >= 0.95  # type: ignore[index]
        assert result[fault]["recall"] >= 0.95  # type: ignore[index]


@pytest.mark.slow
def test_long_video() -> None:
    result = run("long_video.py")
    assert 0 < result["largest of smallest peak"] < 1.2  # type: ignore[operator]
    assert result["1 minutes"]["peak MB"] < 4000  # type: ignore[index]


@pytest.mark.slow
def test_cost_curves(tmp_path: Path) -> None:
    result = run("cost_curves.py", "--only", "frames", "--plot", str(tmp_path / "curves.png"))
    assert result["frames: 1"]["time"] == 1 and result["frames: 4"]["peak MB"] > 0  # type: ignore[index]
    assert (tmp_path / "curves.png").stat().st_size > 10_000
