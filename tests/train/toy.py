"""Generated data that a tiny model can learn: the colour of a square, its way across a clip, and a sum in words."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220), "white": (240, 240, 240)}
WAYS = {"left": (0, -1), "right": (0, 1)}


def write_toy(folder: Path, count: int, seed: int = 0, kinds: str = "ivt") -> Path:
    """`count` samples of images (i), clips as folders of frames (v) and text (t) in turn; the annotation file."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    records = [_RECORDS[kinds[index % len(kinds)]](folder, index, rng) for index in range(count)]
    path = folder / "samples.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def _image(folder: Path, index: int, rng: np.random.Generator) -> dict[str, object]:
    colour = list(COLOURS)[rng.integers(len(COLOURS))]
    size = (28, 28) if rng.random() < 0.5 else (28, 42)
    Image.fromarray(_square(size, COLOURS[colour], int(rng.integers(0, 14)), int(rng.integers(0, 14)))).save(
        folder / f"{index}.png"
    )
    return {"image": [f"{index}.png"], "conversations": _turns("<image>\nColour?", colour)}


def _clip(folder: Path, index: int, rng: np.random.Generator) -> dict[str, object]:
    way = list(WAYS)[rng.integers(len(WAYS))]
    frames = folder / f"{index}"
    frames.mkdir()
    row = int(rng.integers(0, 28))
    for t in range(3):
        column = 2 + 14 * t
        column = column if way == "right" else 42 - column - 2
        Image.fromarray(_square((56, 56), (220, 30, 30), row, column)).save(frames / f"{t:03d}.png")
    return {"video": [f"{index}"], "conversations": _turns("<video>\nWay?", way)}


def _text(_folder: Path, _index: int, rng: np.random.Generator) -> dict[str, object]:
    a = int(rng.integers(0, 9))
    return {"conversations": _turns(f"After {a}?", str(a + 1))}


def _square(size: tuple[int, int], colour: tuple[int, int, int], row: int, column: int) -> np.ndarray:
    picture = np.zeros((*size, 3), dtype=np.uint8)
    picture[row : row + 14, column : column + 14] = colour
    return picture


def _turns(question: str, answer: str) -> list[dict[str, str]]:
    return [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]


_RECORDS = {"i": _image, "v": _clip, "t": _text}
