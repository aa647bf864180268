"""decode: can the file be decoded to its end, and what is in it?

Beside what the decoder itself refuses, two things are looked for that decoders pass over in silence: JPEG files that
break off, or whose compressed data holds bytes that no encoder writes there (ITU-T T.81, B.1.1.5: inside a scan 0xFF is
followed by 0x00 or a restart marker), which show as grey or garbled stripes.
"""

import hashlib
import re
from functools import partial

from PIL import Image

from vl3.config import Count, configclass
from vl3.curate.likeness import look, phash
from vl3.curate.media import MAX_PICTURE_BYTES, PLACE, content, decoded, name_of
from vl3.curate.step import Found, Rows, RowStep, plain
from vl3.errors import UserError
from vl3.media.info import FetchLimits

_MARKER = re.compile(rb"\xff(?![\x00\xd0-\xd7\xff])")
"""What ends a scan: 0xFF before anything but a stuffed zero, a restart, or a fill byte."""
_SCAN, _END = 0xDA, 0xD9
_ALONE = {0x01, *range(0xD0, 0xD9)}
"""Markers without a segment: TEM, restarts, the start of the image."""


@configclass
class DecodeConfig:
    """Drops what is no image, or a damaged one."""

    max_pixels: Count = FetchLimits.max_pixels
    """Largest picture; a larger one is taken for a decompression bomb."""
    strict_jpeg: bool = True
    """Whether JPEG files are also dropped that decoders read with a warning: cut short, or with bytes overwritten."""


def decode_step(config: DecodeConfig) -> RowStep:
    """Writes `width`, `height`, `pixels`, the SHA-256 of the decoded picture, and `phash` and `look`, its likeness."""
    outputs = {"width": "int32", "height": "int32", "pixels": "string", "phash": "binary", "look": "binary"}
    return RowStep(PLACE, outputs, plain(partial(check, config)), only="image")  # type: ignore[arg-type]


def check(config: DecodeConfig, rows: Rows) -> Found:
    """Decodes every picture whole."""
    found: Rows = {"width": [], "height": [], "pixels": [], "phash": [], "look": []}
    reasons: list[str | None] = []
    for number in range(len(rows["id"])):
        image, reason = _opened(config, rows, number)
        reasons.append(reason)
        found["width"].append(image and image.width)
        found["height"].append(image and image.height)
        found["pixels"].append(image and digest(image))
        found["phash"].append(image and phash(image))
        found["look"].append(image and look(image))
    return Found(found, reasons)


def digest(image: Image.Image) -> str:
    """The same for two files of the same picture, whatever format they are in, if that loses nothing."""
    return hashlib.sha256(f"{image.size}".encode() + image.tobytes()).hexdigest()


def jpeg_fault(data: bytes) -> str | None:
    """What is wrong with a JPEG file that may decode all the same; None of one in order, or of another format."""
    if not data.startswith(b"\xff\xd8"):
        return None
    place = 2
    while (
        True
    ):  # from marker to marker: a segment (a thumbnail's, say) may hold anything, and so may what follows the end
        while data[place : place + 2] == b"\xff\xff":
            place += 1
        if place + 1 >= len(data):
            return "breaks off before its end"
        marker = data[place + 1] if data[place] == 0xFF else 0
        if marker == _END:
            return None
        if not (0xC0 <= marker <= 0xEF or marker in (0xFE, 0x01)):
            return "has bytes in its pixels that do not belong there"
        place += 2 if marker in _ALONE else 2 + int.from_bytes(data[place + 2 : place + 4])
        if marker == _SCAN:
            found = _MARKER.search(data, place)
            place = found.start() if found else len(data)


def _opened(config: DecodeConfig, rows: Rows, number: int) -> tuple[Image.Image | None, str | None]:
    name = name_of(rows, number)
    try:
        data = content(rows, number, MAX_PICTURE_BYTES)
        image = decoded(data, name, FetchLimits(max_pixels=config.max_pixels))
    except UserError as error:
        return None, str(error)
    fault = jpeg_fault(data) if config.strict_jpeg else None
    return (None, f"damaged: {name}: {fault}") if fault else (image, None)
