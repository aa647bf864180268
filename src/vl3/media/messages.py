"""What a `Decoder` and its child process say to each other, pickled.

The answer to a request is any number of logs, infos and frames and then None, or a refusal in place of the rest.
"""

from dataclasses import dataclass

from vl3.config import SamplingConfig
from vl3.media.info import FetchLimits, Kind, Located, MediaInfo, Pixels


@dataclass(frozen=True)
class Probe:
    """The arguments of `vl3.media.reader.probe_located`."""

    source: Located
    sampling: SamplingConfig
    limits: FetchLimits
    kind: Kind | None


@dataclass(frozen=True)
class Read:
    """The arguments of `vl3.media.reader.frames`."""

    info: MediaInfo
    size: tuple[int, int] | None


@dataclass(frozen=True)
class Frame:
    """One decoded frame: its place among the chosen ones, and uint8 [h, w, 3]."""

    slot: int
    pixels: Pixels


@dataclass(frozen=True)
class Log:
    """A line for the parent's log."""

    level: int
    message: str


@dataclass(frozen=True)
class Refusal:
    """A UserError's message."""

    message: str


Request = Probe | Read
Reply = MediaInfo | Frame | Log | Refusal | None
