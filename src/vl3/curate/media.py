"""The media of a row.

They may go, or change, while steps are at work. The UserErrors here are such that a row is dropped with their words as
the reason: first the phrase that is counted, then which file it is.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from vl3.config import SamplingConfig
from vl3.curate.step import Rows
from vl3.errors import UserError
from vl3.media.image import pictures
from vl3.media.info import DEFAULT_LIMITS, Encoded, FetchLimits
from vl3.media.reader import probe_located

PLACE = ("path", "offset", "size", "url", "given_id")
"""The columns that say where a row's media lie and what they are called."""
MAX_PICTURE_BYTES = 256 << 20
"""Largest file that is read as a picture."""
MAX_NAME = 400
"""Most characters of a name in a message."""


def content(rows: Rows, number: int, max_bytes: int | None = None) -> bytes:
    """The bytes of a row's file: a whole file, or a member of an archive. UserError when they cannot be had."""
    path, offset, name = rows["path"][number], rows["offset"][number], name_of(rows, number)
    if path is None:
        raise UserError("not fetched: put the step fetch before this one")
    try:
        if not Path(path).is_file():  # opening a pipe would wait for ever, reading a device never end
            raise UserError(f"{'no regular' if Path(path).exists() else 'no such'} file: {name}")
        with Path(path).open("rb") as file:
            size: int = os.fstat(file.fileno()).st_size if offset is None else rows["size"][number]
            if max_bytes is not None and size > max_bytes:
                raise UserError(f"file too large: {name}: {size} bytes, more than the {max_bytes} of a picture")
            file.seek(offset or 0)
            data = file.read(size)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise UserError(f"file cannot be read: {name}: {getattr(error, 'strerror', None) or error}") from error
    if len(data) < size:
        raise UserError(f"file cut short: {name}: it was changed after the pool was read")
    return data


def name_of(rows: Rows, number: int) -> str:
    """What messages call a row's media: the URL, the path, or an archive and the member's key in it."""
    url, key = (rows[column][number] if column in rows else None for column in ("url", "given_id"))
    path, offset = rows["path"][number], rows["offset"][number]
    name = str(url or (path if offset is None else f"{path}: {key or f'at byte {offset}'}"))
    return name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}..."


def picture(rows: Rows, number: int, limits: FetchLimits = DEFAULT_LIMITS) -> Image.Image:
    """A row's image, RGB as displayed. UserError when it cannot be read."""
    return decoded(content(rows, number, MAX_PICTURE_BYTES), name_of(rows, number), limits)


def decoded(data: bytes, name: str, limits: FetchLimits = DEFAULT_LIMITS) -> Image.Image:
    """An image from its file's bytes (of an animation the first frame), RGB as displayed."""
    if not data:
        raise UserError(f"empty file: {name}")
    try:
        return next(pictures(probe_located(Encoded(name, data), SamplingConfig(), limits, "image")))
    except UserError as error:
        raise UserError(f"cannot be decoded: {error}") from error


def picture_batches(
    rows: Rows, numbers: Sequence[int], size: int, reasons: list[str | None]
) -> Iterator[tuple[list[int], list[Image.Image]]]:
    """The pictures of some rows, `size` at a time, each with its row's number. A row whose picture cannot be had gets
    its entry of `reasons` set instead."""
    for first in range(0, len(numbers), size):
        found: dict[int, Image.Image] = {}
        for number in numbers[first : first + size]:
            try:
                found[number] = picture(rows, number)
            except UserError as error:
                reasons[number] = str(error)
        if found:
            yield list(found), list(found.values())


def source_of(rows: Rows, number: int) -> str | bytes:
    """What the decoder takes for a row's media: its path, or the bytes of a member of an archive. UserError for a
    member that cannot be had, and for what was not fetched."""
    path = rows["path"][number]
    return path if path is not None and rows["offset"][number] is None else content(rows, number)


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
