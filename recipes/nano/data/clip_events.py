"""Clips of events at clear times: things appear, disappear and change colour, a light turns green, a word appears."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image

from recipes.nano.data.clip_stories import (
    Event,
    Story,
    Thing,
    choose_things,
    deed_questions,
    event_questions,
    from_to,
    other_colour,
    tell,
)
from recipes.nano.data.clip_words import ask
from recipes.nano.data.motion import COLOURS, SHAPES, Actor, Stage, card, choose_stage, lamp, shape
from recipes.nano.data.pool import Pool
from recipes.nano.data.sample import Question, Split

WORDS = ("SUN", "HELLO", "STOP", "GO", "OPEN", "SALE", "TAXI", "EXIT", "NEW", "HOT", "COLD", "BUS", "FREE", "YES", "NO")
LIGHTS = ("red", "green", "yellow", "blue")


@dataclass
class _Part:
    """One thing's part in the play, while it is being written."""

    thing: Thing
    place: tuple[float, float]
    size: float
    since: int | None = 0
    """When it came into view; None: it is not there."""
    spans: list[tuple[int, int]] = field(default_factory=list)
    looks: list[tuple[int, Image.Image]] = field(default_factory=list)
    colours: list[str] = field(default_factory=list)


def write_events(rng: random.Random, pool: Pool, split: Split, *, still: bool = False) -> Story:
    """Two to four events of up to four things, no two at once."""
    seconds = rng.randint(5, 10)
    stage = choose_stage(rng, pool, seconds, still=still)
    times = sorted(rng.sample(range(1, seconds), rng.randint(2, min(4, seconds - 1))))
    parts = _cast(rng, pool, stage, rng.randint(2, 4))
    at_first = [part.thing.coloured for part in parts if part.since == 0]
    events = [event for time_s in times if (event := _happen(rng, parts, time_s)) is not None]
    for part in parts:
        if part.since is not None:
            part.spans.append((part.since, seconds))
    absent = {thing.the for thing in choose_things(rng, pool, 6)} - {part.thing.the for part in parts}
    questions = event_questions(rng, split, events) + deed_questions(rng, split, events, sorted(absent))
    for part in parts:
        questions += _part_questions(rng, split, part, seconds)
    shown = [part for part in parts if part.spans]
    in_view = sum(part.spans[-1][1] == seconds for part in shown)
    questions.append(ask(rng, split, "how many at", str(in_view), xs="things", at="at the end"))
    actors = [Actor(part.looks, [(0, *part.place)], [(0, part.size)], part.spans) for part in shown]
    return Story(stage, actors, events, at_first, questions, tell(at_first, events))


def _cast(rng: random.Random, pool: Pool, stage: Stage, number: int) -> list[_Part]:
    """Who plays, each in a cell of its own; some not there at first."""
    columns, rows = stage.width // 60, stage.height // 60
    wide, high = stage.width / columns, stage.height / rows
    cells = rng.sample([(column, row) for column in range(columns) for row in range(rows)], number)
    things = choose_things(rng, pool, number, recolour=rng.random() < 0.4)
    extra = rng.random()
    if extra < 0.2:
        colour = rng.choice(LIGHTS)
        things[-1] = Thing("light", lamp(colour), "light", colour)
    elif extra < 0.4:
        word = rng.choice(WORDS)
        things[-1] = Thing(f"word {word}", card(word))
    parts = []
    for thing, (column, row) in zip(things, cells, strict=True):
        size = 58 if thing.name.startswith("word ") else rng.uniform(40, min(wide, high, 60) - 4)
        part = _Part(thing, ((column + 0.5) * wide, (row + 0.5) * high), size)
        part.looks.append((0, thing.look))
        if thing.colour is not None:
            part.colours.append(thing.colour)
        if not _changes_colour(part) and rng.random() < 0.6:
            part.since = None
        parts.append(part)
    return parts


def _changes_colour(part: _Part) -> bool:
    """Whether it is named without its colour, so that its colour may change."""
    return part.thing.shape == part.thing.name


def _happen(rng: random.Random, parts: Sequence[_Part], time_s: int) -> Event | None:
    """Something that can happen now to somebody; None if nothing can."""
    able = [part for part in parts if (len(part.colours) < 4 if _changes_colour(part) else not part.spans)]
    if not able:
        return None
    part = rng.choice(able)
    thing = part.thing
    if _changes_colour(part):
        if thing.name == "light":
            colour = rng.choice([colour for colour in LIGHTS if colour not in part.colours])
        else:
            colour = other_colour(rng, *(colour for other in parts for colour in other.colours))
        part.colours.append(colour)
        part.looks.append((time_s, lamp(colour) if thing.name == "light" else shape(thing.name, colour)))
        return Event(time_s, thing.the, f"turn {colour}")
    if part.since is None:
        part.since = time_s
        return Event(time_s, thing.the, "appear")
    part.spans.append((part.since, time_s))
    part.since = None
    return Event(time_s, thing.the, "disappear")


def _part_questions(rng: random.Random, split: Split, part: _Part, seconds: int) -> list[Question]:
    """When it is visible, whether it is at the end, its colours."""
    questions = []
    if _changes_colour(part):
        for place, at in ((0, "at the beginning"), (-1, "at the end")):
            questions.append(ask(rng, split, "colour at", part.colours[place], x=part.thing.the, at=at))
    elif part.spans:
        start, end = part.spans[0]
        if (start, end) != (0, seconds):
            questions.append(ask(rng, split, "span", from_to(start, end), x=part.thing.the))
        questions.append(ask(rng, split, "seen at end", "yes" if end == seconds else "no", x=part.thing.the))
    return questions


def write_counts(rng: random.Random, pool: Pool, split: Split, *, still: bool = False) -> Story:
    """One to five things of one shape appear, one at a time; another thing is there all along."""
    number = rng.randint(1, 5)
    seconds = rng.randint(max(5, number + 1), 10)
    stage = choose_stage(rng, pool, seconds, still=still)
    columns, rows = stage.width // 42, stage.height // 42
    cells = rng.sample([(column, row) for column in range(columns) for row in range(rows)], number + 1)
    places = [((c + 0.5) * stage.width / columns, (r + 0.5) * stage.height / rows) for c, r in cells]
    name, bystander = rng.sample(SHAPES, 2)
    times = sorted(rng.sample(range(0 if number > 1 else 1, seconds), number))
    brief = rng.random() < 0.4
    ends = [min(seconds, time_s + rng.randint(1, 3)) if brief else seconds for time_s in times]
    fixed = rng.choice(sorted(COLOURS))
    mixed = rng.random() < 0.3
    actors = [Actor([(0, shape(bystander, other_colour(rng, fixed)))], [(0, *places[-1])], [(0, 36)], [(0, seconds)])]
    for place, start, end in zip(places, times, ends, strict=False):
        colour = rng.choice(sorted(COLOURS)) if mixed else fixed
        actors.append(Actor([(0, shape(name, colour))], [(0, *place)], [(0, 36)], [(start, end)]))
    plural = f"{name}es" if name.endswith("s") else f"{name}s"
    last = seconds - 1
    questions = [
        ask(rng, split, "appear count", str(number), xs=plural),
        ask(rng, split, "appear count", str(number), xs=plural),
        _in_view(rng, split, times, ends, last, plural, "at the end"),
        _in_view(rng, split, times, ends, 0, plural, "at the beginning"),
    ]
    for second in rng.sample(range(1, seconds), 2):
        questions.append(_in_view(rng, split, times, ends, second, plural, f"at {second}.0 seconds"))
    first = Event(times[0], f"the first {name}", "appear")
    questions.append(ask(rng, split, "when", f"at {times[0]}.0 seconds", x=first.who, do=first.do, e=first.clause))
    if number > 1:
        final = Event(times[-1], f"the last {name}", "appear")
        questions.append(ask(rng, split, "when", f"at {times[-1]}.0 seconds", x=final.who, do="appear", e=final.clause))
    counted = f"{number} {plural if number > 1 else name}"
    caption = f"A {bystander} is in view. {counted} appear{'s' if number == 1 else ''}, one after the other."
    if number == 1:
        caption = f"A {bystander} is in view. Then a {name} appears."
    return Story(stage, actors, [Event(t, f"a {name}", "appear") for t in times], [bystander], questions, caption)


def _in_view(
    rng: random.Random, split: Split, starts: Sequence[int], ends: Sequence[int], second: int, plural: str, at: str
) -> Question:
    """How many there are at a second."""
    number = sum(start <= second < end for start, end in zip(starts, ends, strict=True))
    return ask(rng, split, "how many at", str(number), xs=plural, at=at)
