"""shape: drops what is too small or too narrow (the aspect ratio filter of arXiv 2501.13106)."""

from functools import partial

from vl3.config import Count, Positive, configclass
from vl3.curate.step import Found, Rows, RowStep, plain


@configclass
class ShapeConfig:
    """Size and aspect ratio."""

    min_side: Count = 64
    """Least pixels of the shorter side."""
    max_side: Count = 20_000
    """Most pixels of the longer side."""
    max_aspect: Positive = 4.0
    """Most times that the longer side is longer than the shorter; the paper names no number."""


def shape_step(config: ShapeConfig) -> RowStep:
    """Needs what `decode` measured."""
    return RowStep(("width", "height"), {}, plain(partial(check, config)))


def check(config: ShapeConfig, rows: Rows) -> Found:
    """Judges by width and height alone. Rows without either (videos that were not probed) are kept."""
    return Found(reasons=[_fault(config, *size) for size in zip(rows["width"], rows["height"], strict=True)])


def _fault(config: ShapeConfig, width: int | None, height: int | None) -> str | None:
    if width is None or height is None:
        return None
    short, long = sorted((width, height))
    if short < config.min_side:
        return "too small"
    if long > config.max_side:
        return "too large"
    return "too narrow" if long > config.max_aspect * short else None
