"""safety: drops what a function of your own refuses; this project brings no such model."""

import pkgutil
from collections.abc import Callable
from typing import Any

from vl3.config import Count, configclass
from vl3.curate.media import PLACE, picture
from vl3.curate.step import Found, Place, Rows, RowStep
from vl3.errors import UserError


@configclass
class SafetyConfig:
    """Who judges."""

    function: str
    """`module:function` that takes a list of PIL pictures (RGB) and a list of their texts (or None), and returns for
    each the reason to drop it, or None. The module is imported once in each worker: it may load a model then."""
    batch_size: Count = 16
    """Rows of one call."""


def safety_step(config: SafetyConfig) -> RowStep:
    """Writes nothing."""

    def start(_place: Place) -> Callable[[Rows], Found]:
        function = named(config.function)

        def judge(rows: Rows) -> Found:
            reasons: list[str | None] = []
            for first in range(0, len(rows["id"]), config.batch_size):
                last = min(first + config.batch_size, len(rows["id"]))
                said = function([picture(rows, n) for n in range(first, last)], rows["text"][first:last])
                if len(said) != last - first:
                    raise UserError(f"{config.function}: gave {len(said)} answers for {last - first} pictures")
                reasons += said
            return Found(reasons=reasons)

        return judge

    return RowStep((*PLACE, "text"), {}, start, only="image", heavy=True)


def named(name: str) -> Callable[..., Any]:
    """The function of that name. UserError when there is none."""
    try:
        found = pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"safety.function: {name!r} cannot be imported as module:function: {error}") from error
    if not callable(found):
        raise UserError(f"safety.function: {name!r} is no function")
    function: Callable[..., Any] = found
    return function
