"""A picture that text is written on, which remembers the box of every word; named colours; the wear of a camera."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from recipes.nano.data.sample import Region
from vl3.data.boxes import box_from_pixels

Colour = tuple[int, int, int]
PixelBox = tuple[float, float, float, float]

COLOURS: dict[str, Colour] = {
    "red": (208, 32, 38),
    "orange": (245, 135, 20),
    "yellow": (250, 214, 45),
    "green": (28, 124, 48),
    "blue": (35, 88, 200),
    "purple": (120, 45, 160),
    "pink": (244, 130, 178),
    "brown": (120, 72, 36),
    "black": (24, 24, 26),
    "white": (250, 250, 248),
}
"""The colours that questions name."""

WHITE, BLACK = COLOURS["white"], COLOURS["black"]


def near(rng: random.Random, colour: Colour, spread: int = 12) -> Colour:
    """A colour that still goes by the same name."""
    red, green, blue = (min(255, max(0, part + rng.randint(-spread, spread))) for part in colour)
    return red, green, blue


def contrast(one: Colour, other: Colour) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.1, relative luminance)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: Colour) -> float:
    linear = [part / 3294.6 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def choose_ink(rng: random.Random, ground: Colour, least: float = 4.0) -> Colour:
    """A colour that reads well on the ground: black or white half of the time, else any."""
    if rng.random() < 0.5:
        return max((BLACK, WHITE), key=lambda ink: contrast(ink, ground))
    inks = [ink for ink in COLOURS.values() if contrast(ink, ground) >= least]
    return rng.choice(inks) if inks else max((BLACK, WHITE), key=lambda ink: contrast(ink, ground))


def choose_paper(rng: random.Random) -> Colour:
    """A light ground: white, cream, or a pale tint."""
    if rng.random() < 0.4:
        return WHITE
    return rng.randint(225, 255), rng.randint(225, 255), rng.randint(215, 255)


_SIDES = range(160, 385, 32)
SIZES = [(w, h) for w in _SIDES for h in _SIDES if w * h <= 110_000 and 0.5 <= w / h <= 2.1]
"""(width, height) of pictures: sides of whole tokens, some 30 to 107 of them."""


def choose_size(rng: random.Random, least: int = 160) -> tuple[int, int]:
    """Width and height, neither below `least`."""
    return rng.choice([size for size in SIZES if min(size) >= least])


@dataclass(eq=False)
class Canvas:
    """A picture being drawn, with the regions drawn so far (in pixels)."""

    width: int
    height: int
    ground: Colour
    image: Image.Image = field(init=False)
    draw: ImageDraw.ImageDraw = field(init=False)
    marks: list[tuple[PixelBox, str]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.image = Image.new("RGB", (self.width, self.height), self.ground)
        self.draw = ImageDraw.Draw(self.image)

    def write(self, x: float, y: float, text: str, font: ImageFont.FreeTypeFont, ink: Colour, align: str = "l") -> None:
        """Writes a line with its baseline at y and its left end, middle or right end (`l`, `m`, `r`) at x."""
        start = round(x - font.getlength(text) * {"l": 0, "m": 0.5, "r": 1}[align])
        for offset, word in places_of_words(text, font):
            self.draw.text((start + offset, round(y)), word, ink, font, anchor="ls")
            mask, (left, top) = font.getmask2(word, "L", anchor="ls")  # getbbox() would count the room beside letters
            x1, y1, x2, y2 = mask.getbbox()
            left, top = left + start + offset, top + round(y)
            self.mark((left + x1, top + y1, left + x2, top + y2), word)

    def mark(self, box: PixelBox, text: str) -> None:
        """Remembers a region, cut to the picture."""
        x1, y1, x2, y2 = box
        cut = (max(0, x1), max(0, y1), min(self.width, x2), min(self.height, y2))
        self.marks.append((cut, text))

    def regions(self) -> list[Region]:
        """Everything remembered, in the order of drawing."""
        return [Region(box_from_pixels(box, self.width, self.height), text) for box, text in self.marks]


def places_of_words(text: str, font: ImageFont.FreeTypeFont) -> list[tuple[int, str]]:
    """(distance from the start of the line in whole pixels, word) of each word."""
    words = text.split(" ")
    starts = [" ".join([*words[:place], ""]) if place else "" for place in range(len(words))]
    return [(round(font.getlength(start)), word) for start, word in zip(starts, words, strict=True)]


def weather(rng: random.Random, image: Image.Image, strength: float = 1.0) -> Image.Image:
    """The picture as a camera or a copier gives it: sometimes uneven light, a slight blur, noise. Often untouched."""
    if rng.random() < 0.25 * strength:
        image = _shade(rng, image)
    if rng.random() < 0.3 * strength:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.9)))
    if rng.random() < 0.3 * strength:
        numbers = np.random.default_rng(rng.getrandbits(32))
        noise = numbers.normal(0, rng.uniform(2, 10), (image.height, image.width, 1)).astype(np.float32)
        image = Image.fromarray(np.clip(np.asarray(image, np.float32) + noise, 0, 255).astype(np.uint8))
    return image


def _shade(rng: random.Random, image: Image.Image) -> Image.Image:
    """Light that falls off towards one side."""
    across = np.linspace(rng.uniform(0.8, 1), rng.uniform(0.8, 1), image.width, dtype=np.float32)
    down = np.linspace(rng.uniform(0.9, 1), 1, image.height, dtype=np.float32)
    light = (down[:, None] * across)[..., None]
    return Image.fromarray((np.asarray(image, np.float32) * light).astype(np.uint8))


def texture(rng: random.Random, width: int, height: int) -> Image.Image:
    """A ground for a sign: plain, shaded, striped, tiled, or clouded."""
    one = near(rng, rng.choice(list(COLOURS.values())), 60)
    other = near(rng, one, 50)
    kind = rng.choice(("plain", "shaded", "striped", "tiled", "clouded"))
    image = Image.new("RGB", (width, height), one)
    if kind == "shaded":
        return _mix(image, other, np.linspace(0, 1, height, dtype=np.float32)[:, None].repeat(width, 1))
    if kind == "clouded":
        numbers = np.random.default_rng(rng.getrandbits(32))
        cells = Image.fromarray((numbers.random((rng.randint(4, 24), rng.randint(4, 24))) * 255).astype(np.uint8))
        return _mix(image, other, np.asarray(cells.resize((width, height), Image.Resampling.BICUBIC), np.float32) / 255)
    step = rng.randint(12, 48)
    draw = ImageDraw.Draw(image)
    if kind == "striped":
        for x in range(0, width, 2 * step):
            draw.rectangle((x, 0, x + step, height), other)
    if kind == "tiled":
        for x in range(0, width, step):
            draw.line((x, 0, x, height), other, 2)
        for y in range(0, height, step):
            draw.line((0, y, width, y), other, 2)
    return image


def _mix(image: Image.Image, other: Colour, share: np.ndarray) -> Image.Image:
    mask = Image.fromarray((share * 255).astype(np.uint8))
    return Image.composite(Image.new("RGB", image.size, other), image, mask)


def join(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
