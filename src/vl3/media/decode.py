"""The chosen frames of a video file, decoded and made RGB. What `video.probe_video` planned is carried out here.

Three ways lead to the same pixels: `scan`, the plain one, decodes everything up to the last chosen frame; `seek` jumps
over stretches that hold no chosen frame and nothing that one refers to, and passes over single frames that no other
refers to; `auto` does the same but reads past short stretches instead of jumping.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal

import numpy as np
from av.codec.context import ThreadType
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from PIL import Image

from vl3.errors import UserError
from vl3.log import logger
from vl3.media.container import NO_PTS, Packets, decode, demux, opened
from vl3.media.image import over_white
from vl3.media.info import Encoded, MediaInfo, Orientation, Pixels, VideoPlan

Strategy = Literal["auto", "scan", "seek"]

SEEK_GAP = 300
"""Packets to the next run from which on jumping is cheaper than reading past them."""
NONREF_CODECS = {"h264", "mpeg4", "mpeg1video", "mpeg2video"}
"""Decoders that can pass over a frame because no other refers to it. In HEVC "not referred to" means by frames of the
same temporal layer only, so it is not among them."""


def video_frames(
    info: MediaInfo, size: tuple[int, int] | None = None, strategy: Strategy = "auto"
) -> Iterator[tuple[int, Pixels]]:
    """Yields (k, uint8 [h, w, 3]) for each chosen frame k that decodes, resized to size = (h, w) by PIL's bicubic
    filter or, if None, as displayed. Holds one full-size RGB frame at a time, converted while the next one is decoded.

    A chosen frame that does not come out after skipping is looked for once more by a scan from the start.
    """
    plan, source = info.plan, info.source
    assert plan is not None
    assert isinstance(source, Encoded)
    slots = {label: slot for slot, label in enumerate(plan.wanted)}
    converter = Converter(plan.orientation, size or (info.height, info.width))
    damaged = 0
    attempts: list[Strategy] = ["scan"] if plan.counted or strategy == "scan" else [strategy, "scan"]
    pending: tuple[int, Future[Pixels]] | None = None
    with ThreadPoolExecutor(1) as pool:
        for attempt in attempts:
            for label, frame in _decoded(source, plan, slots, attempt, info.max_pixels):
                damaged += frame.is_corrupt
                if pending is not None:
                    yield pending[0], pending[1].result()
                pending = slots.pop(label), pool.submit(converter.convert, frame)
            if not slots:
                break
            logger.debug("%s: %d chosen frames did not come out by %s", info.name, len(slots), attempt)
        if pending is not None:
            yield pending[0], pending[1].result()
    if damaged:
        logger.warning("%s: %d of %d chosen frames are damaged", info.name, damaged, len(plan.wanted))


def _decoded(
    source: Encoded, plan: VideoPlan, slots: dict[int, int], strategy: Strategy, max_pixels: int
) -> Iterator[tuple[int, VideoFrame]]:
    """The wanted frames that are still in `slots`, as (label, frame), in order of presentation."""
    with opened(source) as (container, stream):
        if stream.index != plan.stream:
            raise UserError(f"{source.name}: the file has changed since it was looked at")
        prepare(stream, max_pixels)
        outputs = _scan(container, stream) if strategy == "scan" else _runs(container, stream, plan, strategy)
        for number, frame in enumerate(outputs):
            label = number if plan.counted else frame.pts
            if label is not None and label in slots:
                yield label, frame
            if not slots:
                return


def _scan(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """All frames of the stream."""
    for packet in demux(container, stream, Packets()):
        yield from decode(stream, packet)
    yield from decode(stream, None)


def _runs(container: InputContainer, stream: VideoStream, plan: VideoPlan, strategy: Strategy) -> Iterator[VideoFrame]:
    """The frames of the plan's runs, without those that are neither wanted nor referred to."""
    context = stream.codec_context
    wanted = frozenset(plan.wanted)
    may_skip = context.name in NONREF_CODECS
    packets = demux(container, stream, Packets())
    number: int | None = -1  # the last packet's, in the order of the file; None while not known after a jump
    for run in plan.runs:
        far = number is None or run.first - number > (1 if strategy == "seek" else SEEK_GAP)
        if far and run.first_dts != NO_PTS:
            container.seek(run.first_dts, stream=stream)
            packets, number = demux(container, stream, Packets()), None
        for packet in packets:
            if number is not None:
                number += 1
            elif packet.is_keyframe and packet.pts == run.first_pts:
                number = run.first
            if number is None or number < run.first:
                continue
            if may_skip:
                context.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
            yield from decode(stream, packet)
            if number == run.last:
                break
        yield from decode(stream, None)
        context.flush_buffers()


def prepare(stream: VideoStream, max_pixels: int) -> None:
    """Settings of a decoder that is to be quick: all cores, and no picture above the limit."""
    stream.codec_context.options = {"max_pixels": str(max_pixels)}
    stream.codec_context.thread_type = ThreadType.AUTO


class Converter:
    """Decoded frames -> uint8 [h, w, 3] of one size, as displayed. Keeps its tables and its full-size buffer."""

    def __init__(self, orientation: Orientation, size: tuple[int, int]) -> None:
        self.orientation = orientation
        self.size = size
        self.reformatter = VideoReformatter()
        self.canvas = Image.new("RGB", (1, 1))

    def convert(self, frame: VideoFrame) -> Pixels:
        """RGB at full size first, then resized: the order that Pillow-based pipelines have."""
        alpha = any(component.is_alpha for component in frame.format.components)
        rgb = self.reformatter.reformat(frame, format="rgba" if alpha else "rgb24")
        pixels = np.ascontiguousarray(self.orientation.apply(rgb.to_ndarray().astype(np.uint8, copy=False)))
        height, width = self.size
        if alpha:
            image = over_white(Image.fromarray(pixels))
        elif pixels.shape[:2] == self.size:
            return pixels
        else:
            if self.canvas.size != (pixels.shape[1], pixels.shape[0]):
                self.canvas = Image.new("RGB", (pixels.shape[1], pixels.shape[0]))
            image = self.canvas
            image.frombytes(pixels.data.cast("B"))
        return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))
