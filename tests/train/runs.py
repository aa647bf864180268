"""Small runs for tests."""

import json
from pathlib import Path
from typing import Any

from tests.train.toy import write_toy
from vl3.config import decode
from vl3.train import TrainConfig
from vl3.weights.demo import save_demo_model


def materials(root: Path) -> Path:
    """A tiny model, samples to train on and samples held out."""
    save_demo_model(root / "model")
    write_toy(root / "train", 30, seed=0)
    write_toy(root / "held_out", 6, seed=1)
    return root


def tiny_run(root: Path, output: Path, **changes: Any) -> TrainConfig:
    """A run of a few steps on all three modules in float32."""
    data = {"sources": [{"path": str(root / "train/samples.jsonl")}], "samples_per_step": 6, "num_workers": 1}
    settings: dict[str, Any] = {
        "init_from": str(root / "model"),
        "output": str(output),
        "data": {**data, "pack_tokens": 256},
        "vision": {"lr": 1e-3},
        "projector": {"lr": 1e-3},
        "language": {"lr": 1e-3},
        "steps": 4,
        "precision": "fp32",
        "device": "cpu",
        "save": {"every_steps": 2},
    }
    return decode(TrainConfig, {**settings, **changes}, "test")


def losses(output: Path, key: str = "loss") -> list[float]:
    """The loss of every logged step; key: of which kind."""
    records = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    return [record[key] for record in records if "loss" in record]
