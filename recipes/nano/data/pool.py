"""The pool of named pictures and of backgrounds that scenes and clips are composed of, as `pictures.py` has written it.

`FOLDER/pictures.jsonl` has one picture a line, `FOLDER/backgrounds.jsonl` one background (`path`, `source`, `licence`).
"""

import json
import random
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from PIL import Image

from recipes.nano.data.sample import Split


@dataclass(frozen=True)
class Picture:
    """One named picture."""

    path: Path
    """A PNG with at most 320 pixels a side, cropped to what is opaque."""
    name: str
    """What it shows, in lower case without an article: `dog`, `fire engine`."""
    kind: Literal["photo", "drawing"]
    cutout: bool
    """Whether its background is transparent, so that it can be put into a scene."""
    source: str
    """The package it comes from."""
    licence: str
    split: Split
    """held_out: shown in evaluation only. Its name then occurs in training with other pictures."""

    def open(self) -> Image.Image:
        """The picture, RGBA."""
        return Image.open(self.path).convert("RGBA")


@dataclass(frozen=True)
class Pool:
    """The pictures of one split, with the backgrounds, which both splits share out between them."""

    pictures: list[Picture]
    backgrounds: list[Path]

    @cached_property
    def names(self) -> list[str]:
        """All names, each once."""
        return sorted({picture.name for picture in self.pictures})

    @cached_property
    def by_name(self) -> dict[str, list[Picture]]:
        """The pictures of each name."""
        result: dict[str, list[Picture]] = {}
        for picture in self.pictures:
            result.setdefault(picture.name, []).append(picture)
        return result

    def choose(self, rng: random.Random, *, cutout: bool = False) -> Picture:
        """A picture of a name drawn evenly among names, so that no name is seen more often for having many pictures."""
        while True:
            picture = rng.choice(self.by_name[rng.choice(self.names)])
            if picture.cutout or not cutout:
                return picture


def load_pool(folder: Path, split: Split) -> Pool:
    """The pool of one split. The last tenth of the backgrounds is held out."""
    lines = [json.loads(line) for line in (folder / "pictures.jsonl").read_text(encoding="utf-8").splitlines()]
    pictures = [Picture(**{**line, "path": folder / line["path"]}) for line in lines if line["split"] == split]
    grounds = [json.loads(line) for line in (folder / "backgrounds.jsonl").read_text(encoding="utf-8").splitlines()]
    paths = [folder / line["path"] for line in grounds]
    cut = len(paths) * 9 // 10
    return Pool(pictures, paths[:cut] if split == "train" else paths[cut:])
