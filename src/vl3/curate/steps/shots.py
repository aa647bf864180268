"""shots: makes a row of each shot of a video, cut where PySceneDetect's detectors see a cut.

The detectors are given the frames of this project's own decoder, small, one at a time and with their presentation
times, so that variable frame rates and hours of film are no different.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from vl3.config import Positive, SamplingConfig, configclass
from vl3.curate.media import PLACE, source_of
from vl3.curate.step import Found, Place, Rows, RowStep, Type
from vl3.errors import UserError
from vl3.media import Decoder
from vl3.media.info import Pixels

HEIGHT = 144
"""Of the frames that are compared, in pixels, or their own if that is less."""

Span = tuple[float, float]
"""From, and up to but not including, so many seconds of presentation time."""


@configclass
class ShotsConfig:
    """Where videos are cut and which pieces are kept."""

    detector: Literal["adaptive", "content", "none"] = "adaptive"
    """`adaptive` compares a frame's change with its neighbours' (camera movement is no cut), `content` with a fixed
    number; `none` takes a video for one shot."""
    threshold: Positive | None = None
    """Of the detector, None for PySceneDetect's own: 3 times the neighbours' change, or 27 for `content`."""
    min_change: float = 15.0
    """`adaptive`: least change of a cut, in grey levels averaged over hue, saturation and brightness."""
    fps: Positive = 30.0
    """Most frames a second that are compared."""
    min_s: float = 1.0
    """Shortest shot that is kept, in seconds."""
    max_s: Positive | None = 60.0
    """Longest; a longer shot is cut into equal parts. None cuts nothing."""
    time_limit_s: Positive = 1800.0
    """Longest time for decoding one video."""


def shots_step(config: ShotsConfig) -> RowStep:
    """Writes `start_s` and `end_s`, in seconds of presentation time."""

    def start(_place: Place) -> Callable[[Rows], Found]:
        return partial(split, config, Decoder(config.time_limit_s))

    def ready(_columns: Mapping[str, Type]) -> None:
        if config.detector != "none":
            _detectors()

    return RowStep(PLACE, {"start_s": "float64", "end_s": "float64"}, start, only="video", ready=ready)


def split(config: ShotsConfig, decoder: Decoder, rows: Rows) -> Found:
    """A row for each shot. A video that cannot be read stays one row, dropped."""
    starts: list[float | None] = []
    ends: list[float | None] = []
    reasons: list[str | None] = []
    parents: list[int] = []
    for number in range(len(rows["id"])):
        try:
            spans: Sequence[tuple[float | None, float | None]] = shots(source_of(rows, number), config, decoder)
            trouble = None
        except UserError as error:
            spans, trouble = [(None, None)], f"cannot be decoded: {error}"
        for start_s, end_s in spans:
            short = start_s is not None and end_s is not None and end_s - start_s < config.min_s - 1e-6
            starts.append(start_s)
            ends.append(end_s)
            reasons.append("shot too short" if short else trouble)
            parents.append(number)
    return Found({"start_s": starts, "end_s": ends}, reasons, parents)


def shots(source: str | bytes, config: ShotsConfig, decoder: Decoder) -> list[Span]:
    """All shots of a video, in order, without gaps. UserError if it cannot be decoded."""
    info = decoder.probe(source, SamplingConfig(fps=config.fps, max_frames=1_000_000_000), "video")
    end_s = info.times_s[0] + info.duration_s
    if config.detector == "none":
        return divided([(info.times_s[0], end_s)], config.max_s)
    height = min(HEIGHT, info.height)
    size = (height, max(1, round(info.width * height / info.height)))
    first = cuts(((slot, frame) for slot, frame in decoder.frames(info, size)), config)
    edges = [info.times_s[0], *(info.times_s[slot] for slot in first), end_s]
    return divided(list(itertools.pairwise(edges)), config.max_s)


def cuts(frames: Iterable[tuple[int, Pixels]], config: ShotsConfig) -> list[int]:
    """Numbers of the frames that begin a new shot. frames: (number, uint8 [h, w, 3] RGB), ascending."""
    adaptive, content, timecode = _detectors()
    if config.detector == "adaptive":
        detector = adaptive(config.threshold or 3.0, min_scene_len=0, min_content_val=config.min_change)
    else:
        detector = content(config.threshold or 27.0, min_scene_len=0)
    found: list[int] = []
    last = None
    for number, frame in frames:
        last = timecode(number, fps=25.0)  # a number of frames; the rate means nothing
        found += [at.frame_num for at in detector.process_frame(last, frame[..., ::-1].copy())]
    if last is not None:
        found += [at.frame_num for at in detector.post_process(last)]
    return sorted({at for at in found if at > 0})


def divided(spans: Sequence[Span], max_s: float | None) -> list[Span]:
    """The same spans, those over `max_s` seconds in the least number of equal parts."""
    if max_s is None:
        return list(spans)
    pieces = []
    for start_s, end_s in spans:
        num_parts = max(1, -int(-(end_s - start_s - 1e-6) // max_s))
        edges = [start_s + (end_s - start_s) * k / num_parts for k in range(num_parts)] + [end_s]
        pieces += list(itertools.pairwise(edges))
    return pieces


def _detectors() -> tuple[Any, Any, Any]:
    """(AdaptiveDetector, ContentDetector, FrameTimecode) of PySceneDetect."""
    try:
        from scenedetect import AdaptiveDetector, ContentDetector, FrameTimecode
    except ImportError as error:
        raise UserError("finding shots needs the curate extra: pip install 'vl3[curate]'") from error
    return AdaptiveDetector, ContentDetector, FrameTimecode
