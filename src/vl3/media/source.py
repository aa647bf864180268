"""What a source may be, and where its data are: paths, folders, URLs, bytes, pictures and arrays."""

import base64
import binascii
import io
import re
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vl3.errors import UserError
from vl3.media.fetch import fetch
from vl3.media.info import Encoded, FetchLimits, Folder, InMemory, Located

Source = str | Path | bytes | Image.Image | NDArray[Any] | Sequence[Image.Image | NDArray[Any] | str | Path] | Any
"""A file, a folder of frames, an http(s) or `data:` URL, an encoded file's bytes or stream, a PIL image, a numpy or
torch array (an image [h, w, 3] or a video [t, h, w, 3], also grey, with opacity, or channels first; uint8, or float in
0..1), or a sequence of pictures or of their files (a video)."""

FRAME_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".gif", ".avif", ".jp2"}
VIDEO_SUFFIXES = {
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg"),
    *(".ts", ".mts", ".m2ts", ".wmv", ".flv", ".3gp", ".ogv"),
}


def locate(source: Source, limits: FetchLimits) -> Located:
    """Finds out what `source` is; downloads it if it is a URL. UserError when it is nothing that can be read."""
    if isinstance(source, str) and source[:5].lower() == "data:":
        return Encoded("<data URL>", _data_url(source, limits))
    if isinstance(source, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", source):
        return fetch(source, limits)
    if isinstance(source, str | Path):
        return _path(Path(source))
    if isinstance(source, bytes | bytearray | memoryview):
        return Encoded("<bytes>", bytes(source))
    if isinstance(source, Image.Image):
        return InMemory("<image>", "image", (_picture(source),))
    if isinstance(source, list | tuple):
        return _sequence(source)
    if isinstance(source, io.IOBase):
        return Encoded("<stream>", source.read())
    array = _array(source)
    if array.ndim == 3:
        return InMemory("<array>", "image", (array,))
    if len(array) == 0:
        raise UserError("<array>: a video of no frames")
    return InMemory("<array>", "video", tuple(array))


def _path(path: Path) -> Encoded | Folder:
    """A regular file or a folder of image files."""
    name = str(path)
    try:
        if path.is_dir():
            files = [file for file in path.iterdir() if file.suffix.lower() in FRAME_SUFFIXES and file.is_file()]
            if not files:
                raise UserError(f"{name}: the folder holds no frames ({', '.join(sorted(FRAME_SUFFIXES))})")
            return Folder(name, tuple(sorted(files, key=natural_key)))
        if path.is_file():
            with path.open("rb"):  # says now, in one line, if it may not be read
                return Encoded(name, path)
        raise UserError(f"{name}: {'not a regular file' if path.exists() else 'no such file or folder'}")
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise UserError(f"{name[:200]}: {getattr(error, 'strerror', None) or error}") from error


def natural_key(path: Path) -> list[tuple[int, str]]:
    """Sorts `frame2` before `frame10`."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts] + [(-1, path.name)]


def _data_url(url: str, limits: FetchLimits) -> bytes:
    """The content of `data:[type][;base64],content` (RFC 2397)."""
    header, comma, content = url.partition(",")
    if not comma:
        raise UserError("<data URL>: has no comma between its header and its content")
    if len(content) * 3 // 4 > limits.max_bytes:
        raise UserError(f"<data URL>: larger than the limit of {limits.max_bytes} bytes")
    if not header.lower().endswith(";base64"):
        return urllib.parse.unquote_to_bytes(content)
    try:
        return base64.b64decode(re.sub(r"\s", "", urllib.parse.unquote(content)), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UserError(f"<data URL>: not valid base64: {error}") from error


def _picture(image: Image.Image) -> Image.Image:
    if 0 in image.size:
        raise UserError(f"<image>: a picture of {image.width} x {image.height} pixels")
    return image


def _sequence(items: Sequence[Any]) -> InMemory | Folder:
    """A video given as a list of pictures, or of their files."""
    if not items:
        raise UserError("<frames>: an empty list is no video")
    if all(isinstance(item, str | Path) for item in items):
        paths = tuple(Path(item) for item in items)
        if missing := [path for path in paths if not path.is_file()]:
            raise UserError(f"{missing[0]}: no such file (a frame of a list)")
        return Folder(f"<{len(paths)} frames>", paths)
    frames = tuple(_picture(item) if isinstance(item, Image.Image) else _array(item) for item in items)
    if any(isinstance(frame, np.ndarray) and frame.ndim != 3 for frame in frames):
        raise UserError("<frames>: each array of a list must be one picture of shape [height, width, 3]")
    return InMemory("<frames>", "video", frames)


def _array(source: Any) -> NDArray[Any]:
    """An array-like as numpy, uint8 or float, [h, w, 3] or [t, h, w, 3]: colours of other forms are brought to that."""
    if type(source).__module__.split(".")[0] == "torch":
        if source.layout.__str__() != "torch.strided" or source.device.type == "meta":
            raise UserError("<tensor>: holds no pixels as they are: give a dense tensor with data")
        source = source.detach().cpu()
        source = source.float() if source.is_floating_point() else source  # numpy has no bfloat16
    elif not isinstance(source, np.ndarray):
        raise UserError(
            f"<{type(source).__name__}>: not a medium; give a path, a URL, bytes, a PIL image, an array "
            "or a list of pictures"
        )
    array = np.asarray(source)
    array = array[..., None] if array.ndim == 2 else array
    if array.ndim in (3, 4) and array.shape[-1] not in (1, 3, 4) and array.shape[-3] in (1, 3, 4):
        array = np.moveaxis(array, -3, -1)  # torch's order
    if array.ndim not in (3, 4) or array.shape[-1] not in (1, 3, 4) or 0 in array.shape[-3:]:
        raise UserError(
            f"<array>: shape {list(array.shape)} is neither [height, width, 3] nor [frames, height, width, 3] "
            "(or with 1 or 4 channels, or channels first)"
        )
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise UserError(f"<array>: {array.dtype} pixels; give uint8, or floats in 0..1")
    if array.shape[-1] == 1:
        return np.repeat(array, 3, axis=-1)
    return _over_white(array) if array.shape[-1] == 4 else array


def _over_white(array: NDArray[Any]) -> NDArray[Any]:
    """Red, green, blue and opacity -> what is seen on white."""
    white = 255 if array.dtype == np.uint8 else 1
    colour, opacity = array[..., :3].astype(np.float32), array[..., 3:].astype(np.float32) / white
    blended = colour * opacity + white * (1 - opacity)
    return blended.round().astype(np.uint8) if white == 255 else blended
