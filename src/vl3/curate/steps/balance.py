"""balance: takes no more than so many rows of each group, so that what is common does not drown what is rare."""

import statistics
import zlib
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from vl3.config import Count, configclass
from vl3.curate.step import NUMBERS, WORDS, Found, Place, Pool, PoolStep, Type, refuse_column


@configclass
class BalanceConfig:
    """How many of each."""

    by: str = "cluster"
    """The column with the group."""
    most: Count | None = None
    """Most rows of a group; None takes `times` the median group's size."""
    times: Annotated[float, Field(gt=0)] = 1.5
    """Most rows of a group, as a multiple of the median group."""
    prefer: str | None = "centre_similarity"
    """The number column by which rows of a group are chosen, highest first: the paper takes those nearest to the
    centre; `quality` the best. None takes any, by a hash of their ids."""


def balance_step(config: BalanceConfig) -> PoolStep:
    """Writes nothing."""

    def ready(columns: Mapping[str, Type]) -> None:
        refuse_column(columns, config.by, "by", (*WORDS, *NUMBERS, "bool"))
        if config.prefer:
            refuse_column(columns, config.prefer, "prefer", NUMBERS)

    inputs = (config.by, *([config.prefer] if config.prefer else []))
    return PoolStep(inputs, {}, partial(cap, config), only="image", ready=ready)


def cap(config: BalanceConfig, pool: Pool, _place: Place) -> Found:
    """Keeps the first of each group. Rows without a group are one."""
    ids: list[str] = []
    groups: list[Any] = []
    worth: list[tuple[float, int]] = []
    for rows in pool.batches((config.by, *([config.prefer] if config.prefer else []))):
        values = rows[config.prefer] if config.prefer else [0.0] * len(rows["id"])
        ids += rows["id"]
        groups += rows[config.by]
        worth += [(-(value or 0.0), zlib.crc32(name.encode())) for value, name in zip(values, rows["id"], strict=True)]
    if not ids:
        return Found()
    most = config.most or max(1, round(config.times * statistics.median(Counter(groups).values())))
    taken: Counter[Any] = Counter()
    reasons: list[str | None] = [None] * len(ids)
    for number in sorted(range(len(ids)), key=lambda number: (worth[number], number)):
        taken[groups[number]] += 1
        if taken[groups[number]] > most:
            reasons[number] = "its group is full"
    return Found(reasons=reasons)
