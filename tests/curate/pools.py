"""Small pools of pictures that tests make."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from vl3.curate import CurateConfig, read_recipe
from vl3.curate.record import Outcome, parts_of
from vl3.curate.rows import read_part


def picture(seed: int, width: int = 96, height: int = 72) -> Image.Image:
    """A picture like no other: smooth colours with some edges."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def write_table(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """A .jsonl file of rows."""
    path = folder / "pool.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def recipe(folder: Path, source: Path, steps: dict[str, Any], *assignments: str, **more: Any) -> CurateConfig:
    """The config of a recipe that is written to `folder`, whose run's folder is `folder`/out."""
    path = folder / "recipe.yaml"
    data = {"output": str(folder / "out"), "sources": [{"path": str(source)}], "steps": steps, **more}
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return read_recipe(path, list(assignments))


def rows_after(outcome: Outcome) -> list[dict[str, Any]]:
    """All rows after a step, dropped ones too."""
    return [row for part in parts_of(outcome.folder) for row in read_part(part).to_pylist()]
