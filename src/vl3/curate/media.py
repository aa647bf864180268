"""The media of a row."""

import hashlib
import os
from pathlib import Path

from PIL import Image

from vl3.config import SamplingConfig
from vl3.curate.step import Rows
from vl3.media import probe
from vl3.media.image import pictures
from vl3.media.info import DEFAULT_LIMITS, FetchLimits

PLACE = ("path", "offset", "size")
"""The columns that say where a row's media lie."""


def content(rows: Rows, number: int) -> bytes:
    """The bytes of a row's file: a whole file, or a member of an archive."""
    with Path(rows["path"][number]).open("rb") as file:
        if rows["offset"][number] is not None:
            file.seek(rows["offset"][number])
            return file.read(rows["size"][number])
        return file.read()


def picture(rows: Rows, number: int, limits: FetchLimits = DEFAULT_LIMITS) -> Image.Image:
    """A row's image, RGB as displayed. UserError when it cannot be read."""
    return decoded(content(rows, number), limits)


def decoded(data: bytes, limits: FetchLimits = DEFAULT_LIMITS) -> Image.Image:
    """An image from its file's bytes (of an animation the first frame), RGB as displayed."""
    return next(pictures(probe(data, SamplingConfig(), limits, "image")))


def source_of(rows: Rows, number: int) -> str | bytes:
    """What the decoder takes for a row's media: its path, or the bytes of a member of an archive."""
    return rows["path"][number] if rows["offset"][number] is None else content(rows, number)


def keep(output: Path, data: bytes) -> Path:
    """Writes a medium to OUTPUT/media, named by its content; one that is there is left alone."""
    digest = hashlib.sha256(data).hexdigest()
    path = (output / "media" / digest[:2] / digest[:32]).absolute()
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.name}.{os.getpid()}")
        unfinished.write_bytes(data)
        unfinished.replace(path)
    return path
