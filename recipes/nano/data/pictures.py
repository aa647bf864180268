"""Builds the pool of named pictures and of backgrounds that `pool.py` reads, out of the packages of `packages.py`.

    python -m recipes.nano.data.pictures FOLDER

fetches the packages into FOLDER/packages and writes FOLDER/pictures.jsonl, FOLDER/backgrounds.jsonl and
FOLDER/MANIFEST.json with their pictures. The same packages give the same pool.
"""

import argparse
import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from recipes.nano.data.names import read_nouns
from recipes.nano.data.packages import PACKAGES, fetch, manifest
from recipes.nano.data.sources import SOURCES, Context, Found

Image.MAX_IMAGE_PIXELS = None  # Wallpapers are large, and pinned by their sha256.

SIDE = 320
BACKGROUND_SIDE = 640
HELD_OUT = 0.15
"""The part of the pictures of names with several sources that is held out."""
MOST = {"photo": 40, "drawing": 12}
"""How many pictures of a name are taken from a package."""
NEAR = 6
"""Pictures of a name that differ by less, of 255 on average, are copies."""
LICENCES = {package.name: package.licence for package in PACKAGES}


@dataclass(frozen=True, eq=False)
class Kept:
    """A normalised picture with what its line says."""

    found: Found
    image: Image.Image
    digest: str
    """Hexadecimal, of the pixels."""


def build(folder: Path, packages: Path) -> None:
    """Writes the pool into `folder`, fetching into `packages` what is not there yet."""
    for package in PACKAGES:
        fetch(package, packages)
    context = Context(packages, read_nouns(packages / "wordnet-base/usr/share/wordnet"))
    lines: list[dict[str, Any]] = []
    digests = []
    for picture in distinct(found for source in SOURCES for found in source(context)):
        place = f"pictures/{picture.found.package.split('/')[-1]}/{picture.digest[:16]}.png"
        _save(folder / place, picture.image)
        digests.append(picture.digest)
        lines.append(
            {
                "path": place,
                "name": picture.found.name,
                "kind": picture.found.kind,
                "cutout": is_cutout(picture.image),
                "source": picture.found.package,
                "licence": LICENCES[picture.found.package],
            }
        )
    held_out = choose_held_out(
        [(line["name"], line["source"], digest) for line, digest in zip(lines, digests, strict=True)]
    )
    for line, digest in zip(lines, digests, strict=True):
        line["split"] = "held_out" if digest in held_out else "train"
    grounds = list(backgrounds(folder, packages))
    _replace(folder / "backgrounds.jsonl", _jsonl(grounds))
    _replace(folder / "pictures.jsonl", _jsonl(lines))
    _replace(folder / "MANIFEST.json", manifest(Counter(line["source"] for line in [*lines, *grounds])))


def distinct(found: Iterable[Found]) -> Iterator[Kept]:
    """Normalised pictures: no bitmap twice, no near copies among those of a name, few of a name from a package."""
    digests: set[str] = set()
    looks: dict[str, list[np.ndarray]] = defaultdict(list)
    counts: Counter[tuple[str, str, str]] = Counter()
    for picture in found:
        group = (picture.name, picture.package, picture.kind)
        if counts[group] >= MOST[picture.kind]:
            continue
        image = normalise(picture.open())
        if image is None:
            continue
        digest = hashlib.sha256(image.tobytes() + str(image.size).encode()).hexdigest()
        look = _look(image)
        if digest in digests or any(np.abs(look - other).mean() < NEAR for other in looks[picture.name]):
            continue
        digests.add(digest)
        looks[picture.name].append(look)
        counts[group] += 1
        yield Kept(picture, image, digest)


def normalise(image: Image.Image) -> Image.Image | None:
    """RGBA, cropped to what is opaque and at most SIDE pixels a side; None of a picture that is empty or tiny.

    A white ground becomes transparent.
    """
    image = image.convert("RGBA")
    image.thumbnail((2 * SIDE, 2 * SIDE), Image.Resampling.BOX)
    image = clear_white_ground(image)
    box = image.getchannel("A").point(lambda alpha: 255 * (alpha > 8)).getbbox()
    if box is None:
        return None
    image = image.crop(box)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    if min(image.size) < 12 or max(image.size) < 32:
        return None
    # What cannot be seen says nothing, but would make copies look different.
    pixels = np.array(image)
    pixels[pixels[..., 3] == 0] = 0
    return Image.fromarray(pixels)


def clear_white_ground(image: Image.Image) -> Image.Image:
    """Makes the white that touches the edges of an opaque picture transparent, where nearly all its edges are white."""
    pixels = np.array(image)
    white = np.asarray((pixels[..., :3] >= 243).all(axis=2))
    edge = np.zeros_like(white)
    edge[[0, -1]] = edge[:, [0, -1]] = True
    if (pixels[..., 3] < 255).any() or white[edge].mean() < 0.9:
        return image
    ground = edge & white
    before = 0
    while (size := int(ground.sum())) > before:
        before = size
        ground = _spread(_spread(ground, white).T, white.T).T
    pixels[ground, 3] = 0
    return Image.fromarray(pixels)


def _spread(ground: np.ndarray, white: np.ndarray) -> np.ndarray:
    """The ground with every row's runs of white that it touches."""
    breaks = ~white
    breaks[:, 0] = True
    run = np.cumsum(breaks).reshape(white.shape)
    reached = np.zeros(run[-1, -1] + 1, dtype=bool)
    reached[run[ground]] = True
    return np.asarray(reached[run] & white)


def _look(image: Image.Image) -> np.ndarray:
    """What near copies have in common: 16 x 16 x 3."""
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image)
    return np.asarray(ground.convert("RGB").resize((16, 16), Image.Resampling.BOX), dtype=np.float32)


def is_cutout(image: Image.Image) -> bool:
    """Whether the picture has an outline of its own: it is transparent in part."""
    return bool((np.asarray(image.getchannel("A")) < 16).mean() > 0.04)


def choose_held_out(pictures: Sequence[tuple[str, str, str]]) -> set[str]:
    """The digests of what is held out, of (name, source, digest) of all: HELD_OUT of the pictures of names that have
    several sources, by digest alone; of every name something stays."""
    by_name: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name, source, digest in pictures:
        by_name[name].append((digest, source))
    result: set[str] = set()
    for group in by_name.values():
        if len({source for _, source in group}) >= 2:
            chosen = {digest for digest, _ in group if int(digest[:8], 16) < HELD_OUT * 2**32}
            # The largest digest stays where all would go.
            result |= chosen - {max(digest for digest, _ in group)}
    return result


def backgrounds(folder: Path, packages: Path) -> Iterator[dict[str, Any]]:
    """Writes every wallpaper as a JPEG and yields its line, in an order that has nothing to do with the package."""
    (folder / "backgrounds").mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[str, Any]] = {}
    looks: list[np.ndarray] = []
    for package in PACKAGES:
        if package.used != "backgrounds":
            continue
        for path in sorted((packages / package.key).rglob("*")):
            if path.suffix not in (".jpg", ".jpeg", ".png", ".webp") or path.stem == "screenshot":
                continue
            small = _background(path)
            look = _look(small)
            # Left out: what is upright, nearly of one colour, or another size of the same wallpaper.
            if (
                small.height > small.width
                or look.std() < 6
                or any(np.abs(look - old).mean() < 2 * NEAR for old in looks)
            ):
                continue
            looks.append(look)
            digest = hashlib.sha256(small.tobytes()).hexdigest()[:16]
            place = f"backgrounds/{digest}.jpg"
            small.convert("RGB").save(folder / place, quality=90)
            found[digest] = {"path": place, "source": package.name, "licence": package.licence}
    for digest in sorted(found):
        yield found[digest]


def _background(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.draft("RGB", (2 * BACKGROUND_SIDE, 2 * BACKGROUND_SIDE))
        image.thumbnail((BACKGROUND_SIDE, BACKGROUND_SIDE), Image.Resampling.BOX)
        ground = Image.new("RGBA", image.size, "gray")
        ground.alpha_composite(image.convert("RGBA"))
    return ground


def _save(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        partial = path.with_suffix(".partial")
        image.save(partial, "PNG", compress_level=4)
        os.replace(partial, path)


def _jsonl(lines: Sequence[dict[str, Any]]) -> str:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _replace(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--packages", type=Path, help="where packages are fetched to [FOLDER/packages]")
    arguments = parser.parse_args()
    build(arguments.folder, arguments.packages or arguments.folder / "packages")


if __name__ == "__main__":
    main()
