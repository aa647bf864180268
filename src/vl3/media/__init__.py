"""Files, URLs, bytes and arrays -> uint8 frames with their presentation times. One decoder: PyAV; Pillow for images."""

from vl3.media.decoder import Decoder
from vl3.media.info import FetchLimits, MediaInfo
from vl3.media.reader import probe, read, salvage
from vl3.media.source import Source

__all__ = ["Decoder", "FetchLimits", "MediaInfo", "Source", "probe", "read", "salvage"]
