"""motion: how much moves in a clip, and how much standing text lies over it; drops stills and crowded screens.

Frames are taken a fixed time apart. *Motion* is measured on blocks of pixels, whose mean hardly feels the camera's
noise; *standing text* (subtitles, captions, watermarks) are strokes, dense sudden changes from left to right, that stay
where they are while the frames go by.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vl3.config import Count, Positive, SamplingConfig, configclass
from vl3.curate.media import PLACE, source_of
from vl3.curate.step import Found, Place, Rows, RowStep
from vl3.errors import UserError
from vl3.media import Decoder

GREY = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601 luma."""
LONG_SIDE = 512
"""Of the frames that are looked at, in pixels."""
BLOCK = 16
"""Side of the blocks that motion is measured on."""
MOVED = 4.0
"""Change of a block's mean that is movement, in grey levels."""
STROKE = 32.0
"""Change from one pixel to the second next that is the edge of a stroke, in grey levels."""
STANDS = 0.8
"""Share of frames in which a stroke's edge must be there."""
TEXT_CELL = (8, 16)
"""Height and width of the cells that are text or not."""
TEXT_DENSITY = 0.05
"""Least share of a text cell's pixels at rising edges, and at falling ones."""


@configclass
class MotionConfig:
    """How clips are looked at, and which are kept."""

    fps: Positive = 2.0
    """Frames a second that are compared."""
    max_frames: Count = 32
    """Most frames of a clip; a longer one is looked at in its middle."""
    min_moving: float = 0.02
    """Least share of the picture in which something moves; less is near-static."""
    max_motion: float | None = None
    """Most mean change between two frames, in grey levels; more is flicker or a shaking camera."""
    max_text: float | None = 0.15
    """Most share of the picture under standing text."""
    time_limit_s: Positive = 120.0
    """Longest time for decoding one clip."""


def motion_step(config: MotionConfig) -> RowStep:
    """Writes `motion` (grey levels), `moving` and `standing_text` (shares of the picture)."""

    def start(_place: Place) -> Callable[[Rows], Found]:
        return partial(measure, config, Decoder(config.time_limit_s))

    outputs = {"motion": "float32", "moving": "float32", "standing_text": "float32"}
    return RowStep((*PLACE, "start_s", "end_s"), outputs, start, only="video")  # type: ignore[arg-type]


def measure(config: MotionConfig, decoder: Decoder, rows: Rows) -> Found:
    """Looks at each clip between its times."""
    found: Rows = {"motion": [], "moving": [], "standing_text": []}
    reasons: list[str | None] = []
    for number in range(len(rows["id"])):
        try:
            frames = grey_frames(
                source_of(rows, number), rows["start_s"][number], rows["end_s"][number], config, decoder
            )
        except UserError as error:
            values: tuple[float | None, float | None, float | None] = (None, None, None)
            reasons.append(f"cannot be decoded: {error}")
        else:
            change, moving = motion(frames)
            text = standing_text(frames)
            values = (change, moving, text)
            reasons.append(_fault(config, change, moving, text))
        for column, value in zip(found, values, strict=True):
            found[column].append(value)
    return Found(found, reasons)


def grey_frames(
    source: str | bytes, start_s: float | None, end_s: float | None, config: MotionConfig, decoder: Decoder
) -> NDArray[np.float32]:
    """[t, h, w] grey levels of a clip's frames, 1/fps seconds apart. UserError if none can be decoded."""
    begin_s, finish_s = start_s, end_s
    if start_s is not None and end_s is not None and (end_s - start_s) * config.fps > config.max_frames:
        spare_s = (end_s - start_s) - config.max_frames / config.fps
        begin_s, finish_s = start_s + spare_s / 2, end_s - spare_s / 2
    sampling = SamplingConfig(fps=config.fps, max_frames=config.max_frames, start_s=begin_s, end_s=finish_s)
    info = decoder.probe(source, sampling, "video")
    scale = min(1.0, LONG_SIDE / max(info.height, info.width))
    size = (max(1, round(info.height * scale)), max(1, round(info.width * scale)))
    _, pixels = decoder.salvage(info, size)
    return pixels @ GREY


def motion(frames: NDArray[np.float32]) -> tuple[float, float]:
    """(mean change from frame to frame, share of the picture that moves at some time). [t, h, w] grey levels; both 0
    for one frame."""
    if len(frames) < 2:
        return 0.0, 0.0
    change = np.abs(np.diff(_means(frames, (BLOCK, BLOCK)), axis=0))
    return float(change.mean()), float((change.max(0) > MOVED).mean())


def standing_text(frames: NDArray[np.float32]) -> float:
    """The share of the picture under text that stands while the frames go by. [t, h, w] grey levels."""
    slope = frames[:, :, 2:] - frames[:, :, :-2]
    rising = (slope > STROKE).mean(0) >= STANDS
    falling = (slope < -STROKE).mean(0) >= STANDS
    dense = [_means(edges.astype(np.float32), TEXT_CELL) >= TEXT_DENSITY for edges in (rising, falling)]
    return float((dense[0] & dense[1]).mean())


def _means(values: NDArray[np.float32], cell: tuple[int, int]) -> NDArray[np.float32]:
    """[..., h, w] -> means over cells, [..., h / cell height, w / cell width]; what is left at the edges is cut."""
    height, width = (min(side, length) for side, length in zip(cell, values.shape[-2:], strict=True))
    rows, columns = values.shape[-2] // height, values.shape[-1] // width
    whole = values[..., : rows * height, : columns * width]
    return whole.reshape(*values.shape[:-2], rows, height, columns, width).mean((-3, -1))


def _fault(config: MotionConfig, change: float, moving: float, text: float) -> str | None:
    if moving < config.min_moving:
        return "near-static"
    if config.max_motion is not None and change > config.max_motion:
        return "too much motion"
    if config.max_text is not None and text > config.max_text:
        return "text lies over it"
    return None
