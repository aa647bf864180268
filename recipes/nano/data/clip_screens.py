"""Clips of a screen on which one small region changes and nothing else: what DiffFP is for."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from recipes.nano.data.clip_stories import Event, choose_questions, does_it, from_to, when_is_it
from recipes.nano.data.clip_words import ask
from recipes.nano.data.pool import Pool
from recipes.nano.data.sample import Clip, Question, Sample, Split

SIZES = ((192, 128), (192, 160), (160, 128), (160, 160))
STATES = ("Ready", "Loading", "Saving", "Done", "Error", "Paused", "Offline", "Waiting", "Sending", "Open", "Closed")
NOTES = ("New mail", "Battery low", "Update", "Call", "Alarm", "Message", "Disk full", "Meeting")
TITLES = ("Monitor", "Player", "Backup", "Office", "Editor", "Kitchen", "Station", "Server", "Camera", "Lift")
THEMES = (
    ((245, 245, 247), (40, 60, 110), (25, 25, 30)),
    ((32, 34, 40), (70, 110, 160), (235, 235, 235)),
    ((225, 236, 228), (40, 110, 70), (20, 40, 30)),
    ((250, 240, 220), (150, 80, 40), (50, 35, 20)),
)
"""Paper, bar, ink."""


@dataclass(frozen=True)
class Shown:
    """What one region shows: a value for each second; empty where it is not there."""

    what: str
    """`the counter`."""
    values: Sequence[str]

    @property
    def changes(self) -> list[int]:
        """The seconds at which the value is new."""
        return [s for s in range(1, len(self.values)) if self.values[s] != self.values[s - 1]]


def screens(rng: random.Random, pool: Pool, split: Split) -> Sample:
    """A counter, a progress bar, a status line or a notification changes."""
    seconds = rng.randint(4, 10)
    what = rng.choice(("the counter", "the progress bar", "the status line", "the notification"))
    shown = Shown(what, _VALUES[what](rng, seconds))
    questions = choose_questions(rng, _questions(rng, split, shown), rng.randint(4, 8))
    width, height = rng.choice(SIZES)
    fps = rng.choice((4, 8))
    still = _desk(rng, pool, width, height)
    where = (rng.choice((6, width - 106)), rng.randint(30, height - 46))
    theme = rng.choice(THEMES)
    pictures = [np.asarray(_show(still, where, theme, what, value)) for value in shown.values]
    return Sample(questions, clip=Clip(np.repeat(np.stack(pictures), fps, axis=0), fps))


def _steps(rng: random.Random, seconds: int) -> list[int]:
    """How many changes there have been at each second; at least one in all."""
    times = set(rng.sample(range(1, seconds), rng.randint(1, min(4, seconds - 1))))
    return [sum(time_s <= second for time_s in times) for second in range(seconds)]


def _counter(rng: random.Random, seconds: int) -> list[str]:
    step = rng.choice((-1, 1)) * rng.choice((1, 1, 2, 5, 10))
    start = rng.randint(41, 99) if step < 0 else rng.randint(1, 59)
    return [str(start + step * number) for number in _steps(rng, seconds)]


def _progress(rng: random.Random, seconds: int) -> list[str]:
    steps = _steps(rng, seconds)
    levels = sorted(rng.sample((0, 20, 40, 60, 80, 100), steps[-1] + 1), reverse=rng.random() < 0.5)
    return [f"{levels[number]} %" for number in steps]


def _status(rng: random.Random, seconds: int) -> list[str]:
    steps = _steps(rng, seconds)
    states = rng.sample(STATES, steps[-1] + 1)
    return [states[number] for number in steps]


def _notification(rng: random.Random, seconds: int) -> list[str]:
    start = rng.randint(1, seconds - 1)
    end = rng.randint(start + 1, seconds)
    note = rng.choice(NOTES)
    return [note if start <= second < end else "" for second in range(seconds)]


_VALUES: dict[str, Callable[[random.Random, int], list[str]]] = {
    "the counter": _counter,
    "the progress bar": _progress,
    "the status line": _status,
    "the notification": _notification,
}


def _questions(rng: random.Random, split: Split, shown: Shown) -> list[Question]:
    what, values, changes = shown.what, shown.values, shown.changes
    other = rng.choice([name for name in _VALUES if name != what])
    questions = [
        ask(rng, split, "what changes", what),
        does_it(rng, split, Event(0, what, "change"), Event(0, other, "change")),
    ]
    if what == "the notification":
        end = changes[1] if len(changes) > 1 else len(values)
        appears = Event(changes[0], "a notification", "appear")
        note = values[changes[0]]
        return [
            *questions,
            when_is_it(rng, split, appears),
            ask(rng, split, "span", from_to(changes[0], end), x=what),
            ask(rng, split, "seen at end", "yes" if end == len(values) else "no", x=what),
            ask(rng, split, "reads at", note, x=what, at=f"at {changes[0]}.0 seconds"),
            ask(rng, split, "fate", "it appears and disappears" if end < len(values) else "it appears", x=what),
        ]
    second = rng.randrange(len(values))
    questions += [
        ask(rng, split, "reads at", values[0], x=what, at="at the beginning"),
        ask(rng, split, "reads at", values[-1], x=what, at="at the end"),
        ask(rng, split, "reads at", values[second], x=what, at=f"at {second}.0 seconds"),
        ask(rng, split, "change count", str(len(changes)), x=what),
        when_is_it(rng, split, Event(changes[0], what, "change for the first time")),
        when_is_it(rng, split, Event(changes[-1], what, "change for the last time")),
    ]
    if what != "the status line":
        first, last = (int(values[place].split()[0]) for place in (0, -1))
        up, down = Event(0, what, "go up"), Event(0, what, "go down")
        questions.append(does_it(rng, split, *((up, down) if last > first else (down, up))))
        questions.append(ask(rng, split, "fate", "it goes up" if last > first else "it goes down", x=what))
    return questions


def _desk(rng: random.Random, pool: Pool, width: int, height: int) -> Image.Image:
    """What stands still: a window with a title, lines of text and a picture."""
    paper, bar, ink = rng.choice(THEMES)
    image = Image.new("RGB", (width, height), paper)
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, width, 22), fill=bar)
    pen.text((6, 3), rng.choice(TITLES), fill=(255, 255, 255), font=ImageFont.load_default(14))
    for y in range(30, height - 8, 12):
        x = 6
        while x < width - 30:
            length = rng.randint(10, 34)
            pen.rectangle((x, y, min(x + length, width - 6), y + 4), fill=_mixed(paper, ink, rng.uniform(0.15, 0.45)))
            x += length + 5
    icon = pool.choose(rng, cutout=True).open()
    icon.thumbnail((20, 20))
    image.paste(icon, (width - 24, 1), icon)
    return image


def _mixed(a: tuple[int, int, int], b: tuple[int, int, int], share: float) -> tuple[int, int, int]:
    red, green, blue = (round(x + share * (y - x)) for x, y in zip(a, b, strict=True))
    return red, green, blue


def _show(
    still: Image.Image, where: tuple[int, int], theme: Sequence[tuple[int, int, int]], what: str, value: str
) -> Image.Image:
    """The desk with the region at a moment."""
    image = still.copy()
    if not value:
        return image
    paper, bar, ink = theme
    pen = ImageDraw.Draw(image)
    x, y = where
    pen.rounded_rectangle((x, y, x + 99, y + 39), 5, fill=paper, outline=bar, width=2)
    size = {"the counter": 28, "the progress bar": 14, "the status line": 19, "the notification": 15}[what]
    font = ImageFont.load_default(size)
    if what == "the progress bar":
        share = int(value.split()[0]) / 100
        pen.rectangle((x + 8, y + 24, x + 91, y + 33), outline=ink)
        pen.rectangle((x + 8, y + 24, x + 8 + round(83 * share), y + 33), fill=bar)
        pen.text((x + 50, y + 13), value, fill=ink, font=font, anchor="mm")
    elif what == "the notification":
        pen.ellipse((x + 6, y + 14, x + 18, y + 26), fill=(220, 50, 50))
        pen.text((x + 22, y + 20), value, fill=ink, font=font, anchor="lm")
    else:
        pen.text((x + 50, y + 20), value, fill=ink, font=font, anchor="mm")
    return image
