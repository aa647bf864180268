"""Boxes and times as models write them: boxes in thousandths of the picture, times in seconds with one decimal."""

from collections.abc import Sequence

Box = tuple[int, int, int, int]


def box_from_pixels(box: Sequence[float], width: int, height: int) -> Box:
    """(x1, y1, x2, y2) in pixels of a width x height picture -> integers in 0..1000."""
    x1, y1, x2, y2 = box
    return box_from_fractions((x1 / width, y1 / height, x2 / width, y2 / height))


def box_from_fractions(box: Sequence[float]) -> Box:
    """(x1, y1, x2, y2) in 0..1 -> integers in 0..1000. ValueError for an empty box or one that leaves the picture."""
    x1, y1, x2, y2 = (round(1000 * side) for side in box)
    if not (0 <= x1 <= x2 <= 1000 and 0 <= y1 <= y2 <= 1000):
        raise ValueError(f"box {tuple(box)} is not inside the picture, or its corners are the wrong way round")
    return x1, y1, x2, y2


def box_to_pixels(box: Sequence[int], width: int, height: int) -> tuple[float, float, float, float]:
    """Integers in 0..1000 -> pixels."""
    x1, y1, x2, y2 = box
    return x1 * width / 1000, y1 * height / 1000, x2 * width / 1000, y2 * height / 1000


def write_box(box: Box) -> str:
    """`[x1, y1, x2, y2]`."""
    return "[" + ", ".join(map(str, box)) + "]"


def write_time(seconds: float) -> str:
    """`3.0`: seconds with one decimal, as in `from 3.0 to 8.2 seconds`."""
    return f"{seconds:.1f}"
