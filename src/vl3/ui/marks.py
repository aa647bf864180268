"""Times and boxes in an answer: found, linked to the player, drawn on the picture.

The forms are those that models are trained on here (docs/data.md): seconds with one decimal, and `[x1, y1, x2, y2]` in
thousandths of the picture's width and height. Clock times, as larger models write them, are taken too.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw

from vl3.data.boxes import Box, box_to_pixels

_NUMBER = r"\d{1,6}(?:\.\d{1,3})?"
_TIME = re.compile(
    rf"""(?P<clock>\b(?:\d{{1,2}}:)?\d{{1,2}}:[0-5]\d(?:\.\d{{1,3}})?\b)
    | (?P<first>\b{_NUMBER})(?=\s?(?:to|-|\u2013|and)\s?{_NUMBER}\s?s(?:ec(?:ond)?s?)?\b)
    | (?P<plain>\b{_NUMBER})(?=\s?s(?:ec(?:ond)?s?)?\b)""",
    re.VERBOSE,
)
_BOX = re.compile(r"\[\s*(\d{1,4})\s*,\s*(\d{1,4})\s*,\s*(\d{1,4})\s*,\s*(\d{1,4})\s*\]")
_CODE = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]*`)", re.DOTALL)
_SMALLEST = 640
"""Width to which a small picture is enlarged before boxes are drawn, in pixels."""
_COLOURS = ("#e5484d", "#0091ff", "#30a46c", "#f76808", "#8e4ec6", "#12a594")


class Moment(NamedTuple):
    """A time in a text."""

    start: int
    """Of its characters."""
    end: int
    time_s: float


def moments(text: str, first_s: float, last_s: float) -> list[Moment]:
    """The times in a text that lie between two times of a clip."""
    found = []
    for match in _TIME.finditer(text):
        time_s = _seconds(match["clock"]) if match["clock"] else float(match["first"] or match["plain"])
        if first_s <= time_s <= last_s:
            found.append(Moment(match.start(), match.end(), time_s))
    return found


def boxes(text: str) -> list[Box]:
    """The boxes in a text, each once, in the order in which they come."""
    found: dict[Box, None] = {}
    for match in _BOX.finditer(text):
        x1, y1, x2, y2 = map(int, match.groups())
        if x1 < x2 <= 1000 and y1 < y2 <= 1000:
            found[x1, y1, x2, y2] = None
    return list(found)


def linked(text: str, link: Callable[[float], str] | None = None, first_s: float = 0, last_s: float = 0) -> str:
    """The text as Markdown that shows nothing but what it says: no HTML, no pictures from elsewhere; with `link`, which
    gives the address of a time, times are links."""
    times = moments(text, first_s, last_s) if link is not None else []
    out = []
    place = 0
    for part in _CODE.split(text):
        if _CODE.fullmatch(part):
            out.append(part)
        else:
            inside = [moment for moment in times if place <= moment.start and moment.end <= place + len(part)]
            out += _prose(text, place, place + len(part), inside, link)
        place += len(part)
    return "".join(out)


def _prose(
    text: str, start: int, end: int, times: Sequence[Moment], link: Callable[[float], str] | None
) -> Iterator[str]:
    for moment in times:
        assert link is not None
        yield _plain(text[start : moment.start])
        yield f"[{text[moment.start : moment.end]}]({link(moment.time_s)})"
        start = moment.end
    yield _plain(text[start:end])


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("![", "!\\[")


def draw(picture: Image.Image, found: Sequence[Box]) -> Image.Image:
    """The picture, enlarged if it is small, with boxes; several are numbered in the order of the text."""
    scale = max(1.0, _SMALLEST / picture.width)
    drawn = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)
    pen = ImageDraw.Draw(drawn)
    line = max(2, drawn.width // 200)
    for number, box in enumerate(found):
        x1, y1, x2, y2 = box_to_pixels(box, drawn.width - 1, drawn.height - 1)
        colour = _COLOURS[number % len(_COLOURS)]
        pen.rectangle((x1, y1, x2, y2), outline=colour, width=line)
        if len(found) > 1:
            left, top, right, bottom = pen.textbbox((x1 + line, y1 + line), str(number + 1), font_size=8 * line)
            pen.rectangle((left - line, top - line, right + line, bottom + line), fill=colour)
            pen.text((x1 + line, y1 + line), str(number + 1), fill="white", font_size=8 * line)
    return drawn


def _seconds(clock: str) -> float:
    total = 0.0
    for part in clock.split(":"):
        total = total * 60 + float(part)
    return total
