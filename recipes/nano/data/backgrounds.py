"""What stands behind the things of a picture: plain, gradient, textured, noisy or photographic."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from recipes.nano.data.words import COLOURS, Rgb, shade

KINDS = ("plain", "gradient", "texture", "noise", "photo")


@dataclass(frozen=True)
class Background:
    """An RGB picture, and the one of COLOURS it has when it is plain."""

    image: Image.Image
    colour: str | None


@lru_cache(maxsize=128)
def open_background(path: Path) -> Image.Image:
    """A background file, RGB."""
    return Image.open(path).convert("RGB")


def make_background(
    rng: random.Random,
    size: tuple[int, int],
    photos: Sequence[Path],
    *,
    kinds: Sequence[str] = KINDS,
    calm: bool = True,
) -> Background:
    """A background of one of `kinds`. A calm photographic one is blurred, so that nothing in it counts as a thing."""
    kind = rng.choice(kinds)
    if kind == "photo" and photos:
        return Background(photographic(rng, size, rng.choice(photos), calm), None)
    if kind == "plain":
        colour = rng.choice(list(COLOURS)) if rng.random() < 0.6 else None
        return Background(Image.new("RGB", size, shade(rng, colour) if colour else any_colour(rng)), colour)
    if kind == "gradient":
        return Background(gradient(rng, size), None)
    return Background(textured(rng, size) if kind == "texture" else noisy(rng, size), None)


def any_colour(rng: random.Random) -> Rgb:
    """Any colour, half of the time a pale one."""
    low = 170 if rng.random() < 0.5 else 0
    return rng.randint(low, 255), rng.randint(low, 255), rng.randint(low, 255)


def gradient(rng: random.Random, size: tuple[int, int]) -> Image.Image:
    """Between the four corners' colours."""
    first, second = any_colour(rng), any_colour(rng)
    corners = [first, second, *rng.choice([(first, second), (second, first), (first, first), (second, second)])]
    image = Image.new("RGB", (2, 2))
    image.putdata(corners)
    return image.resize(size, Image.Resampling.BILINEAR)


def noisy(rng: random.Random, size: tuple[int, int]) -> Image.Image:
    """A colour with noise, coarse (clouds) or fine (grain)."""
    coarse = rng.choice((1, 2, 8, 24))
    shape = (size[1] // coarse + 2, size[0] // coarse + 2)
    values = np.random.default_rng(rng.getrandbits(32)).standard_normal((*shape, rng.choice((1, 3))), dtype=np.float32)
    pixels = np.array(any_colour(rng), dtype=np.float32) + values * rng.uniform(6, 28)
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    return image.resize(size, Image.Resampling.BICUBIC if coarse > 1 else Image.Resampling.NEAREST)


def textured(rng: random.Random, size: tuple[int, int]) -> Image.Image:
    """Faint stripes, waves or checks: too faint to be taken for shapes."""
    width, height = size
    x, y = np.arange(width, dtype=np.float32)[None], np.arange(height, dtype=np.float32)[:, None]
    period = rng.uniform(8, 40)
    slope_x, slope_y = rng.choice(((1.0, 0.0), (0.0, 1.0), (0.7, 0.7), (0.7, -0.7)))
    wave = np.sin((x * slope_x + y * slope_y) * (6.2832 / period))
    pattern = rng.choice(("stripes", "waves", "checks"))
    if pattern == "checks":
        wave = np.sign(np.sin(x * (6.2832 / period)) * np.sin(y * (6.2832 / period)))
    elif pattern == "stripes":
        wave = np.sign(wave)
    pixels = np.array(any_colour(rng), dtype=np.float32) + wave[..., None] * rng.uniform(5, 14)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def photographic(rng: random.Random, size: tuple[int, int], path: Path, calm: bool) -> Image.Image:
    """A random part of a photograph or wallpaper."""
    photo = open_background(path)
    scale = rng.uniform(0.45, 1) * min(photo.width / size[0], photo.height / size[1])
    width, height = size[0] * scale, size[1] * scale
    left, top = rng.uniform(0, photo.width - width), rng.uniform(0, photo.height - height)
    small = (max(1, size[0] // 3), max(1, size[1] // 3)) if calm else size
    box = (left, top, left + width, top + height)
    image = photo.resize(small, Image.Resampling.BILINEAR, box=box, reducing_gap=2)
    if calm:  # blurred at a third of the size, which costs a ninth
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.7, 2.5))).resize(size, Image.Resampling.BICUBIC)
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else image
