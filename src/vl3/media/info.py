"""What is known of a medium before its pixels are: the limits, where its data are, and which frames were chosen."""

import os
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vl3.config import configclass

Pixels = NDArray[np.uint8]
"""[h, w, 3] RGB, or [t, h, w, 3]."""
Kind = Literal["image", "video"]


@configclass
class FetchLimits:
    """What a source may cost and which addresses it may name."""

    max_bytes: int = 2 << 30
    """Largest download, in bytes."""
    timeout_s: float = 60.0
    """Longest time of a whole transfer, redirects included, in seconds."""
    max_redirects: int = 5
    """Most redirects that are followed."""
    allow_private: bool = True
    """Whether URLs may lead to loopback, link-local and private addresses. A server that fetches what strangers name
    must say no."""
    max_pixels: int = 178_956_970
    """Largest picture or video frame, height x width as stored; a larger one is taken for a decompression bomb."""


DEFAULT_LIMITS = FetchLimits()


class TemporaryFile:
    """A file that is deleted with the object. A copy sent to another process only names the file."""

    def __init__(self, suffix: str = "") -> None:
        handle, name = tempfile.mkstemp(prefix="vl3-", suffix=suffix)
        os.close(handle)
        self.path = Path(name)
        weakref.finalize(self, self.path.unlink, missing_ok=True)

    def __reduce__(self) -> tuple[type["BorrowedFile"], tuple[Path]]:
        return BorrowedFile, (self.path,)


@dataclass(frozen=True)
class BorrowedFile:
    """A temporary file that another process owns."""

    path: Path


@dataclass(frozen=True)
class Encoded:
    """One file's worth of encoded image or video."""

    name: str
    data: Path | bytes | TemporaryFile | BorrowedFile

    def path_or_bytes(self) -> Path | bytes:
        """Where the bytes are."""
        return self.data.path if isinstance(self.data, TemporaryFile | BorrowedFile) else self.data


@dataclass(frozen=True)
class Folder:
    """A video given as image files, in order."""

    name: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class InMemory:
    """Pictures that are decoded already: one is an image if `kind` says so, else they are a video's frames."""

    name: str
    kind: Kind
    frames: tuple[Image.Image | NDArray[Any], ...]


Located = Encoded | Folder | InMemory


@dataclass(frozen=True)
class Orientation:
    """How stored pixels become displayed ones: first transposed, then mirrored."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    def apply(self, image: Pixels) -> Pixels:
        """[h, w, c] as stored -> [h, w, c] as displayed, as a view."""
        turned = image.swapaxes(0, 1) if self.transpose else image
        return turned[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]


@dataclass(frozen=True)
class Run:
    """Packets that are decoded in one go, from a key packet to the last one needed. Numbers count the stream's packets
    in the order of the file."""

    first: int
    last: int
    first_pts: int
    first_dts: int


@dataclass(frozen=True)
class VideoPlan:
    """Which packets of a video file are decoded and which of the frames that come out are kept."""

    stream: int
    """Index of the stream in its container."""
    wanted: tuple[int, ...]
    """The chosen frames, ascending: PTS in the stream's time base or, if `counted`, how many frames come out before."""
    counted: bool
    """Whether the packets lack presentation times, so that frames can only be found by counting from the start."""
    runs: tuple[Run, ...]
    """What is decoded when not everything is."""
    orientation: Orientation
    """The display matrix."""


@configclass
class MediaInfo:
    """What was chosen from a medium, before any pixel is converted. Can be pickled."""

    name: str
    """What messages call it: the path, the URL without credentials and query, `<bytes>`..."""
    kind: Kind
    """Whether it goes to the model as an image or as a video."""
    height: int
    """Of a frame as displayed, in pixels: rotation, EXIF orientation and sample aspect ratio applied."""
    width: int
    """The same across."""
    times_s: tuple[float, ...]
    """Presentation time of each chosen frame, in seconds on the file's own clock; (0.0,) for an image."""
    duration_s: float
    """From the first frame's presentation time to the end of the last one's; 0.0 for an image."""
    num_source_frames: int
    """Frames in the source."""
    source: Located
    """Where the data are (for `read`)."""
    chosen: tuple[int, ...]
    """Numbers of the chosen frames in presentation order (for `read`)."""
    plan: VideoPlan | None = None
    """How the frames of a video file are reached; None for all that Pillow or the memory holds (for `read`)."""
    max_pixels: int = FetchLimits.max_pixels
    """The limit it was probed with (for `read`)."""

    def keep(self, which: Sequence[int]) -> "MediaInfo":
        """The info of some of its chosen frames, by their places in `times_s`, ascending."""
        plan = self.plan and replace(self.plan, wanted=tuple(self.plan.wanted[k] for k in which))
        times_s, chosen = tuple(self.times_s[k] for k in which), tuple(self.chosen[k] for k in which)
        return replace(self, times_s=times_s, chosen=chosen, plan=plan)
