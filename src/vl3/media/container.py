"""Opening video files with PyAV: what may be opened, which stream is meant, and what its packets say about time."""

from __future__ import annotations  # PyAV's Packet and 3.11's array are generic for the type checker only

import io
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import cast

import av
import av.error
from av.codec.context import CodecContext
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vl3.errors import UserError
from vl3.log import logger
from vl3.media.info import Encoded

# Formats that hold their own data. Playlists (HLS, DASH, concat, SDP) would open other files and URLs in turn.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,live_flv,mpegts,mpegtsraw,mpeg,mpegvideo,asf,ogg,ivf,nut,mxf,rm,dv,"
    "h264,hevc,vvc,av1,obu,m4v,h263,vc1,mjpeg,yuv4mpegpipe,gif,apng,wtv,dirac,mp3,wav,aac,flac"
)
NO_PTS = -(1 << 63)


@dataclass
class Packets:
    """The packets of a video stream, in the order of the file. Arrays hold one entry a packet."""

    pts: array[int] = field(default_factory=lambda: array("q"))
    """In ticks; NO_PTS where there is none."""
    dts: array[int] = field(default_factory=lambda: array("q"))
    """The same."""
    shown: bytearray = field(default_factory=bytearray)
    """1 where the packet's frame is displayed: not cut by an edit list, not a hidden reference of VP8."""
    entry: bytearray = field(default_factory=bytearray)
    """1 where decoding can start."""
    last_duration: int = 0
    """Of the packet with the greatest PTS, in ticks; 0 if unknown."""
    complaint: str = ""
    """What went wrong while the packets were read; empty if nothing did."""


@contextmanager
def opened(source: Encoded) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its video stream. UserError for what is no video; so become FFmpegErrors in the block."""
    data = source.path_or_bytes()
    # The prefix keeps a file called `concat:a` or `http:b` from being taken for a protocol.
    file = io.BytesIO(data) if isinstance(data, bytes) else f"file:{data.resolve()}"
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    try:
        with av.open(file, mode="r", options=options, metadata_errors="replace") as container:
            yield container, _video_stream(container, source.name)
    except av.error.FFmpegError as error:
        empty = len(data) == 0 if isinstance(data, bytes) else data.exists() and data.stat().st_size == 0
        reason = "the file is empty" if empty else f"not a readable image or video: {error.strerror}"
        raise UserError(f"{source.name}: {reason}") from error


def _video_stream(container: InputContainer, name: str) -> VideoStream:
    """The stream a player would show; not the cover picture of an audio file. Other streams are not even read."""
    pictures = Disposition.attached_pic | Disposition.timed_thumbnails
    streams = [stream for stream in container.streams.video if not stream.disposition & pictures]
    if not streams:
        kinds = sorted({stream.type for stream in container.streams})
        raise UserError(f"{name}: no video in it, only {' and '.join(kinds) or 'nothing'}")
    best = container.streams.best("video")
    stream = best if isinstance(best, VideoStream) and best in streams else streams[0]
    # PyAV's stub says that this is never None; it is where ffmpeg knows no such codec.
    if cast("CodecContext | None", stream.codec_context) is None:
        raise UserError(f"{name}: the video's codec is unknown; the file is damaged or needs re-encoding")
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    return stream


def demux(container: InputContainer, stream: VideoStream, packets: Packets) -> Iterator[Packet[VideoStream]]:
    """Yields the stream's packets and notes them in `packets`. Ends where a damaged file cannot be read further."""
    codec = stream.codec_context.name
    greatest = NO_PTS
    try:
        for packet in container.demux(stream):
            if packet.size == 0:  # the flush packet at the end, or a dropped frame of AVI
                continue
            if packet.is_corrupt:  # its last bytes are missing
                packets.complaint = "its last packet is cut short"
                continue
            pts = NO_PTS if packet.pts is None else packet.pts
            packets.pts.append(pts)
            packets.dts.append(NO_PTS if packet.dts is None else packet.dts)
            packets.shown.append(not packet.is_discard and not (codec == "vp8" and _vp8_hidden(packet)))
            packets.entry.append(packet.is_keyframe and (codec != "h264" or _h264_idr(packet)))
            if pts > greatest:
                greatest, packets.last_duration = pts, packet.duration or 0
            yield packet
    except av.error.FFmpegError as error:
        packets.complaint = f"it cannot be read to its end ({error.strerror})"
    except IndexError:  # PyAV, after the last packet of a file in which new streams turned up underway
        packets.complaint = "it is not what its beginning promises"


def count_missing(container: InputContainer, stream: VideoStream, packets: Packets, end_s: float, name: str) -> None:
    """Warns when a file holds less than its header promises."""
    promised, there = len(stream.index_entries), len(packets.pts)
    complaint = packets.complaint
    if there < promised and container.format.name.startswith("mov"):
        complaint = f"only {there} of {promised} frames are there"
    elif not complaint and container.duration and end_s > 0:
        whole_s = (container.duration + (container.start_time or 0)) / av.time_base
        if end_s < whole_s - max(0.5, 0.05 * whole_s):  # sound may well be a little longer
            complaint = f"its pictures end at {end_s:.2f} s of {whole_s:.2f} s"
    if complaint:
        logger.warning("%s: %s; the file may be damaged or cut short. What is there is used.", name, complaint)


def decode(stream: VideoStream, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
    """The frames that come out when `packet` goes in (None: the ones still inside). A packet that the decoder refuses
    yields none, as in a player; whoever misses its frame must say so."""
    try:
        return stream.codec_context.decode(packet)
    except av.error.FFmpegError:
        return []


def nominal_rate(stream: VideoStream) -> float | None:
    """Frames a second as the header says."""
    rate: Fraction | None = stream.average_rate or stream.guessed_rate
    return float(rate) if rate else None


def _vp8_hidden(packet: Packet[VideoStream]) -> bool:
    """RFC 6386, section 9.1: bit 4 of the frame tag is show_frame."""
    return not memoryview(packet)[0] & 0x10


def _h264_idr(packet: Packet[VideoStream]) -> bool:
    """Whether a key packet is an IDR picture (H.264 section 7.4.1.2.4, NAL unit type 5). Other recovery points may lean
    on pictures before them, so that decoding from there would give other pixels."""
    data = bytes(memoryview(packet)[:65536])
    if data.startswith((b"\0\0\1", b"\0\0\0\1")):
        return any(unit[:1] and unit[0] & 31 == 5 for unit in data.split(b"\0\0\1")[1:])
    extradata = packet.stream.codec_context.extradata or b""
    length_size = (extradata[4] & 3) + 1 if len(extradata) > 4 else 4
    at = 0
    while at + length_size < len(data):
        if data[at + length_size] & 31 == 5:
            return True
        at += length_size + int.from_bytes(data[at : at + length_size], "big")
    return False
