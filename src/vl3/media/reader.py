"""The two steps: `probe` chooses frames, `read` makes them pixels. Between them the caller decides on sizes."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from vl3.config import SamplingConfig
from vl3.errors import UserError
from vl3.log import logger
from vl3.media.decode import video_frames
from vl3.media.image import is_picture, pictures, probe_picture, probe_pictures
from vl3.media.info import DEFAULT_LIMITS, Encoded, FetchLimits, Kind, Located, MediaInfo, Pixels
from vl3.media.source import Source, locate
from vl3.media.video import probe_video

DEFAULT_SAMPLING = SamplingConfig()


def probe(
    source: Source,
    sampling: SamplingConfig = DEFAULT_SAMPLING,
    limits: FetchLimits = DEFAULT_LIMITS,
    kind: Kind | None = None,
) -> MediaInfo:
    """What `source` is and which of its frames are chosen. Pixels are not converted yet.

    kind: what it must be; None takes pictures for images, and animations and all else for videos. An animation as
    "image" is its first frame; a picture as "video" has one frame. A folder or list of frames is a video at
    `sampling.fps`. UserError, naming the source, for all that cannot be found, fetched or read.
    """
    return probe_located(locate(source, limits), sampling, limits, kind)


def probe_located(located: Located, sampling: SamplingConfig, limits: FetchLimits, kind: Kind | None) -> MediaInfo:
    """`probe` for a source that has been found and fetched."""
    if not isinstance(located, Encoded):
        return probe_pictures(located, sampling, limits, kind)
    if is_picture(located):
        return probe_picture(located, sampling, limits, kind)
    info = probe_video(located, sampling, limits)
    if kind == "image":
        raise UserError(f"{info.name}: is a video, not an image; ask about it as a video")
    return info


def read(info: MediaInfo, size: tuple[int, int] | None = None) -> Pixels:
    """The chosen frames: uint8 [t, h, w, 3] RGB, t = len(info.times_s), each resized to size = (h, w) by PIL's bicubic
    filter as soon as it is decoded; None keeps the displayed size.

    UserError when the source is damaged so that a chosen frame does not decode; `salvage` goes on without it.
    """
    return assemble(info, size, frames(info, size))


def salvage(info: MediaInfo, size: tuple[int, int] | None = None) -> tuple[MediaInfo, Pixels]:
    """Like `read`, but leaves out the frames that do not decode, with a warning that counts them, and returns the info
    of those that do. UserError when none does."""
    return assemble_some(info, size, frames(info, size))


def frames(info: MediaInfo, size: tuple[int, int] | None) -> Iterator[tuple[int, Pixels]]:
    """Yields (k, uint8 [h, w, 3]) for the chosen frames k that decode, ascending, one at a time."""
    height, width = size or (info.height, info.width)
    if info.plan is not None:
        yield from video_frames(info, (height, width))
        return
    for slot, image in enumerate(pictures(info)):
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BICUBIC)
        yield slot, np.asarray(image)


def assemble(info: MediaInfo, size: tuple[int, int] | None, decoded: Iterator[tuple[int, Pixels]]) -> Pixels:
    """All frames of `decoded` in one array; UserError if some are missing."""
    out, present = _collect(info, size, decoded)
    if len(present) < len(info.times_s):
        raise UserError(
            f"{info.name}: {_missing(info, present)}; the file is damaged, re-encoding it may drop what is bad"
        )
    return out


def assemble_some(
    info: MediaInfo, size: tuple[int, int] | None, decoded: Iterator[tuple[int, Pixels]]
) -> tuple[MediaInfo, Pixels]:
    """What there is of `decoded` in one array, with the info of just that."""
    out, present = _collect(info, size, decoded)
    if not present:
        raise UserError(f"{info.name}: none of the {len(info.times_s)} chosen frames can be decoded")
    if len(present) < len(info.times_s):
        logger.warning("%s: %s; the rest is used", info.name, _missing(info, present))
    return info.keep(present), out[present]


def _collect(
    info: MediaInfo, size: tuple[int, int] | None, decoded: Iterator[tuple[int, Pixels]]
) -> tuple[Pixels, list[int]]:
    """(uint8 [t, h, w, 3], which of the t frames were there)."""
    height, width = size or (info.height, info.width)
    out = np.zeros((len(info.times_s), height, width, 3), np.uint8)
    present: list[int] = []
    for slot, pixels in decoded:
        out[slot] = pixels
        present.append(slot)
    return out, sorted(present)


def _missing(info: MediaInfo, present: list[int]) -> str:
    """Counts and names what is missing."""
    total = len(info.times_s)
    absent = sorted(set(range(total)) - set(present))
    return f"{len(absent)} of {total} chosen frames cannot be decoded (the first at {info.times_s[absent[0]]:.2f} s)"
