"""All of nano's training and held-out data: `python -m recipes.nano.data.build FOLDER`.

Packages are downloaded once to FOLDER/packages, pictures and fonts taken out of them, then every set is rendered: lines
in FOLDER/train and FOLDER/held_out, media beside them. A sample is a function of its set, split and number, so that the
same command gives the same data. Sets that are finished are left alone.
"""

import argparse
import json
import multiprocessing
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from rich.progress import track

from recipes.nano.data import charts, clips, documents, scenes
from recipes.nano.data.fonts import fetch_fonts
from recipes.nano.data.pictures import build as build_pictures
from recipes.nano.data.pool import Pool, load_pool
from recipes.nano.data.sample import Sample, Split, Writer

Render = Callable[[random.Random, Split], Sample]

SETS: dict[str, tuple[int, int]] = {
    "objects": (8000, 200),
    "photos": (5000, 200),
    "drawings": (0, 300),
    "scenes": (10000, 300),
    "shapes": (6000, 200),
    "grounding": (3000, 150),
    "compare": (2000, 150),
    "words": (6000, 200),
    "documents": (2500, 150),
    "tables": (1500, 100),
    "screens": (1200, 80),
    "charts": (4000, 200),
    "motions": (2000, 200),
    "events": (1800, 200),
    "recordings": (400, 60),
    "clip_captions": (600, 60),
    "streams": (400, 60),
}
"""Samples for training and held out."""

SPLITS: tuple[Split, Split] = ("train", "held_out")

MIN_SEEN = 5
"""A region's text that occurs so often in training is one that visual tokens are always told apart from."""


@cache
def renderers(folder: Path) -> dict[str, Render]:
    """Every set's renderer; the pool of pictures is loaded once a process."""
    pools = {split: load_pool(folder, split) for split in ("train", "held_out")}
    pooled = {**scenes.RENDERERS, **clips.RENDERERS}

    def with_pool(render: Callable[[random.Random, Pool, Split], Sample]) -> Render:
        return lambda rng, split: render(rng, pools[split], split)

    return {**{name: with_pool(render) for name, render in pooled.items()}, **documents.RENDERERS, **charts.RENDERERS}


def render_line(place: tuple[Path, str, Split, int]) -> str:
    """Renders and writes one sample; returns its line."""
    folder, name, split, index = place
    sample = renderers(folder)[name](random.Random(f"{name} {split} {index}"), split)
    return Writer(folder / split, name).line(index, sample)


def build_set(folder: Path, name: str, split: Split, count: int, workers: int) -> Path:
    """Renders one set; its file of lines appears when all of it is there."""
    path = folder / split / f"{name}.jsonl"
    if path.exists():
        return path
    places = [(folder, name, split, index) for index in range(count)]
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with multiprocessing.Pool(workers) as pool, unfinished.open("w", encoding="utf-8") as file:
        for line in track(pool.imap(render_line, places, chunksize=16), f"{split} {name}", count):
            file.write(line + "\n")
    unfinished.rename(path)
    return path


def lines(folder: Path, split: Split) -> Iterator[tuple[str, dict[str, Any]]]:
    """(set, sample) of everything rendered."""
    for name, counts in SETS.items():
        if counts[SPLITS.index(split)]:
            for line in (folder / split / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
                yield name, json.loads(line)


def write_texts(folder: Path) -> None:
    """texts.txt: what visual tokens are aligned with, the most frequent first."""
    seen = Counter(region["text"] for _, line in lines(folder, "train") for region in line.get("regions", []))
    kept = [text for text, count in seen.most_common() if count >= MIN_SEEN]
    (folder / "texts.txt").write_text("\n".join(kept) + "\n", encoding="utf-8")


def write_captions(folder: Path) -> None:
    """train/image_captions.jsonl: the same pictures with nothing but their captions, for the first stage."""
    with (folder / "train" / "image_captions.jsonl").open("w", encoding="utf-8") as file:
        for _, line in lines(folder, "train"):
            places = [i for i, kind in enumerate(line.get("kinds", [])) if kind == "caption"]
            if not places or len(line.get("image", [])) != 1:
                continue
            asked, answer = line["conversations"][2 * places[0] : 2 * places[0] + 2]
            text = asked["value"].replace("<image>\n", "")
            line["conversations"] = [{**asked, "value": f"<image>\n{text}"}, answer]
            line["kinds"] = ["caption"]
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("build/nano"))
    parser.add_argument("--only", nargs="+", choices=[*SETS], help="render these sets only")
    parser.add_argument("--share", type=float, default=1.0, help="of the samples of each set, for a quick try")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    folder = given.folder.absolute()
    if not (folder / "pictures.jsonl").exists():
        build_pictures(folder, folder / "packages")
    fetch_fonts(folder / "fonts")
    os.environ["NANO_DATA"] = str(folder)
    for name in given.only or SETS:
        for split, count in zip(SPLITS, SETS[name], strict=True):
            if count:
                build_set(folder, name, split, max(1, round(given.share * count)), given.workers)
    if not given.only:
        write_texts(folder)
        write_captions(folder)


if __name__ == "__main__":
    main()
