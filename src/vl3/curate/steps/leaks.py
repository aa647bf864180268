"""leaks: drops pictures that are in a benchmark, so that scores on it mean something (decontamination)."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image
from pydantic import Field

from vl3.chat import media_of
from vl3.config import SamplingConfig, configclass
from vl3.curate.likeness import HASH_BYTES, LOOK_BYTES, Likenesses, look, open_faiss, phash
from vl3.curate.step import Found, Place, Pool, PoolStep, Type
from vl3.errors import UserError
from vl3.media import probe
from vl3.media.image import pictures
from vl3.media.source import FRAME_SUFFIXES


@configclass
class LeaksConfig:
    """Which pictures must not be trained on, and when a picture is one of them."""

    benchmarks: tuple[str, ...]
    """Folders of pictures, or files of annotations (docs/data.md)."""
    max_distance: Annotated[int, Field(ge=0, le=64)] = 12
    """Most bits in which perceptual hashes differ, of 64."""
    min_correlation: Annotated[float, Field(ge=-1, le=1)] = 0.95
    """Least correlation of the 8 x 8 colour copies."""


def leaks_step(config: LeaksConfig) -> PoolStep:
    """Writes `leak_of`, the benchmark's picture."""
    named = [Path(benchmark) for benchmark in config.benchmarks]

    def ready(_columns: Mapping[str, Type]) -> None:
        open_faiss()
        if not named:
            raise UserError("benchmarks: names none")
        for path in named:
            if not path.exists():
                raise UserError(f"{path}: no such file or folder; benchmarks are folders of pictures, or annotations")

    outputs: dict[str, Type] = {"leak_of": "string"}
    return PoolStep(("phash", "look"), outputs, partial(find, config), only="image", files=lambda: named, ready=ready)


def find(config: LeaksConfig, pool: Pool, _place: Place) -> Found:
    """Looks every picture up among those of the benchmarks. UserError for a benchmark that cannot be read."""
    names: list[str] = []
    hashes: list[bytes] = []
    looks: list[bytes] = []
    for benchmark in config.benchmarks:
        before = len(names)
        for name, image in benchmark_pictures(benchmark):
            names.append(name)
            hashes.append(phash(image))
            looks.append(look(image))
        if len(names) == before:
            raise UserError(f"{benchmark}: holds no pictures")
    known = Likenesses(hashes, looks)
    leaks: list[str | None] = []
    for rows in pool.batches(("phash", "look")):
        asked = np.frombuffer(b"".join(rows["phash"]), np.uint8).reshape(-1, HASH_BYTES)
        seen = np.frombuffer(b"".join(rows["look"]), np.uint8).reshape(-1, LOOK_BYTES)
        found = known.pairs(asked, seen, config.max_distance, config.min_correlation)
        leaks += [names[alike.min()] if len(alike) else None for _, alike in found]
    return Found({"leak_of": leaks}, [leak and "in a benchmark" for leak in leaks])


def benchmark_pictures(benchmark: str) -> Iterator[tuple[str, Image.Image]]:
    """Names and pictures of a folder, or of a file of annotations; a folder of shards is the latter."""
    path = Path(benchmark)
    if path.is_dir() and not any(path.glob("*.parquet")) and not any(path.glob("*.tar")):
        for file in sorted(path.rglob("*")):
            if file.suffix.lower() in FRAME_SUFFIXES:
                yield str(file), _open(str(file))
        return
    from vl3.data import SourceConfig, open_source

    for sample in open_source(SourceConfig(path=benchmark)):
        if isinstance(sample, UserError):
            raise sample
        for part in media_of(sample.messages):
            if part.kind == "image":
                yield sample.where, _open(part.source)


def _open(source: object) -> Image.Image:
    return next(pictures(probe(source, SamplingConfig(), kind="image")))
