"""Coloured shapes as layers: drawn three times too large and scaled down, so that edges are smooth."""

import math
import random
from collections.abc import Callable, Sequence

from PIL import Image, ImageDraw

from recipes.nano.data.canvas import Layer, trim
from recipes.nano.data.words import SHAPES, Rgb, shade

FINE = 3
"""How many times finer the outline is drawn."""

Point = tuple[float, float]

POLYGONS: dict[str, Sequence[Point]] = {
    "triangle": [(0.5, 0.05), (1, 0.95), (0, 0.95)],
    "cross": [
        (0.34, 0),
        (0.66, 0),
        (0.66, 0.34),
        (1, 0.34),
        (1, 0.66),
        (0.66, 0.66),
        (0.66, 1),
        (0.34, 1),
        (0.34, 0.66),
        (0, 0.66),
        (0, 0.34),
        (0.34, 0.34),
    ],
    "diamond": [(0.5, 0), (0.86, 0.5), (0.5, 1), (0.14, 0.5)],
    "arrow": [(0, 0.36), (0.55, 0.36), (0.55, 0.1), (1, 0.5), (0.55, 0.9), (0.55, 0.64), (0, 0.64)],
}
"""Corners in the unit square."""


def star(points: int = 5, inner: float = 0.42) -> list[Point]:
    """Corners of a star in the unit square."""
    corners = []
    for corner in range(2 * points):
        radius, angle = (0.5 if corner % 2 == 0 else 0.5 * inner), corner * math.pi / points
        corners.append((0.5 + radius * math.sin(angle), 0.5 - radius * math.cos(angle)))
    return corners


def heart() -> list[Point]:
    """Corners of a heart in the unit square."""
    corners = []
    for step in range(60):
        t = step * math.pi / 30
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        corners.append((0.5 + math.sin(t) ** 3 / 2, 0.46 - y / 33))
    return corners


def draw_polygon(corners: Sequence[Point]) -> Callable[[Image.Image, random.Random], None]:
    """A drawer of the polygon."""

    def draw(mask: Image.Image, _: random.Random) -> None:
        ImageDraw.Draw(mask).polygon([(x * (mask.width - 1), y * (mask.height - 1)) for x, y in corners], fill=255)

    return draw


def draw_ellipse(mask: Image.Image, _: random.Random) -> None:
    ImageDraw.Draw(mask).ellipse((0, 0, mask.width - 1, mask.height - 1), fill=255)


def draw_rectangle(mask: Image.Image, _: random.Random) -> None:
    mask.paste(255, (0, 0, *mask.size))


def draw_ring(mask: Image.Image, rng: random.Random) -> None:
    draw_ellipse(mask, rng)
    edge = rng.uniform(0.18, 0.26) * mask.width
    ImageDraw.Draw(mask).ellipse((edge, edge, mask.width - 1 - edge, mask.height - 1 - edge), fill=0)


def draw_crescent(mask: Image.Image, rng: random.Random) -> None:
    draw_ellipse(mask, rng)
    shift = rng.uniform(0.26, 0.34) * mask.width
    ImageDraw.Draw(mask).ellipse((shift, 0.05 * mask.height, mask.width + shift, 0.95 * mask.height), fill=0)


DRAW: dict[str, Callable[[Image.Image, random.Random], None]] = {
    **{name: draw_polygon(corners) for name, corners in POLYGONS.items()},
    "star": draw_polygon(star()),
    "heart": draw_polygon(heart()),
    "circle": draw_ellipse,
    "ellipse": draw_ellipse,
    "square": draw_rectangle,
    "rectangle": draw_rectangle,
    "ring": draw_ring,
    "crescent": draw_crescent,
}

TURN = {
    "triangle": 15,
    "star": 36,
    "cross": 12,
    "heart": 18,
    "square": 10,
    "rectangle": 12,
    "ellipse": 20,
    "diamond": 8,
}
"""By how many degrees a shape may be turned and keep its name. Arrows and crescents point anywhere."""

assert set(DRAW) == set(SHAPES)


def shape_layer(rng: random.Random, colour: str, shape: str, side: int) -> Layer:
    """A `colour` `shape` with about `side` pixels as its longer side, in one shade or running into another."""
    width = height = side
    if shape in ("rectangle", "ellipse"):
        width = round(side / rng.uniform(1.6, 2.4))
    elif shape == "diamond":
        width = round(side * rng.uniform(0.95, 1.05))
    mask = Image.new("L", (width * FINE, height * FINE))
    DRAW[shape](mask, rng)
    if shape in ("rectangle", "ellipse") and rng.random() < 0.6:
        mask = mask.transpose(Image.Transpose.ROTATE_90)
    if shape in ("arrow", "crescent"):
        mask = mask.rotate(rng.choice((0, 90, 180, 270)) + rng.uniform(-20, 20), expand=True)
    elif shape in TURN and rng.random() < 0.6:
        mask = mask.rotate(rng.uniform(-TURN[shape], TURN[shape]), expand=True)
    mask = mask.reduce(FINE)
    fill = paint(rng, mask.size, colour)
    fill.putalpha(mask)
    return Layer(trim(fill), f"{colour} {shape}", colour, shape)


def paint(rng: random.Random, size: tuple[int, int], colour: str) -> Image.Image:
    """One shade of the colour all over, or running from one shade into another."""
    first: Rgb = shade(rng, colour)
    if rng.random() < 0.65:
        return Image.new("RGB", size, first)
    second = shade(rng, colour)
    image = Image.new("RGB", (2, 2))
    image.putdata([first, second, *rng.choice([(first, second), (second, first), (second, second)])])
    return image.resize(size, Image.Resampling.BILINEAR)
