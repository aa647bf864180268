"""Pictures, by Pillow: files, animations, folders of frames and pictures in memory -> RGB.

RGB means: EXIF orientation applied, transparency laid over white, 16-bit values brought to 8 bits.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vl3.config import SamplingConfig
from vl3.errors import UserError
from vl3.log import logger
from vl3.media.info import Encoded, FetchLimits, Folder, InMemory, Kind, MediaInfo, Pixels
from vl3.media.sampling import choose

# Only formats that are pixels: no EPS or PDF, which start other programs, and no MPEG, which is video's.
Image.init()
WANTED = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "DIB", "TIFF", "PPM", "JPEG2000")
FORMATS = tuple(name for name in WANTED if name in Image.OPEN)  # older Pillows know no AVIF
ANIMATED_FORMATS = ("GIF", "WEBP", "PNG", "AVIF")
DEFAULT_DELAY_S, SHORTEST_DELAY_S = 0.1, 0.02
"""Browsers and ffmpeg show a frame whose delay is shorter than the one for the other."""


def is_picture(source: Encoded) -> bool:
    """Whether the bytes begin like an image file that Pillow reads; a file's name says nothing."""
    data = source.path_or_bytes()
    try:
        with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data, formats=FORMATS):
            return True
    except UnidentifiedImageError:
        return False
    except Exception:  # recognised, but damaged or too large: opening it to read will say so
        return True


def probe_picture(source: Encoded, sampling: SamplingConfig, limits: FetchLimits, kind: Kind | None) -> MediaInfo:
    """An image, or an animation as a video unless `kind` is "image", which takes its first frame."""
    with _opened(source, limits.max_pixels) as image:
        animated = image.format in ANIMATED_FORMATS and num_frames(image) > 1
        if kind == "image" or not animated:
            return _still(source.name, kind or "image", displayed_size(image), source, limits)
        height, width = displayed_size(image)
        delays_s = _delays(image, source.name)
    ends_s = np.cumsum(delays_s)
    times_s = np.concatenate([[0.0], ends_s[:-1]])
    chosen = choose(times_s, float(ends_s[-1]), sampling, source.name)
    return MediaInfo(
        name=source.name,
        kind="video",
        height=height,
        width=width,
        times_s=tuple(times_s[chosen].tolist()),
        duration_s=float(ends_s[-1]),
        num_source_frames=len(times_s),
        source=source,
        chosen=tuple(chosen.tolist()),
        max_pixels=limits.max_pixels,
    )


def probe_pictures(
    source: Folder | InMemory, sampling: SamplingConfig, limits: FetchLimits, kind: Kind | None
) -> MediaInfo:
    """Pictures one after another: a video at `sampling.fps`, unless it is one picture in memory."""
    if isinstance(source, InMemory) and source.kind == "image":
        return _still(source.name, kind or "image", _size_in_memory(source), source, limits)
    if kind == "image":
        raise UserError(f"{source.name}: these are a video's frames, not an image; give one of them")
    total = len(source.files) if isinstance(source, Folder) else len(source.frames)
    times_s = np.arange(total) / sampling.fps
    chosen = choose(times_s, total / sampling.fps, sampling, source.name, average_fps=sampling.fps)
    if isinstance(source, Folder):
        with _opened(Encoded(str(source.files[chosen[0]]), source.files[chosen[0]]), limits.max_pixels) as image:
            height, width = displayed_size(image)
    else:
        height, width = _size_in_memory(source)
    return MediaInfo(
        name=source.name,
        kind="video",
        height=height,
        width=width,
        times_s=tuple(times_s[chosen].tolist()),
        duration_s=total / sampling.fps,
        num_source_frames=total,
        source=source,
        chosen=tuple(chosen.tolist()),
        max_pixels=limits.max_pixels,
    )


def pictures(info: MediaInfo) -> Iterator[Image.Image]:
    """The chosen pictures of anything that is no video file, as displayed and in RGB, one at a time."""
    if isinstance(info.source, InMemory):
        for number in info.chosen:
            frame = info.source.frames[number]
            yield to_rgb(frame) if isinstance(frame, Image.Image) else Image.fromarray(_to_uint8(frame, info.name))
    elif isinstance(info.source, Folder):
        for number in info.chosen:
            file = info.source.files[number]
            with _opened(Encoded(str(file), file), info.max_pixels) as image:
                if displayed_size(image) != (info.height, info.width):
                    height, width = displayed_size(image)
                    raise UserError(
                        f"{file}: is {width}x{height}, but the folder's first frame is {info.width}x{info.height}; "
                        "the frames of a video must have one size"
                    )
                yield to_rgb(image)
    else:
        with _opened(info.source, info.max_pixels) as image:
            for number in info.chosen:
                image.seek(number)
                yield to_rgb(image)


def to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow picture -> mode RGB as displayed: upright, over white, 8 bits a channel."""
    is_file = image.format is not None
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        return _from_high_depth(np.asarray(image).astype(np.float64) / 65535)
    if image.mode in ("I", "F"):
        values = np.asarray(image).astype(np.float64)
        # a file's are 16 bits wide; what a picture in memory counts to only its values can tell
        full = 1.0 if image.mode == "F" and values.max() <= 1 else 255.0 if values.max() <= 255 else 65535.0
        full = 65535.0 if is_file and image.mode == "I" else full
        return _from_high_depth(values / full)
    if image.has_transparency_data:
        return over_white(image.convert("RGBA"))
    return image.convert("RGB")


def over_white(image: Image.Image) -> Image.Image:
    """RGBA -> RGB."""
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def displayed_size(image: Image.Image) -> tuple[int, int]:
    """(height, width) after EXIF orientation; values 5 to 8 lie on their side."""
    width, height = image.size
    return (width, height) if image.getexif().get(0x0112, 1) in (5, 6, 7, 8) else (height, width)


def check_pixels(name: str, height: int, width: int, max_pixels: int) -> None:
    """UserError for a picture that is larger than the limit."""
    if height * width > max_pixels:
        raise UserError(f"{name}: {width}x{height} is more than the limit of {max_pixels} pixels")


def num_frames(image: Image.Image) -> int:
    """Frames of an opened file; only Pillow's formats that can hold several have the attribute."""
    return int(getattr(image, "n_frames", 1))


@contextmanager
def _opened(source: Encoded, max_pixels: int) -> Iterator[Image.Image]:
    """The file, with its header read; whatever goes wrong in the block is the file's fault."""
    data = source.path_or_bytes()
    try:
        with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data, formats=FORMATS) as image:
            check_pixels(source.name, image.height, image.width, max_pixels)
            yield image
    except UserError:
        raise
    except Exception as error:  # Pillow's readers of damaged files raise nearly every kind there is
        raise UserError(f"{source.name}: not a readable image: {error}") from error


def _still(name: str, kind: Kind, size: tuple[int, int], source: Encoded | InMemory, limits: FetchLimits) -> MediaInfo:
    """One picture; as a video, it is one frame at time 0."""
    return MediaInfo(
        name=name,
        kind=kind,
        height=size[0],
        width=size[1],
        times_s=(0.0,),
        duration_s=0.0,
        num_source_frames=1,
        source=source,
        chosen=(0,),
        max_pixels=limits.max_pixels,
    )


def _delays(image: Image.Image, name: str) -> list[float]:
    """How long each frame of an animation stays on screen, in seconds. Frames are decoded: WebP says it only then."""
    delays_s: list[float] = []
    total = num_frames(image)
    try:
        for number in range(total):
            image.seek(number)
            image.load()
            delay_s = float(image.info.get("duration", 0)) / 1000
            delays_s.append(delay_s if delay_s >= SHORTEST_DELAY_S else DEFAULT_DELAY_S)
    except Exception as error:  # see _opened
        if not delays_s:
            raise
        logger.warning("%s: only %d of %d frames can be read: %s", name, len(delays_s), total, error)
    return delays_s


def _size_in_memory(source: InMemory) -> tuple[int, int]:
    """(height, width) of the first picture; UserError if the others differ."""
    sizes = {
        displayed_size(frame) if isinstance(frame, Image.Image) else (frame.shape[0], frame.shape[1])
        for frame in source.frames
    }
    if len(sizes) > 1:
        raise UserError(f"{source.name}: the frames of a video must have one size, not {sorted(sizes)}")
    return sizes.pop()


def _to_uint8(array: np.ndarray, name: str) -> Pixels:
    """uint8 as it is; floats in 0..1 times 255, rounded."""
    if array.dtype == np.uint8:
        return array
    values = array.astype(np.float32)
    if not (values.min() >= 0 and values.max() <= 1):
        raise UserError(
            f"{name}: float pixels must lie in 0..1, got {values.min():g}..{values.max():g}; give uint8 for 0..255"
        )
    return np.round(values * 255).astype(np.uint8)


def _from_high_depth(values: np.ndarray) -> Image.Image:
    """Grey values in 0..1 -> RGB."""
    grey = np.round(np.clip(np.nan_to_num(values), 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")
