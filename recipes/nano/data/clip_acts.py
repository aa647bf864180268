"""What one thing does in a clip: move, turn back, enter, leave, blink, change colour, grow, shrink or rest."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from recipes.nano.data.clip_stories import Event, Thing, does_it, from_to, other_colour, when_is_it
from recipes.nano.data.clip_words import ask
from recipes.nano.data.motion import Actor, Span, shape
from recipes.nano.data.sample import Question, Split

STEP = 32
"""Pixels a second that whatever moves moves at least: a token of the model."""
DIRECTIONS = {"to the left": (-1, 0), "to the right": (1, 0), "up": (0, -1), "down": (0, 1)}
SIDES = {"to the left": "right", "to the right": "left", "up": "bottom", "down": "top"}
"""Where a thing comes from that enters moving so."""
BACK = {"to the left": "to the right", "to the right": "to the left", "up": "down", "down": "up"}
AXES = (("to the left", "to the right"), ("up", "down"))


@dataclass(frozen=True, eq=False)
class Part:
    """What one thing has to play in."""

    rng: random.Random
    split: Split
    thing: Thing
    box: tuple[float, float, float, float]
    """The lane that is its own, in pixels: left, top, right, bottom."""
    size: float
    seconds: int
    axis: Sequence[str]
    """The two directions in which the lane is long."""

    def ask(self, topic: str, answer: str, **words: str) -> Question:
        """A question about the thing."""
        return ask(self.rng, self.split, topic, answer, x=self.thing.the, **words)

    @property
    def middle(self) -> tuple[float, float]:
        """A place in the lane where all of it is inside."""
        left, top, right, bottom = self.box
        half = self.size / 2
        return self.rng.uniform(left + half, right - half), self.rng.uniform(top + half, bottom - half)

    def actor(self, path: Sequence[tuple[float, float, float]], visible: Sequence[Span] | None = None) -> Actor:
        """The thing on its way."""
        spans = visible if visible is not None else [(0, self.seconds)]
        return Actor([(0, self.thing.look)], path, [(0, self.size)], spans)

    def event(self, time_s: int, do: str) -> Event:
        """The thing does something."""
        return Event(time_s, self.thing.the, do)


@dataclass(frozen=True, eq=False)
class Act:
    """What one thing does."""

    actor: Actor
    events: Sequence[Event]
    fate: str
    """What happens to it, in short."""
    questions: Sequence[Question]
    verb: str
    """What it does, in short: `move`, `turn back`."""
    deeds: Sequence[str] = ()
    """Ways to say what it does, by which it is told from others: `moves to the left`."""
    ways: Sequence[str] = ()
    """The directions in which it moves at some time."""
    at_first: bool = True
    """Whether it is in view at the beginning."""
    at_end: bool = True


def run(part: Part, direction: str) -> tuple[list[tuple[float, float, float]], int, int]:
    """A path in the direction, as (path, first second, last second): at least STEP pixels a second, inside the lane."""
    rng, (left, top, right, bottom), half = part.rng, part.box, part.size / 2
    across = DIRECTIONS[direction][0] != 0
    low, high = (left + half, right - half) if across else (top + half, bottom - half)
    longest = max(1, min(int((high - low) // STEP), part.seconds - 1))
    duration = rng.randint(1, longest) if rng.random() < 0.3 else longest
    distance = rng.uniform(min(duration * STEP, high - low), min(high - low, duration * 56))
    begin = rng.uniform(low, high - distance)
    a, b = (begin, begin + distance) if sum(DIRECTIONS[direction]) > 0 else (begin + distance, begin)
    start = rng.randint(0, part.seconds - 1 - duration)
    x, y = part.middle
    ends = [(a, y), (b, y)] if across else [(x, a), (x, b)]
    return [(start, *ends[0]), (start + duration, *ends[1])], start, start + duration


def move(part: Part) -> Act:
    """Moves one way and stops, or arrives as the clip ends."""
    direction = part.rng.choice(part.axis)
    path, start, end = run(part, direction)
    event = part.event(start, f"move {direction}")
    wrong = part.event(start, f"move {part.rng.choice([other for other in DIRECTIONS if other != direction])}")
    questions = [
        part.ask("direction", direction),
        part.ask("axis", direction, a=part.axis[0], b=part.axis[1]),
        does_it(part.rng, part.split, event, wrong),
        does_it(part.rng, part.split, event, wrong),
    ]
    if start > 0:
        start_event = part.event(start, "start to move")
        questions.append(when_is_it(part.rng, part.split, start_event))
    if end < part.seconds - 1:
        questions.append(when_is_it(part.rng, part.split, part.event(end, "stop")))
    return Act(part.actor(path), [event], f"it moves {direction}", questions, "move", [event.does], [direction])


def turn_back(part: Part) -> Act:
    """Moves one way and back."""
    direction = part.rng.choice(part.axis)
    path, start, end = run(replace(part, seconds=part.seconds // 2 + 1), direction)
    duration = end - start
    whole = [*path, (end + duration, *path[0][1:])]
    back = BACK[direction]
    events = [part.event(start, f"move {direction}"), part.event(end, f"move back {back}")]
    questions = [
        part.ask("first direction", direction),
        part.ask("last direction", back),
        when_is_it(part.rng, part.split, part.event(end, "turn back")),
    ]
    return Act(part.actor(whole), events, "it turns back", questions, "turn back", ["turns back"], part.axis)


def enter(part: Part) -> Act:
    """Comes in from a side of the picture."""
    direction = part.rng.choice(part.axis)
    path, event_s = _through_edge(part, direction)
    event = part.event(event_s, f"enter from the {SIDES[direction]}")
    side = part.rng.choice([other for other in SIDES.values() if other != SIDES[direction]])
    wrong = part.event(event_s, f"enter from the {side}")
    questions = [
        part.ask("direction", direction),
        does_it(part.rng, part.split, event, wrong),
        part.ask("seen at end", "yes"),
        part.ask("span", from_to(event_s, part.seconds)),
    ]
    fate = f"it enters from the {SIDES[direction]}"
    return Act(part.actor(path), [event], fate, questions, "enter", ["enters", event.does], [direction], at_first=False)


def leave(part: Part) -> Act:
    """Goes out on a side of the picture."""
    direction = part.rng.choice(part.axis)
    inward, event_s = _through_edge(part, BACK[direction])
    end = part.seconds - 1
    path = [(end - time_s, x, y) for time_s, x, y in reversed(inward)]
    gone_s = end - event_s + 1
    event = part.event(int(path[0][0]), f"leave {direction}")
    wrong = part.event(0, f"leave {part.rng.choice([other for other in DIRECTIONS if other != direction])}")
    questions = [
        part.ask("direction", direction),
        does_it(part.rng, part.split, event, wrong),
        part.ask("seen at end", "no"),
        part.ask("span", from_to(0, gone_s)),
    ]
    actor, fate, deeds = part.actor(path, [(0, gone_s)]), f"it leaves {direction}", ["leaves", event.does]
    return Act(actor, [event], fate, questions, "leave", deeds, [direction], at_end=False)


def _through_edge(part: Part, direction: str) -> tuple[list[tuple[float, float, float]], int]:
    """A path from outside into the lane, and the second at which something of it shows for the first time.

    The second before, it is just outside; then it moves a whole thing's length (more than STEP) a second.
    """
    left, top, right, bottom = part.box
    x, y = part.middle
    half = part.size / 2 + 2
    dx, dy = DIRECTIONS[direction]
    outside = {
        "to the right": (left - half, y),
        "to the left": (right + half, y),
        "down": (x, top - half),
        "up": (x, bottom + half),
    }[direction]
    length = (right - left) if dx else (bottom - top)
    steps = max(2, int((length - 4) // part.size))
    inside = part.rng.randint(2, min(steps, part.seconds - 2))
    start = part.rng.randint(0, part.seconds - 1 - inside)
    far = inside * (part.size + 3)
    path = [(start, *outside), (start + inside, outside[0] + dx * far, outside[1] + dy * far)]
    return [(float(t), a, b) for t, a, b in path], start + 1


def blink(part: Part) -> Act:
    """Is gone for a second, one to four times."""
    times = part.rng.randint(1, min(4, (part.seconds - 1) // 2))
    seconds = list(range(1, part.seconds - 1))
    gone: list[int] = []
    while len(gone) < times:
        free = [s for s in seconds if all(abs(s - other) > 1 for other in gone)]
        gone = [*gone, part.rng.choice(free)] if free else []
    gone.sort()
    edges = [0, *(second for g in gone for second in (g, g + 1)), part.seconds]
    spans = list(zip(edges[::2], edges[1::2], strict=True))
    questions = [
        part.ask("blink count", str(times)),
        part.ask("blink count", str(times)),
    ]
    often = "once" if times == 1 else "twice" if times == 2 else f"{times} times"
    actor, event = part.actor([(0, *part.middle)], spans), part.event(gone[0], f"blink {often}")
    return Act(actor, [event], "it blinks", questions, "blink", ["blinks"])


def recolour(part: Part) -> Act:
    """A shape changes its colour once or twice."""
    shape_name, colour = part.thing.shape, part.thing.colour
    assert shape_name is not None and colour is not None
    part = replace(part, thing=replace(part.thing, name=shape_name))
    times = sorted(part.rng.sample(range(1, part.seconds), part.rng.choice((1, 1, 2))))
    colours = [colour]
    for _ in times:
        colours.append(other_colour(part.rng, *colours))
    looks = [(second, shape(shape_name, name)) for second, name in zip([0, *times], colours, strict=True)]
    actor = replace(part.actor([(0, *part.middle)]), looks=looks)
    events = [part.event(time_s, f"turn {name}") for time_s, name in zip(times, colours[1:], strict=True)]
    wrong = part.event(0, f"turn {other_colour(part.rng, *colours)}")
    questions = [
        part.ask("colour at", colours[0], at="at the beginning"),
        part.ask("colour at", colours[-1], at="at the end"),
        part.ask("change count", str(len(times))),
        when_is_it(part.rng, part.split, events[0]),
        does_it(part.rng, part.split, events[0], wrong),
    ]
    return Act(actor, events, "it changes colour", questions, "change colour", ["changes colour"])


def resize(part: Part) -> Act:
    """Grows or shrinks."""
    grows = part.rng.random() < 0.5
    left, top, right, bottom = part.box
    large = min(right - left, bottom - top, 80)
    small = max(16.0, large * part.rng.uniform(0.25, 0.4))
    sizes = (small, large) if grows else (large, small)
    start = part.rng.randint(0, part.seconds - 3)
    end = part.rng.randint(start + 2, part.seconds - 1)
    actor = replace(
        part.actor([(0, (left + right) / 2, (top + bottom) / 2)]), sizes=[(start, sizes[0]), (end, sizes[1])]
    )
    done = "grow" if grows else "shrink"
    questions = [
        part.ask("growth", f"it {done}s"),
    ]
    return Act(actor, [part.event(start, done)], f"it {done}s", questions, done, [f"{done}s"])


def rest(part: Part) -> Act:
    """Stays where it is."""
    return Act(part.actor([(0, *part.middle)]), [], "it stays still", [], "stay still")


ACTS: tuple[Callable[[Part], Act], ...] = (move, move, move, turn_back, enter, leave, blink, recolour, resize, rest)
