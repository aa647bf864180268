"""near: drops all but one of pictures that look the same: resized, re-encoded, cropped, stamped, lit otherwise."""

from functools import partial
from typing import Annotated

import numpy as np
from pydantic import Field

from vl3.config import configclass
from vl3.curate.likeness import Likenesses, faiss_ready
from vl3.curate.step import Found, Place, Pool, PoolStep


@configclass
class NearConfig:
    """When two pictures are one."""

    max_distance: Annotated[int, Field(ge=0, le=64)] = 12
    """Most bits in which their perceptual hashes differ, of 64."""
    min_correlation: Annotated[float, Field(ge=-1, le=1)] = 0.96
    """Least correlation of their 8 x 8 colour copies."""


def near_step(config: NearConfig) -> PoolStep:
    """Writes `duplicate_of`. The largest picture stays; of equals that with the longest text, then the first."""
    inputs = ("phash", "look", "width", "height", "text")
    return PoolStep(inputs, {"duplicate_of": "string"}, partial(find, config), only="image", ready=faiss_ready)


def find(config: NearConfig, pool: Pool, _place: Place) -> Found:
    """Goes from the best picture to the worst and drops each that looks like one that stayed."""
    ids: list[str] = []
    worth: list[tuple[int, int]] = []
    hashes: list[bytes] = []
    looks: list[bytes] = []
    for rows in pool.batches(("phash", "look", "width", "height", "text")):
        ids += rows["id"]
        hashes += rows["phash"]
        looks += rows["look"]
        sizes = zip(rows["width"], rows["height"], rows["text"], strict=True)
        worth += [(-width * height, -len(text or "")) for width, height, text in sizes]
    if not ids:
        return Found()
    order = sorted(range(len(ids)), key=lambda number: (worth[number], number))
    rank = np.empty(len(ids), np.int64)
    rank[order] = np.arange(len(ids))
    known = Likenesses([hashes[number] for number in order], [looks[number] for number in order])
    kept = np.zeros(len(ids), bool)
    twin = np.full(len(ids), -1)
    for place, alike in known.pairs(known.hashes, known.looks, config.max_distance, config.min_correlation):
        better = alike[(alike < place) & kept[alike]]
        kept[place] = len(better) == 0
        twin[place] = better.min() if len(better) else -1
    twins = [None if twin[at] < 0 else ids[order[twin[at]]] for at in rank]
    return Found({"duplicate_of": twins}, [other and "looks the same" for other in twins])
