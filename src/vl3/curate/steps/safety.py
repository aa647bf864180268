"""safety: drops what a function of your own refuses; this project brings no such model."""

import pkgutil
from collections.abc import Callable
from typing import Any

from vl3.config import Count, configclass
from vl3.curate.media import PLACE, picture_batches
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
            reasons: list[str | None] = [None] * len(rows["id"])
            for numbers, images in picture_batches(rows, range(len(reasons)), config.batch_size, reasons):
                said = function(images, [rows["text"][number] for number in numbers])
                if len(said) != len(images):
                    raise UserError(f"{config.function}: gave {len(said)} answers for {len(images)} pictures")
                for number, reason in zip(numbers, said, strict=True):
                    reasons[number] = reason
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
