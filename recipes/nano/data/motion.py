"""Things that move over a ground, drawn frame by frame.

Whatever changes does so at a whole second, and the frames that a model sees at one a second (0, 1, 2 ... of a clip)
determine every time that is asked for:

* What appears, enters, disappears or changes at second s is so in the frame of second s and not in the one before.
* `visible from 2.0 to 6.0 seconds` is seen in the frames of 2, 3, 4 and 5, and no more at 6, maybe the clip's end.
* What starts to move (or grow, or leave) at s is in its old place at s and elsewhere at s + 1; what stops at s is at s
  where it stays; what turns back at s is then at its furthest.
"""

import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import cos, pi, sin
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from recipes.nano.data.pool import Pool
from recipes.nano.data.sample import Clip

COLOURS = {
    "red": (215, 35, 35),
    "green": (30, 160, 60),
    "blue": (35, 80, 220),
    "yellow": (245, 215, 40),
    "orange": (245, 135, 25),
    "purple": (135, 50, 170),
    "pink": (250, 130, 185),
    "black": (20, 20, 20),
    "white": (250, 250, 250),
}
SHAPES = ("circle", "square", "triangle", "diamond", "star", "cross")
SIZES = ((160, 128), (192, 128), (160, 160), (192, 160), (128, 128))
"""Widths and heights of frames."""
GROUNDS = ((236, 236, 230), (206, 220, 232), (222, 206, 190), (190, 200, 186), (120, 126, 134), (82, 92, 104))
DETAIL = 4
"""Shapes are drawn this many times larger and made smaller, for smooth edges."""

Span = tuple[int, int]
"""From one second up to but not including another."""


@dataclass(frozen=True, eq=False)
class Actor:
    """A thing over time."""

    looks: Sequence[tuple[int, Image.Image]]
    """(second, RGBA picture): what it looks like from then on. The first is of second 0."""
    path: Sequence[tuple[float, float, float]]
    """(second, x, y) of its middle in pixels; straight and steady in between, still before and after."""
    sizes: Sequence[tuple[float, float]]
    """(second, pixels of its longer side); steady in between."""
    visible: Sequence[Span]


@dataclass(frozen=True, eq=False)
class Stage:
    """What the things move over."""

    width: int
    height: int
    seconds: int
    fps: int
    ground: Image.Image
    """RGB; wider or higher than the frame where the camera moves."""
    camera: Sequence[tuple[float, float, float]] = ((0, 0, 0),)
    """(second, x, y): the top left corner of the view on the ground. Things are placed in the view's pixels."""
    noise: float = 0
    """Standard deviation in grey levels."""
    seed: int = 0
    """Of the noise."""


def draw(stage: Stage, actors: Sequence[Actor]) -> Clip:
    """The frames, the later actors over the earlier."""
    frames = np.empty((stage.seconds * stage.fps, stage.height, stage.width, 3), np.uint8)
    noise = np.random.default_rng(stage.seed)
    for number in range(len(frames)):
        time_s = number / stage.fps
        x, y = (round(value) for value in between(stage.camera, time_s))
        canvas = stage.ground.crop((x, y, x + stage.width, y + stage.height))
        for actor in actors:
            if any(start <= time_s < end for start, end in actor.visible):
                _paste(canvas, actor, time_s)
        pixels = np.asarray(canvas)
        if stage.noise:
            grain = noise.normal(0, stage.noise, pixels.shape[:2])[..., None]
            pixels = np.clip(pixels + grain, 0, 255).astype(np.uint8)
        frames[number] = pixels
    return Clip(frames, stage.fps)


def _paste(canvas: Image.Image, actor: Actor, time_s: float) -> None:
    look = actor.looks[bisect_right([second for second, _ in actor.looks], time_s) - 1][1]
    (side,) = between(actor.sizes, time_s)
    scale = side / max(look.size)
    size = max(1, round(look.width * scale)), max(1, round(look.height * scale))
    if size != look.size:
        look = look.resize(size, Image.Resampling.BILINEAR)
    x, y = between(actor.path, time_s)
    canvas.paste(look, (round(x - size[0] / 2), round(y - size[1] / 2)), look)


def between(points: Sequence[tuple[float, ...]], time_s: float) -> tuple[float, ...]:
    """The values at a time, interpolated."""
    place = bisect_right([point[0] for point in points], time_s)
    if place == 0:
        return points[0][1:]
    if place == len(points):
        return points[-1][1:]
    before, after = points[place - 1], points[place]
    share = (time_s - before[0]) / (after[0] - before[0])
    return tuple(a + share * (b - a) for a, b in zip(before[1:], after[1:], strict=True))


def arc(start_s: int, end_s: int, a: tuple[float, float], b: tuple[float, float]) -> list[tuple[float, float, float]]:
    """Half a circle from `a` to `b`, clockwise on the screen, as a path."""
    middle_x, middle_y = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
    dx, dy = a[0] - middle_x, a[1] - middle_y
    path = []
    for step in range(17):
        turn = pi * step / 16
        x, y = dx * cos(turn) - dy * sin(turn), dx * sin(turn) + dy * cos(turn)
        path.append((start_s + (end_s - start_s) * step / 16, middle_x + x, middle_y + y))
    return path


def choose_stage(rng: random.Random, pool: Pool, seconds: int, *, still: bool = False) -> Stage:
    """A frame size, a ground, and sometimes a slowly drifting ground and noise. `still`: neither of the two."""
    width, height = rng.choice(SIZES)
    fps = rng.choice((4, 8))
    drift = 0 if still or rng.random() < 0.8 else rng.choice((-3, 3))
    margin = abs(drift) * seconds
    if rng.random() < 0.5 and pool.backgrounds:
        ground = photograph(rng, pool, width + margin, height)
    else:
        ground = Image.new("RGB", (width + margin, height), rng.choice(GROUNDS))
    path = ((0, margin if drift < 0 else 0, 0), (seconds, 0 if drift < 0 else margin, 0))
    noise = rng.choice((2.0, 4.0)) if not still and rng.random() < 0.15 else 0.0
    return Stage(width, height, seconds, fps, ground, path, noise, rng.getrandbits(32))


def photograph(rng: random.Random, pool: Pool, width: int, height: int) -> Image.Image:
    """A background of the pool, cut to the size, and paler, so that things stand out."""
    image = _open(rng.choice(pool.backgrounds))
    scale = max(width / image.width, height / image.height)
    image = image.resize((max(width, round(image.width * scale)), max(height, round(image.height * scale))))
    x, y = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
    pale = Image.new("RGB", (width, height), (235, 235, 235))
    return Image.blend(image.crop((x, y, x + width, y + height)), pale, 0.45)


@lru_cache(maxsize=200)
def _open(path: Path) -> Image.Image:
    return Image.open(path).convert("RGB")


@lru_cache(maxsize=200)
def shape(name: str, colour: str) -> Image.Image:
    """A coloured shape of 64 pixels with a thin dark (or, on black, light) outline."""
    side = 64 * DETAIL
    image = Image.new("RGBA", (side, side))
    pen = ImageDraw.Draw(image)
    line = (200, 200, 200) if colour == "black" else (40, 40, 40)
    fill, width = COLOURS[colour], 2 * DETAIL
    if name == "circle":
        pen.ellipse((0, 0, side - 1, side - 1), fill, line, width)
    elif name == "square":
        pen.rectangle((0, 0, side - 1, side - 1), fill, line, width)
    else:
        pen.polygon([(x * (side - 1), y * (side - 1)) for x, y in _corners(name)], fill, line, width)
    return image.resize((64, 64), Image.Resampling.BOX)


def _corners(name: str) -> list[tuple[float, float]]:
    if name == "triangle":
        return [(0.5, 0), (1, 1), (0, 1)]
    if name == "diamond":
        return [(0.5, 0), (1, 0.5), (0.5, 1), (0, 0.5)]
    if name == "cross":
        a, b = 0.3, 0.7
        return [(a, 0), (b, 0), (b, a), (1, a), (1, b), (b, b), (b, 1), (a, 1), (a, b), (0, b), (0, a), (a, a)]
    assert name == "star", name
    radii = [0.5, 0.2] * 5
    return [(0.5 + r * sin(pi * i / 5), 0.52 - r * cos(pi * i / 5)) for i, r in enumerate(radii)]


def lamp(colour: str) -> Image.Image:
    """A light in a dark box."""
    image = Image.new("RGBA", (56 * DETAIL, 64 * DETAIL))
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((0, 0, 56 * DETAIL - 1, 64 * DETAIL - 1), 8 * DETAIL, fill=(45, 45, 50))
    pen.ellipse((8 * DETAIL, 12 * DETAIL, 48 * DETAIL, 52 * DETAIL), fill=COLOURS[colour])
    return image.resize((56, 64), Image.Resampling.BOX)


def card(text: str, colour: tuple[int, int, int] = (20, 20, 20)) -> Image.Image:
    """A word on a white card."""
    font = ImageFont.load_default(26)
    box = font.getbbox(text)
    image = Image.new("RGBA", (round(box[2] - box[0]) + 12, 36), (255, 255, 255, 255))
    ImageDraw.Draw(image).text((6 - box[0], 18 - (box[1] + box[3]) / 2), text, fill=colour, font=font)
    return image
