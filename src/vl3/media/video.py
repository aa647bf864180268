"""Video files: `probe_video` reads packets, not pictures, chooses frames and plans how to reach them.

Frames are found again by their presentation time stamp (PTS). Where packets carry none, they are counted instead.
"""

import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import cast

import numpy as np
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vl3.config import SamplingConfig
from vl3.errors import UserError
from vl3.media.container import NO_PTS, Packets, count_missing, decode, demux, nominal_rate, opened
from vl3.media.decode import prepare
from vl3.media.image import check_pixels
from vl3.media.info import Encoded, FetchLimits, MediaInfo, Orientation, Run, VideoPlan
from vl3.media.sampling import choose

MERGE_GAP = 8
"""Packets between two runs for which it is not worth draining the decoder."""


def probe_video(source: Encoded, sampling: SamplingConfig, limits: FetchLimits) -> MediaInfo:
    """Chooses frames from the packets' presentation times and decodes one frame to learn how it is displayed.

    UserError when the file is no video, holds none, or nothing of it decodes.
    """
    packets = Packets()
    with opened(source) as (container, stream):
        check_pixels(source.name, stream.height, stream.width, limits.max_pixels)
        stream.codec_context.options = {"max_pixels": str(limits.max_pixels)}
        sample: VideoFrame | None = None
        for packet in demux(container, stream, packets):
            if sample is None:
                sample = next(iter(decode(stream, packet)), None)
        sample = sample or next(iter(decode(stream, None)), None)
        if sample is None:
            what = "no frame of it can be decoded" if packets.pts else "the video has no frames"
            raise UserError(f"{source.name}: {what}; the file is damaged or incomplete")
        orientation = _orientation(sample)
        height, width = _displayed_size(sample, stream, orientation)
        check_pixels(source.name, height, width, limits.max_pixels)
        rate = nominal_rate(stream)
        time_base, index = stream.time_base, stream.index  # not to be read once the container is closed
        assert time_base is not None

        labels, times_s, end_s = _clock(packets, time_base, rate)
        counted = sample.pts not in labels
        if counted:
            times_s, end_s = _count_times(source, limits, rate)
            labels = np.arange(len(times_s))
        count_missing(container, stream, packets, end_s, source.name)
    chosen = choose(times_s, end_s, sampling, source.name, average_fps=rate)
    wanted = tuple(labels[chosen].tolist())
    plan = VideoPlan(
        stream=index,
        wanted=wanted,
        counted=counted,
        runs=() if counted else _runs(packets, wanted),
        orientation=orientation,
    )
    return MediaInfo(
        name=source.name,
        kind="video",
        height=height,
        width=width,
        times_s=tuple(times_s[chosen].tolist()),
        duration_s=end_s - float(times_s[0]),
        num_source_frames=len(times_s),
        source=source,
        chosen=tuple(chosen.tolist()),
        plan=plan,
        max_pixels=limits.max_pixels,
    )


def _clock(packets: Packets, time_base: Fraction, rate: float | None) -> tuple[np.ndarray, np.ndarray, float]:
    """(PTS of the shown frames in ascending order, the same in seconds, when the last one leaves the screen). All empty
    if any has none."""
    shown = np.frombuffer(packets.shown, np.uint8).astype(bool)
    labels = np.unique(np.frombuffer(packets.pts, np.int64)[shown])
    if len(labels) == 0 or labels[0] == NO_PTS:
        return np.array([], np.int64), np.array([]), 0.0
    times_s = labels * time_base.numerator / time_base.denominator
    return labels, times_s, float(times_s[-1]) + _last_duration(packets.last_duration * float(time_base), times_s, rate)


def _count_times(source: Encoded, limits: FetchLimits, rate: float | None) -> tuple[np.ndarray, float]:
    """Times of a file whose packets carry none: the frames' own if they have them, else one every 1/rate seconds."""
    ticks: list[int | None] = []
    with opened(source) as (container, stream):
        prepare(stream, limits.max_pixels)
        for packet in [*demux(container, stream, Packets()), None]:
            ticks += [frame.pts for frame in decode(stream, packet)]
        time_base = stream.time_base
    assert time_base is not None
    known = np.array([tick for tick in ticks if tick is not None])
    if len(known) == len(ticks) and bool(np.all(np.diff(known) > 0)):
        times_s = known * time_base.numerator / time_base.denominator
        return times_s, float(times_s[-1]) + _last_duration(0.0, times_s, rate)
    if rate is None:
        raise UserError(f"{source.name}: neither its frames nor its header say when they are shown; remux it to mp4")
    return np.arange(len(ticks)) / rate, len(ticks) / rate


def _last_duration(stated_s: float, times_s: np.ndarray, rate: float | None) -> float:
    """How long the last frame is shown: as stated, else as long as a typical one."""
    if stated_s > 0:
        return stated_s
    if len(times_s) > 1:
        return float(np.median(np.diff(times_s)))
    return 1 / rate if rate else 0.0


def _runs(packets: Packets, wanted: tuple[int, ...]) -> tuple[Run, ...]:
    """The stretches of packets, from a point where decoding can start, that yield the wanted frames."""
    needed = set(wanted)
    place = {pts: number for number, pts in enumerate(packets.pts) if pts in needed and packets.shown[number]}
    entries = np.flatnonzero(np.frombuffer(packets.entry, np.uint8))
    spans: list[list[int]] = []
    for last in sorted(place.values()):
        # Frames that are shown before a key frame but follow it in the file may refer to what precedes it.
        at = int(np.searchsorted(entries, last, side="right")) - 1
        while at >= 0 and packets.pts[entries[at]] > packets.pts[last]:
            at -= 1
        first = int(entries[at]) if at >= 0 else 0
        if spans and first <= spans[-1][1] + MERGE_GAP:
            spans[-1][1] = last
        else:
            spans.append([first, last])
    return tuple(Run(first, last, packets.pts[first], packets.dts[first]) for first, last in spans)


def _orientation(frame: VideoFrame) -> Orientation:
    """The display matrix, rounded to quarter turns and mirrorings: x' = a x + c y, y' = b x + d y."""
    notes = cast("Iterator[SideData]", iter(frame.side_data))  # PyAV's stub says it yields names; it does not
    matrices = [bytes(note) for note in notes if note.type == SideDataType.DISPLAYMATRIX]
    if not matrices:
        return Orientation()
    a, b, _, c, d, *_ = struct.unpack("=9i", matrices[0])
    if abs(a) >= abs(b):
        return Orientation(transpose=False, flip_x=a < 0, flip_y=d < 0)
    return Orientation(transpose=True, flip_x=c < 0, flip_y=b < 0)


def _displayed_size(frame: VideoFrame, stream: VideoStream, orientation: Orientation) -> tuple[int, int]:
    """(height, width) on a screen of square pixels: the sample aspect ratio stretches the stored width."""
    ratio = float(stream.sample_aspect_ratio or 1) or 1.0
    height, width = frame.height, max(1, round(frame.width * ratio))
    return (width, height) if orientation.transpose else (height, width)
