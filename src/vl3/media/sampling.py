"""Which frames of a clip are looked at: presentation times in, frame numbers out. Pure functions.

`authors`: the frame on screen at start + i/fps, for i = 0, 1, ... up to the end (paper section 3.2: 1 frame a second);
more than max_frames samples are thinned by a truncated linspace. (The authors' ffmpeg filter takes the last frame of
each interval and labels it with the interval's start; here a frame's time is its own.) `transformers`: evenly spaced
frame numbers.
"""

import math

import numpy as np
from numpy.typing import NDArray

from vl3.config import SamplingConfig
from vl3.errors import UserError

EPSILON_S = 1e-6
"""Two times closer than this are one: sample times are sums of floats, presentation times whole ticks."""
MIN_FRAMES_TRANSFORMERS = 4


def choose(
    times_s: NDArray[np.float64], end_s: float, sampling: SamplingConfig, name: str, average_fps: float | None = None
) -> NDArray[np.int64]:
    """Numbers of the chosen frames, strictly ascending (a frame that stays on screen for several samples counts once).

    times_s: [n] presentation times of all frames, ascending, n >= 1; end_s: when the last frame leaves the screen;
    average_fps: the file's nominal rate, for the `transformers` policy. UserError, naming `name` and the clip's
    duration, when the trim leaves nothing.
    """
    first, stop = _window(times_s, end_s, sampling, name)
    total = stop - first
    if sampling.policy == "transformers":
        return first + _transformers(total, average_fps or _rate(times_s, end_s), sampling)
    if sampling.num_frames is not None:
        return first + _linspace(total, min(sampling.num_frames, total))
    begin_s = max(times_s[0], sampling.start_s or 0.0) if sampling.start_s is not None else times_s[0]
    finish_s = min(end_s, sampling.end_s) if sampling.end_s is not None else end_s
    num_samples = max(1, math.ceil((finish_s - begin_s - EPSILON_S) * sampling.fps))
    samples_s = begin_s + _linspace(num_samples, min(num_samples, sampling.max_frames)) / sampling.fps
    shown = np.searchsorted(times_s, samples_s + EPSILON_S, side="right") - 1
    return np.unique(np.clip(shown, first, stop - 1)).astype(np.int64)


def _window(times_s: NDArray[np.float64], end_s: float, sampling: SamplingConfig, name: str) -> tuple[int, int]:
    """The frames on screen at some time in [start_s, end_s): from the one number, up to but not including the other."""
    first, stop = 0, len(times_s)
    if sampling.start_s is not None:
        first = max(0, int(np.searchsorted(times_s, sampling.start_s + EPSILON_S, side="right")) - 1)
    if sampling.end_s is not None:
        stop = int(np.searchsorted(times_s, sampling.end_s - EPSILON_S, side="left"))
    if stop == 0 or (sampling.start_s is not None and sampling.start_s >= end_s):
        asked = f"{sampling.start_s or 0:g} s to {'the end' if sampling.end_s is None else f'{sampling.end_s:g} s'}"
        raise UserError(
            f"{name}: nothing is shown from {asked}: the clip lasts {end_s - times_s[0]:.2f} s, from "
            f"{times_s[0]:.2f} s to {end_s:.2f} s; choose start and end within that"
        )
    return first, max(stop, first + 1)


def _transformers(total: int, average_fps: float, sampling: SamplingConfig) -> NDArray[np.int64]:
    """The video processors of the `transformers` library: arange(0, total, total / n), in single precision."""
    if sampling.num_frames is not None:
        num_frames = min(sampling.num_frames, total)
    else:
        wanted = max(total / average_fps * sampling.fps, MIN_FRAMES_TRANSFORMERS)
        num_frames = max(1, math.floor(min(wanted, sampling.max_frames, total)))
    spaced = (np.arange(num_frames) * (total / num_frames)).astype(np.float32)
    return np.minimum(spaced.astype(np.int64), total - 1)


def _linspace(total: int, count: int) -> NDArray[np.int64]:
    """`count` whole numbers from 0 to total - 1, evenly spread and truncated."""
    return np.linspace(0, total - 1, count).astype(np.int64)


def _rate(times_s: NDArray[np.float64], end_s: float) -> float:
    """Frames a second on average; 1 for a clip of no duration."""
    duration_s = end_s - times_s[0]
    return float(len(times_s) / duration_s) if duration_s > 0 else 1.0
