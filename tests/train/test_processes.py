"""Runs as users start them: under torchrun, and killed at any moment."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from tests.train.runs import losses, materials, tiny_run
from tests.train.test_align import COLOURS, write_regions
from tests.train.toy import write_toy
from vl3.config import encode
from vl3.train import TrainConfig
from vl3.weights import load_checkpoint

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
ALONE = [sys.executable]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return materials(tmp_path_factory.mktemp("train"))


def command(start: list[str], config: TrainConfig) -> list[str]:
    """`vl3 train --resume` of the config as a recipe file, begun by `start`."""
    recipe = Path(config.output + ".yaml")
    recipe.write_text(yaml.safe_dump(encode(config), sort_keys=False))
    return [*start, "-m", "vl3", "train", str(recipe), "--resume"]


def run(start: list[str], config: TrainConfig) -> None:
    """Runs it to its end."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command(start, config), env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


def weights(config: TrainConfig) -> dict[str, torch.Tensor]:
    """Of the finished model."""
    state: dict[str, torch.Tensor] = load_checkpoint(Path(config.output) / "final").model.state_dict()
    return state


def test_two_processes_follow_the_curve_of_one(root: Path, tmp_path: Path) -> None:
    """Mixed images, clips and text; the run on two also goes on alone from its middle."""
    alone = tiny_run(root, tmp_path / "alone", steps=6, save={"every_steps": 3, "keep": 9, "layouts": ["vl3"]})
    run(ALONE, alone)
    two = replace(alone, output=str(tmp_path / "two"))
    run(TORCHRUN, two)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "alone"), abs=1e-4)
    for part in ("final", "checkpoints/step-00000006"):
        subprocess.run(["rm", "-r", str(tmp_path / "two" / part)], check=True)
    run(ALONE, two)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "alone"), abs=1e-4)
    assert len(losses(tmp_path / "two")) == 6


@pytest.mark.parametrize("answers", [False, True])
def test_alignment_on_two_processes_follows_that_on_one(root: Path, tmp_path: Path, answers: bool) -> None:
    samples = write_regions(tmp_path / "samples", 12, seed=0)
    (tmp_path / "texts.txt").write_text("\n".join(COLOURS) + "\n")
    alone = tiny_run(
        root,
        tmp_path / "alone",
        data={"sources": [str(samples)], "samples_per_step": 4, "pack_tokens": 64, "num_workers": 0},
        steps=4,
        language={"lr": 1e-3 if answers else 0},
        align={"texts": str(tmp_path / "texts.txt"), "answers": answers},
        save={"every_steps": 4, "layouts": ["vl3"]},
    )
    run(ALONE, alone)
    two = replace(alone, output=str(tmp_path / "two"))
    run(TORCHRUN, two)
    for key in ("loss", "align_loss"):
        assert losses(tmp_path / "two", key) == pytest.approx(losses(tmp_path / "alone", key), abs=1e-4)


def test_a_rank_without_media_does_not_hang(root: Path, tmp_path: Path) -> None:
    """One rank is given an image in every step, the other a text; the number types are those of stage 1."""
    path = write_toy(tmp_path / "by_turns", 24, kinds="it")
    frozen = {"language": {"lr": 0}, "precision": "bf16", "save": {"every_steps": 12, "layouts": ["vl3"]}}
    config = tiny_run(root, tmp_path / "run", steps=12, **frozen)
    source = replace(config.data.sources[0], path=str(path))
    data = replace(config.data, sources=(source,), samples_per_step=2, shuffle=False)
    run(TORCHRUN, replace(config, data=data))
    assert len(losses(tmp_path / "run")) == 12


def test_failures_of_all_ranks_are_counted_on(root: Path, tmp_path: Path) -> None:
    """Only the second rank meets samples that fail; what the checkpoint says of them counts after a resume too."""
    path = write_toy(tmp_path / "bad", 12, kinds="t")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows[1::2]:
        row["image"] = ["gone.png"]
        row["conversations"][0]["value"] = "<image>\n" + row["conversations"][0]["value"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = tiny_run(root, tmp_path / "run", steps=3, save={"every_steps": 3, "layouts": ["vl3"]})
    source = replace(config.data.sources[0], path=str(path))
    run(TORCHRUN, replace(config, data=replace(config.data, sources=(source,), samples_per_step=4, shuffle=False)))
    position = json.loads((tmp_path / "run/checkpoints/step-00000003/position.json").read_text())
    assert (position["data"]["num_seen"], position["data"]["num_failed"]) == (12, 6)


@pytest.mark.slow
def test_kills_at_random_moments_change_nothing(root: Path, tmp_path: Path) -> None:
    whole = tiny_run(root, tmp_path / "whole", steps=40, save={"every_steps": 1, "layouts": ["vl3"]})
    run(ALONE, whole)
    killed = replace(whole, output=str(tmp_path / "killed"))
    log, rng, kills = tmp_path / "killed/log.jsonl", random.Random(0), 0
    for kill in range(10):
        process = subprocess.Popen(
            command(ALONE, killed), stderr=subprocess.DEVNULL, start_new_session=True, env={**os.environ}
        )
        deadline, before = time.monotonic() + 120, lines(log)
        while process.poll() is None and lines(log) <= before and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(rng.random() * 0.3)  # somewhere in a step, or while a checkpoint is written
        kills += process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert lines(log) > 0, f"kill {kill} came before the first step"
    assert kills == 10
    run(ALONE, killed)
    a, b = weights(whole), weights(killed)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")


def lines(path: Path) -> int:
    """How many lines a log has so far."""
    return path.read_text().count("\n") if path.exists() else 0
