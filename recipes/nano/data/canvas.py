"""Things put on a background: cut-outs and shapes as layers, free placement, and the camera's small faults."""

import io
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageEnhance, ImageFilter

from recipes.nano.data.pool import Picture
from recipes.nano.data.sample import Region
from recipes.nano.data.words import POSITIONS
from vl3.data.boxes import Box, box_from_pixels

SMALL = 128
"""Side in pixels of the kept copies that scenes draw from."""


@dataclass(frozen=True)
class Layer:
    """Something that can be put on a picture: RGBA pixels cropped to what is opaque, and what they show."""

    image: Image.Image
    text: str
    """`dog`, `red circle`."""
    colour: str | None = None
    """Of a shape."""
    shape: str | None = None


@dataclass(frozen=True)
class Thing:
    """A layer where it was put."""

    layer: Layer
    box: tuple[int, int, int, int]
    """(x1, y1, x2, y2) in pixels."""
    frame: tuple[int, int]
    """Width and height of the picture it is in."""

    @property
    def text(self) -> str:
        return self.layer.text

    @property
    def thousandths(self) -> Box:
        """The box as models write it."""
        return box_from_pixels(self.box, *self.frame)

    @property
    def center(self) -> tuple[float, float]:
        """In fractions of the picture."""
        x1, y1, x2, y2 = self.box
        return (x1 + x2) / 2 / self.frame[0], (y1 + y2) / 2 / self.frame[1]

    @property
    def positions(self) -> list[str]:
        """The words of POSITIONS that someone may use for its place; one word when the place is clear."""
        x, y = self.center
        columns, rows = ([x < 0.42, 0.36 < x < 0.64, x > 0.58], [y < 0.42, 0.36 < y < 0.64, y > 0.58])
        return [POSITIONS[row][column] for row in range(3) for column in range(3) if rows[row] and columns[column]]

    @property
    def position(self) -> str | None:
        """Its place when that is clear: not for what fills most of the picture or lies between two places."""
        x1, y1, x2, y2 = self.box
        large = x2 - x1 > 0.6 * self.frame[0] or y2 - y1 > 0.6 * self.frame[1]
        return self.positions[0] if len(self.positions) == 1 and not large else None


@dataclass(frozen=True)
class Scene:
    """A finished picture and what is in it."""

    image: Image.Image
    things: Sequence[Thing]
    background: str | None
    """The one of COLOURS the background has, if it is plain."""

    @property
    def regions(self) -> list[Region]:
        """For dense alignment."""
        return [Region(thing.thousandths, thing.text) for thing in self.things]


def picture_size(rng: random.Random, low: int = 160, high: int = 320) -> tuple[int, int]:
    """Width and height within [low, high], any aspect from 2:3 to 3:2."""
    side = rng.triangular(low, high, low + 0.3 * (high - low))
    aspect = math.exp(rng.uniform(-0.4, 0.4))
    width, height = (round(min(max(side * f, low), high)) for f in (aspect**0.5, aspect**-0.5))
    return width, height


@lru_cache(maxsize=4096)
def open_small(path: Path) -> Image.Image:
    """A picture of the pool with at most SMALL pixels a side, RGBA; kept."""
    image = Image.open(path).convert("RGBA")
    image.thumbnail((SMALL, SMALL), Image.Resampling.BICUBIC)
    return image


@lru_cache(maxsize=256)
def open_large(path: Path) -> Image.Image:
    """A picture of the pool as it is, RGBA."""
    return Image.open(path).convert("RGBA")


def picture_layer(rng: random.Random, picture: Picture, side: int, *, turn: float = 12) -> Layer:
    """The picture with `side` pixels as its longer side; flipped, turned by up to `turn` degrees, its light changed."""
    image = open_small(picture.path) if side <= SMALL else open_large(picture.path)
    factor = side / max(image.size)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2)
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < 0.6:
        image = relight(rng, image)
    if picture.cutout and rng.random() < 0.6:
        image = image.rotate(rng.uniform(-turn, turn), Image.Resampling.BILINEAR, expand=True)
    return Layer(trim(image), picture.name)


def relight(rng: random.Random, image: Image.Image) -> Image.Image:
    """Other brightness, contrast and saturation; alpha as it was. Colours keep their names."""
    alpha = image.getchannel("A")
    rgb = ImageEnhance.Color(image.convert("RGB")).enhance(rng.uniform(0.7, 1.3))
    gain, lift = rng.uniform(0.75, 1.2), rng.uniform(-12, 20)
    rgb = rgb.point([min(255, max(0, round(value * gain + lift))) for value in range(256)] * 3)
    rgb.putalpha(alpha)
    return rgb


def trim(image: Image.Image) -> Image.Image:
    """Without the borders that are (nearly) transparent."""
    box = image.getchannel("A").point([0] * 48 + [255] * 208).getbbox()
    return image.crop(box) if box else image


def place(
    rng: random.Random, frame: tuple[int, int], sizes: Sequence[tuple[int, int]], gap: int
) -> tuple[list[Box], float]:
    """Boxes of the given sizes in the frame, apart as `find_room` says, and the scale (1 or less) at which they fit.

    Most have a clear position, all nine alike; the others are anywhere.
    """
    scale = 1.0
    while True:
        boxes: list[Box] = []
        for width, height in sizes:
            box = find_room(rng, frame, (max(1, int(width * scale)), max(1, int(height * scale))), boxes, gap)
            if box is None:
                break
            boxes.append(box)
        else:
            return boxes, scale
        scale *= 0.88


def find_room(
    rng: random.Random, frame: tuple[int, int], size: tuple[int, int], taken: Sequence[Box], gap: int
) -> Box | None:
    """A box of this size in the frame, `gap` pixels from all others (0: it may cover a sixteenth of one), or None."""
    (width, height), (w, h) = frame, size
    if w > width or h > height:
        return None
    for _ in range(24):
        centers = [
            rng.choice((rng.uniform(0.12, 0.35), rng.uniform(0.43, 0.57), rng.uniform(0.65, 0.88))) for _ in "xy"
        ]
        if rng.random() < 0.25:
            centers = [rng.random(), rng.random()]
        x = min(max(round(centers[0] * width - w / 2), 0), width - w)
        y = min(max(round(centers[1] * height - h / 2), 0), height - h)
        box = (x, y, x + w, y + h)
        wide = (x - gap, y - gap, x + w + gap, y + h + gap)
        share = 0 if gap else 1 / 16
        if all(overlap(wide, other) <= share * min(area(box), area(other)) for other in taken):
            return box
    return None


def area(box: Box) -> int:
    """Of a box in pixels."""
    return (box[2] - box[0]) * (box[3] - box[1])


def overlap(one: Box, other: Box) -> int:
    """The area that two boxes share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0, width) * max(0, height)


def compose(rng: random.Random, ground: Image.Image, layers: Sequence[Layer]) -> list[Thing]:
    """Puts the layers on the background at places of their own and returns them in drawing order."""
    gap = 4 if any(layer.shape for layer in layers) else 0  # two shapes of one colour must not look like one
    boxes, scale = place(rng, ground.size, [layer.image.size for layer in layers], gap)
    things = []
    for layer, box in zip(layers, boxes, strict=True):
        image = layer.image
        if scale < 1:
            image = image.resize((box[2] - box[0], box[3] - box[1]), Image.Resampling.BILINEAR)
        paste(rng, ground, image, box)
        things.append(Thing(layer, box, ground.size))
    return things


def paste(rng: random.Random, ground: Image.Image, image: Image.Image, box: Box) -> None:
    """Puts RGBA pixels on the background; with a thin rim where they would hardly stand out, sometimes elsewhere."""
    behind = ground.crop(box)
    alpha = image.getchannel("A")
    difference = ImageChops.difference(image.convert("RGB"), behind)
    weights = np.asarray(alpha, dtype=np.float32)
    contrast = float((np.asarray(difference).max(axis=2) * weights).sum() / max(1.0, weights.sum()))
    if contrast < 70 or rng.random() < 0.05:
        mean = np.asarray(behind.resize((1, 1), Image.Resampling.BOX)).mean()
        rim = (25, 25, 25) if mean > 110 else (245, 245, 245)
        wide = Image.new("L", (image.width + 6, image.height + 6))
        wide.paste(alpha, (3, 3))
        ground.paste(rim, (box[0] - 3, box[1] - 3), wide.filter(ImageFilter.MaxFilter(5)))
    ground.paste(image, box[:2], image)


def camera(rng: random.Random, image: Image.Image) -> Image.Image:
    """Small faults of cameras and files: blur, noise, JPEG blocks. Most pictures have none or one of them."""
    if rng.random() < 0.15:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.0)))
    if rng.random() < 0.2:
        noise = np.random.default_rng(rng.getrandbits(32)).standard_normal((image.height, image.width, 1), np.float32)
        pixels = np.asarray(image, dtype=np.float32) + noise * rng.uniform(2, 9)
        image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    if rng.random() < 0.2:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=rng.randint(35, 80))
        image = Image.open(buffer).convert("RGB")
    return image
