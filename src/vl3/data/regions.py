"""What is where in an image, for dense alignment: named boxes -> what each visual token should mean."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from vl3.data.boxes import Box
from vl3.errors import UserError

HALF = 0.499
"""A half, less what rounding may take."""


class Region(NamedTuple):
    """A thing in an image."""

    box: Box
    """[x1, y1, x2, y2] in thousandths of the image."""
    text: str
    """What it is: a name, or a written word."""


def parse_regions(data: Any) -> tuple[Region, ...]:
    """Reads `[{"box": [x1, y1, x2, y2], "text": "dog"}, ...]`. UserError for anything else."""
    if not isinstance(data, list):
        raise UserError("`regions` must be a list of objects with box and text")
    regions = []
    for item in data:
        box = item.get("box") if isinstance(item, Mapping) else None
        text = item.get("text") if isinstance(item, Mapping) else None
        if not isinstance(box, list) or len(box) != 4 or not all(type(side) is int for side in box):
            raise UserError(f"a region needs a box of four integers in thousandths of the image: {item!r:.80}")
        if not isinstance(text, str) or not text.strip():
            raise UserError(f"a region needs a text: {item!r:.80}")
        x1, y1, x2, y2 = box
        if not (0 <= x1 < x2 <= 1000 and 0 <= y1 < y2 <= 1000):
            raise UserError(f"region {item!r:.80}: 0 <= x1 < x2 <= 1000 does not hold, or the same of y")
        regions.append(Region((x1, y1, x2, y2), text))
    return tuple(regions)


def token_texts(regions: Sequence[Region], rows: int, columns: int) -> list[str]:
    """For each of rows x columns visual tokens, in raster order, the text of the region that it shows; "" for none.

    A token shows a region when, along either axis, it holds at least half of the most that fits into one token, so
    that a thin line of text between two rows counts in both. Where several do, the one that it holds more of wins, or
    else the later one, which lies on top.
    """
    texts = [""] * (rows * columns)
    held = np.zeros(rows * columns)
    for region in regions:
        x1, y1, x2, y2 = (side / 1000 for side in region.box)
        across, down = _shares(x1, x2, columns), _shares(y1, y2, rows)
        share = np.outer(down, across).ravel()
        shows = np.outer(down >= HALF, across >= HALF).ravel() & (share >= held)
        held[shows] = share[shows]
        for place in np.flatnonzero(shows):
            texts[place] = region.text
    return texts


def _shares(start: float, end: float, count: int) -> np.ndarray:
    """How much of [start, end], as a share of the most that fits, lies in each of `count` equal parts of [0, 1]."""
    edges = np.arange(count + 1) / count
    overlap = np.minimum(end, edges[1:]) - np.maximum(start, edges[:-1])
    share: np.ndarray = np.clip(overlap, 0, None) / min(end - start, 1 / count)
    return share
