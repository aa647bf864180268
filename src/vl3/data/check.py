"""Checking annotations before anything is trained on them: every line, every file, and what the words claim."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from vl3.chat import media_of, parts_of
from vl3.config import SamplingConfig, decode, encode
from vl3.data.readers import Source
from vl3.data.schema import Sample, writable
from vl3.errors import UserError
from vl3.media import Decoder, MediaInfo

_BOX = re.compile(r"\[\s*(-?\d+(?:\.\d+)?)((?:\s*,\s*-?\d+(?:\.\d+)?){3})\s*\]")
_SPAN = re.compile(r"from\s+(\d+(?:\.\d+)?)\s*s?\s+to\s+(\d+(?:\.\d+)?)\s*s(?:econds?)?\b", re.IGNORECASE)


@dataclass
class Summary:
    """What a check found."""

    num_samples: int = 0
    """Lines or rows looked at."""
    kinds: Counter[str] = field(default_factory=Counter)
    """Good samples by kind: text, image, images, video, stream."""
    problems: list[str] = field(default_factory=list)
    """One line for each thing that is wrong, beginning with file and line."""
    lengths: list[int] = field(default_factory=list)
    """Tokens of each good sample, where a model was given to count them."""


def check(
    source: Source, decoder: Decoder, *, decode: bool = True, count_tokens: Callable[[Sample], int] | None = None
) -> Iterator[Summary]:
    """Goes through a source; yields the growing summary after each sample, for a progress bar.

    decode: also decode every picture and the chosen frames of every video, not only find them.
    """
    summary = Summary()
    for entry in source:
        summary.num_samples += 1
        faults = [writable(entry)] if isinstance(entry, UserError) else [*_faults(entry, decoder, decode)]
        if not faults and isinstance(entry, Sample):
            try:
                if count_tokens is not None:
                    summary.lengths.append(count_tokens(entry))
                summary.kinds[entry.kind] += 1
            except UserError as error:
                faults = [writable(error)]
        summary.problems += faults
        yield summary


def _faults(sample: Sample, decoder: Decoder, fully: bool) -> Iterator[str]:
    infos: list[MediaInfo] = []
    for part in media_of(sample.messages):
        options = {**encode(SamplingConfig()), **part.options}
        try:
            sampling = decode(SamplingConfig, options, f"options of {part.kind}")
            info = decoder.probe(part.source, replace(sampling, num_frames=8), part.kind)
            if fully:
                decoder.read(info, (28, 28))
            infos.append(info)
        except (UserError, ValueError) as error:
            yield f"{sample.where}: {error}".encode("utf-8", "backslashreplace").decode("utf-8")
    end_s = max((info.times_s[0] + info.duration_s for info in infos if info.kind == "video"), default=None)
    for message in sample.messages:
        for text in parts_of(message):
            if isinstance(text, str):
                yield from (f"{sample.where}: {fault}" for fault in claims(text, end_s))


def claims(text: str, end_s: float | None) -> Iterator[str]:
    """What is wrong with the boxes and time spans that a text names; end_s: when its video ends, if it has one."""
    for match in _BOX.finditer(text):
        x1, y1, x2, y2 = (float(side) for side in match.group(0).strip("[]").split(","))
        if not (0 <= x1 <= x2 <= 1000 and 0 <= y1 <= y2 <= 1000):
            yield f"box {match.group(0)} must be [x1, y1, x2, y2] with 0 <= x1 <= x2 <= 1000, and y alike"
        elif not all(side.is_integer() for side in (x1, y1, x2, y2)):
            yield f"box {match.group(0)} must be integers in thousandths of the picture, not fractions or pixels"
    for match in _SPAN.finditer(text):
        start, end = float(match.group(1)), float(match.group(2))
        if start > end:
            yield f"time span {match.group(0)!r} ends before it begins"
        elif end_s is not None and end > end_s + 1:
            yield f"time span {match.group(0)!r} lies beyond the video's end at {end_s:.1f} s"
