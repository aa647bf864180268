"""A pool of pictures with alt texts and planted faults, for the measurements of `vl3 curate`.

    PYTHONPATH=. python benchmarks/curation_data.py FOLDER --rows 2000 [--nano build/nano]

writes FOLDER/pool.jsonl (image, caption, label), FOLDER/truth.jsonl (what is planted in each row), the media, and
FOLDER/benchmark: pictures of a held-out benchmark, some of which leak into the pool. A row is a function of its number.
With the pictures of nano's data (`recipes.nano.data.pictures`) scenes show named things, else coloured shapes only.
"""

import argparse
import io
import json
import multiprocessing
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter
from rich.progress import track

from recipes.nano.data.backgrounds import make_background
from recipes.nano.data.canvas import Layer, Scene, compose, picture_layer
from recipes.nano.data.captions import describe
from recipes.nano.data.composing import choose_shape
from recipes.nano.data.figures import shape_layer
from recipes.nano.data.pool import Pool, load_pool

SHARES = {"shape": 0.05, "blur": 0.06, "exact": 0.05, "near": 0.07, "wrong": 0.12, "corrupt": 0.05, "leak": 0.04}
"""Share of the rows with each fault; the others are good."""
COMMON = ("circle", "square", "star")
"""Labels that are over-represented: they take COMMON_SHARE of the rows."""
COMMON_SHARE = 0.5
NUM_BENCHMARK = 100


@dataclass(frozen=True)
class Row:
    """What is to be written for one number."""

    data: bytes
    suffix: str
    caption: str
    label: str
    fault: str | None
    copy_of: int | None = None


@cache
def pictures(nano: Path | None) -> Pool:
    """The named pictures, or none."""
    return load_pool(nano, "train") if nano else Pool([], [])


def scene(number: str, nano: Path | None) -> tuple[Scene, str]:
    """A sharp picture that no other number has, and its label."""
    rng = random.Random(number)
    pool = pictures(nano)
    aspect = rng.uniform(0.6, 1.7)
    side = rng.randint(240, 420)
    size = (round(side * aspect**0.5), round(side * aspect**-0.5))
    ground = make_background(rng, size, pool.backgrounds, calm=False)
    image = textured(rng, ground.image)
    shape = rng.choice(COMMON) if rng.random() < COMMON_SHARE else None
    layers: list[Layer] = []
    if shape is None and pool.pictures and rng.random() < 0.7:
        picture = pool.choose(rng)
        layers.append(picture_layer(rng, picture, round(rng.uniform(0.5, 0.8) * min(size))))
        label = picture.name
    else:
        colour, other = choose_shape(rng)
        label = shape or other
        layers.append(shape_layer(rng, colour, label, round(rng.uniform(0.35, 0.55) * min(size))))
    if rng.random() < 0.5:
        layers.append(shape_layer(rng, *choose_shape(rng), round(rng.uniform(0.2, 0.3) * min(size))))
    things = compose(rng, image, layers)
    return Scene(image, things, ground.colour), label


def textured(rng: random.Random, ground: Image.Image) -> Image.Image:
    """With the grain that every camera has, so that a plain background is no blur."""
    shape = (ground.height, ground.width, 1)
    noise = np.random.default_rng(rng.getrandbits(32)).standard_normal(shape, np.float32) * rng.uniform(0.5, 3)
    return Image.fromarray(np.clip(np.asarray(ground, np.float32) + noise, 0, 255).astype(np.uint8))


def encoded(image: Image.Image, form: str = "JPEG", quality: int = 92) -> bytes:
    """The picture's file."""
    buffer = io.BytesIO()
    image.save(buffer, form, **({"quality": quality} if form == "JPEG" else {}))
    return buffer.getvalue()


# ----------------------------------------------------------------------------------------------------------- the faults


def varied(rng: random.Random, image: Image.Image) -> Image.Image:
    """A near duplicate: resized, cropped a little, lit otherwise, stamped, or several of these."""
    ways = rng.sample(range(4), rng.randint(1, 2))
    if 0 in ways:
        factor = rng.uniform(0.5, 0.9)
        image = image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)
    if 1 in ways:
        left, top, right, bottom = (rng.uniform(0, 0.03) for _ in range(4))
        box = (left * image.width, top * image.height, (1 - right) * image.width, (1 - bottom) * image.height)
        image = image.crop(tuple(round(side) for side in box))  # type: ignore[arg-type]
    if 2 in ways:
        image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.85, 1.15))
        image = ImageEnhance.Contrast(image).enhance(rng.uniform(0.85, 1.15))
    if 3 in ways:
        image = image.copy()
        ImageDraw.Draw(image).text(
            (6, image.height - 18), "(c) stock", fill="white", stroke_width=1, stroke_fill="black"
        )
    return image


def blurred(rng: random.Random, image: Image.Image) -> Image.Image:
    """Out of focus, or moved while the shutter was open."""
    strength = rng.uniform(0.009, 0.02) * min(image.size)
    if rng.random() < 0.7:
        return image.filter(ImageFilter.GaussianBlur(strength))
    reach = max(3, round(3 * strength))
    pixels = np.asarray(image, np.float32)
    moved = np.mean(
        [np.roll(pixels, (offset, offset // 2), axis=(1, 0)) for offset in range(-reach, reach + 1)], axis=0
    )
    return Image.fromarray(moved.astype(np.uint8))


def misshapen(rng: random.Random, image: Image.Image) -> Image.Image:
    """A banner, a strip or a thumbnail."""
    way = rng.randrange(3)
    if way == 0:
        return image.resize((rng.randint(16, 56), rng.randint(16, 56)), Image.Resampling.BICUBIC)
    strip = image.crop((0, 0, image.width, max(8, image.width // rng.randint(5, 12))))
    large = strip.resize((strip.width * 3, strip.height * 3), Image.Resampling.BICUBIC)
    return large.transpose(Image.Transpose.ROTATE_90) if way == 1 else large


def corrupted(rng: random.Random, data: bytes) -> bytes:
    """A file that broke on its way."""
    way = rng.randrange(5)
    cut = rng.randint(len(data) // 5, len(data) * 9 // 10)
    if way == 0:
        return data[:cut]
    if way == 1:
        return data[:cut] + bytes(len(data) - cut)
    if way == 2:
        return b""
    if way == 3:
        return b"<!DOCTYPE html><html><body>404 Not Found</body></html>"
    at = rng.randint(len(data) // 4, len(data) // 2)
    return data[:at] + rng.randbytes(4096) + data[at + 4096 :]


def row(number: int, nano: Path | None) -> Row:
    """The row of a number: good, or with one fault."""
    rng = random.Random(f"fault {number}")
    fault = rng.choices([None, *SHARES], [1 - sum(SHARES.values()), *SHARES.values()])[0]
    copied = original(rng, number) if fault in ("exact", "near") else None
    if fault in ("exact", "near") and copied is None:
        fault = None
    name = f"benchmark {rng.randrange(NUM_BENCHMARK)}" if fault == "leak" else f"{number if copied is None else copied}"
    made, label = scene(name, nano)
    words = describe(random.Random(name), made)
    image = made.image
    if fault == "wrong":
        words = other_words(number, made, nano)
    if fault == "exact":
        return Row(encoded(Image.open(io.BytesIO(encoded(image))), "PNG"), ".png", words, label, fault, copied)
    change: dict[str | None, Callable[[random.Random, Image.Image], Image.Image]] = {
        "shape": misshapen,
        "blur": blurred,
        "near": varied,
        "leak": varied,
    }
    if fault in change:
        image = change[fault](rng, image)
    data = encoded(image, quality=rng.randint(55, 90) if fault in ("near", "leak") else 92)
    return Row(corrupted(rng, data) if fault == "corrupt" else data, ".jpg", words, label, fault, copied)


def original(rng: random.Random, number: int) -> int | None:
    """An earlier good row to copy, or None near the start."""
    for _ in range(50):
        other = rng.randrange(max(1, number))
        chance = random.Random(f"fault {other}")
        if other < number and chance.choices([None, *SHARES], [1 - sum(SHARES.values()), *SHARES.values()])[0] is None:
            return other
    return None


def other_words(number: int, made: Scene, nano: Path | None) -> str:
    """The description of another scene that shares no thing, colour or shape with this one."""
    shown = {word for thing in made.things for word in thing.text.split()}
    for attempt in range(1000):
        name = f"other {number} {attempt}"
        other, _ = scene(name, nano)
        if shown.isdisjoint(word for thing in other.things for word in thing.text.split()):
            return describe(random.Random(name), other)
    raise AssertionError("every scene shares a word")


# ---------------------------------------------------------------------------------------------------------- all of it


def write_row(folder: Path, nano: Path | None, number: int) -> tuple[str, str]:
    """Writes a row's file; returns its lines of pool.jsonl and truth.jsonl."""
    made = row(number, nano)
    path = Path("media") / f"{number // 1000:04d}" / f"{number:08d}{made.suffix}"
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(made.data)
    said = {"image": str(path), "caption": made.caption, "label": made.label, "licence": "CC0-1.0"}
    return json.dumps(said), json.dumps({"image": str(path), "fault": made.fault, "copy_of": made.copy_of})


def build(folder: Path, rows: int, nano: Path | None = None, workers: int = 2) -> None:
    """Writes the pool; a folder that is complete is left alone."""
    if (folder / "truth.jsonl").exists():
        return
    (folder / "benchmark").mkdir(parents=True, exist_ok=True)
    for number in range(NUM_BENCHMARK):
        made, _ = scene(f"benchmark {number}", nano)
        (folder / "benchmark" / f"{number:04d}.jpg").write_bytes(encoded(made.image))
    make = partial(write_row, folder, nano)
    with multiprocessing.Pool(workers) as pool, (folder / "pool.jsonl").open("w") as lines:
        truths = []
        for line, truth in track(pool.imap(make, range(rows), chunksize=32), "making the pool", rows):
            lines.write(line + "\n")
            truths.append(truth + "\n")
    (folder / "truth.jsonl").write_text("".join(truths))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--nano", type=Path, help="folder of nano's data, with its pictures")
    arguments = parser.parse_args()
    build(arguments.folder, arguments.rows, arguments.nano)


if __name__ == "__main__":
    main()
