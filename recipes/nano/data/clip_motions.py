"""Clips of one or two things that move or change, of two that swap places, and of a camera that pans.

Two patterns of motion are never in training: moving diagonally, and swapping places along a circle.
"""

import random
from collections.abc import Sequence
from dataclasses import replace

from recipes.nano.data.clip_acts import ACTS, AXES, DIRECTIONS, STEP, Act, Part, recolour
from recipes.nano.data.clip_stories import Event, Story, choose_things, does_it, event_questions, tell, when_is_it
from recipes.nano.data.clip_words import ask
from recipes.nano.data.motion import Actor, Stage, arc, between, choose_stage, photograph
from recipes.nano.data.pool import Pool
from recipes.nano.data.sample import Question, Split

VERBS = ("turn back", "enter", "leave", "blink", "change colour", "grow", "shrink", "stay still")
"""What a thing is asked to do or not to do."""


def write_motions(rng: random.Random, pool: Pool, split: Split) -> Story:
    """One of the patterns."""
    pattern = rng.random()
    if pattern < 0.15:
        return _swap(rng, pool, split, circular=split == "held_out" and rng.random() < 0.6)
    if pattern < 0.25 and pool.backgrounds:
        return _pan(rng, pool, split)
    if pattern < 0.45 and split == "held_out":
        return _diagonal(rng, pool, split)
    return _acts(rng, pool, split)


def _acts(rng: random.Random, pool: Pool, split: Split) -> Story:
    """One or two things, each in a lane of its own."""
    stage = choose_stage(rng, pool, rng.randint(4, 10))
    number = rng.choice((1, 2))
    axis = rng.choice(AXES)
    across = axis == AXES[0]
    width, height = stage.width, stage.height
    if number == 1:
        lanes = [(0, 0, width, height)]
    elif across:
        lanes = [(0, 0, width, height // 2), (0, height // 2, width, height)]
    else:
        lanes = [(0, 0, width // 2, height), (width // 2, 0, width, height)]
    acts, parts = [], []
    for thing, lane in zip(choose_things(rng, pool, number), rng.sample(lanes, number), strict=True):
        size = rng.uniform(38, min(54, lane[2] - lane[0] - 8, lane[3] - lane[1] - 8))
        part = Part(rng, split, thing, lane, size, stage.seconds, axis)
        kinds = [act for act in ACTS if act is not recolour or thing.shape is not None]
        acts.append(rng.choice(kinds)(part))
        parts.append(part)
    events = sorted((event for act in acts for event in act.events), key=lambda event: event.time_s)
    at_first = [part.thing.name for part, act in zip(parts, acts, strict=True) if act.at_first]
    questions = [question for act in acts for question in act.questions]
    for part, act in zip(parts, acts, strict=True):
        questions += _about(part, act, [other for other in acts if other is not act], stage)
    if len({event.time_s for event in events}) == len(events) > 1:
        questions += event_questions(rng, split, events)
    if number > 1:
        in_view = sum(act.at_end for act in acts)
        questions.append(ask(rng, split, "how many at", str(in_view), xs="things", at="at the end"))
    return Story(stage, [act.actor for act in acts], events, at_first, questions, tell(at_first, events))


def _about(part: Part, act: Act, others: Sequence[Act], stage: Stage) -> list[Question]:
    """Who does it, what becomes of it, where it is."""
    rng, split = part.rng, part.split
    name = part.thing.shape if act.fate == "it changes colour" and part.thing.shape else part.thing.name
    the = f"the {name}"
    questions = [ask(rng, split, "fate", act.fate, x=the)]
    for deed in act.deeds:
        if not any(_does(other, deed) for other in others):
            questions.append(ask(rng, split, "who", name, does=deed))
    if act.verb != "move":
        still = act.verb in ("blink", "change colour", "grow", "shrink")
        verbs = [verb for verb in VERBS if verb not in (act.verb, *(["stay still"] if still else []))]
        questions.append(does_it(rng, split, Event(0, the, act.verb), Event(0, the, rng.choice(verbs))))
    questions += _places(rng, split, the, act.actor, stage)
    if part.thing.name != name or part.thing.shape is None:
        return questions
    colour = part.thing.colour
    assert colour is not None
    if not others:
        questions.append(ask(rng, split, "colour at", colour, x=f"the {part.thing.shape}", at="in this video"))
    return questions


def _does(act: Act, deed: str) -> bool:
    """Whether it can also be said of this act."""
    verb, way = deed.split(" ", 1) if " " in deed else (deed, "")
    return way in act.ways if verb == "moves" else any(other.split(" ")[0] == verb for other in act.deeds)


def _places(rng: random.Random, split: Split, the: str, actor: Actor, stage: Stage) -> list[Question]:
    """Where it is at the beginning and at the end, when it is there and clearly on one side or in the middle."""
    questions = []
    for second, at in ((0, "at the beginning"), (stage.seconds - 1, "at the end")):
        x, y = between(actor.path, second)
        place = where(x / stage.width, y / stage.height)
        inside = 0 < x < stage.width and 0 < y < stage.height
        if place and inside and any(start <= second < end for start, end in actor.visible):
            questions.append(ask(rng, split, "position at", place, x=the, at=at))
    return questions


def where(x: float, y: float) -> str | None:
    """The side on which a place (in fractions of the picture) clearly is, or the middle; None for one in between."""
    across, down = x - 0.5, y - 0.5
    if max(abs(across), abs(down)) < 0.08:
        return "in the middle"
    if abs(across) > 0.2 and abs(across) > abs(down) + 0.1:
        return "on the left" if across < 0 else "on the right"
    if abs(down) > 0.2 and abs(down) > abs(across) + 0.1:
        return "at the top" if down < 0 else "at the bottom"
    return None


def _swap(rng: random.Random, pool: Pool, split: Split, circular: bool) -> Story:
    """Two things swap places, or meet and go back."""
    stage = choose_stage(rng, pool, rng.randint(5, 10))
    things = choose_things(rng, pool, 2)
    size = rng.uniform(38, 48)
    across = rng.random() < 0.5
    length = stage.width if across else stage.height
    a, b = size / 2 + 4, length - size / 2 - 4
    ends = [(a, stage.height / 2), (b, stage.height / 2)] if across else [(stage.width / 2, a), (stage.width / 2, b)]
    swaps = rng.random() < 0.5
    duration = rng.randint(2, min(stage.seconds - 1, max(2, int((b - a) // STEP)))) if swaps else 2
    start = rng.randint(0, stage.seconds - 1 - duration)
    actors = []
    for thing, here, there in zip(things, ends, reversed(ends), strict=True):
        path: Sequence[tuple[float, float, float]]
        if not swaps:
            (x, y), share = here, 0.36
            middle = (start + duration / 2, x + share * (there[0] - x), y + share * (there[1] - y))
            path = [(start, *here), middle, (start + duration, *here)]
        elif circular:
            radius = min(1.0, (min(stage.width, stage.height) - size - 4) / (b - a))
            whole = arc(start, start + duration, here, there)
            path = [(t, *_flat(x, y, ends, radius, across)) for t, x, y in whole]
        else:
            path = [(start, *here), (start + duration, *there)]
        actors.append(Actor([(0, thing.look)], path, [(0, size)], [(0, stage.seconds)]))
    first, second = things
    deed = Event(start, first.the, f"swap places with {second.the}")
    low, high = ("on the left", "on the right") if across else ("at the top", "at the bottom")
    last = (second, first) if swaps else (first, second)
    done = [deed] if swaps else [Event(start, first.the, f"meet {second.the} and go back")]
    questions = [ask(rng, split, "does", "yes" if swaps else "no", x=deed.who, do=deed.do, e=deed.clause)]
    for thing, place in zip(last, (low, high), strict=True):
        questions.append(ask(rng, split, "position at", place, x=thing.the, at="at the end"))
        questions.append(ask(rng, split, "who", thing.name, does=f"is {place} at the end"))
    for thing, place in zip(things, (low, high), strict=True):
        questions.append(ask(rng, split, "position at", place, x=thing.the, at="at the beginning"))
        fate = "it swaps places" if swaps else "it turns back"
        questions.append(ask(rng, split, "fate", fate, x=thing.the))
    names = [thing.name for thing in things]
    return Story(stage, actors, done, names, questions, tell(names, done))


def _flat(x: float, y: float, ends: Sequence[tuple[float, float]], radius: float, across: bool) -> tuple[float, float]:
    """A circle flattened to stay in the picture."""
    middle = ends[0]
    return (x, middle[1] + (y - middle[1]) * radius) if across else (middle[0] + (x - middle[0]) * radius, y)


def _diagonal(rng: random.Random, pool: Pool, split: Split) -> Story:
    """One thing moves diagonally; each axis is asked for by itself, in the words of training."""
    stage = choose_stage(rng, pool, rng.randint(4, 10))
    (thing,) = choose_things(rng, pool, 1)
    size = rng.uniform(38, 50)
    room = min(stage.width, stage.height) - size
    duration = min(stage.seconds - 1, int(room // STEP))
    distance = rng.uniform(duration * STEP, min(room, duration * 56))
    start = rng.randint(0, stage.seconds - 1 - duration)
    ways = [rng.choice(axis) for axis in AXES]
    path = [[float(start)], [float(start + duration)]]
    for way, length in zip(ways, (stage.width, stage.height), strict=True):
        low = rng.uniform(size / 2, length - size / 2 - distance)
        forwards = sum(DIRECTIONS[way]) > 0
        path[0].append(low if forwards else low + distance)
        path[1].append(low + distance if forwards else low)
    actor = Actor([(0, thing.look)], [(p[0], p[1], p[2]) for p in path], [(0, size)], [(0, stage.seconds)])
    part = Part(rng, split, thing, (0, 0, stage.width, stage.height), size, stage.seconds, AXES[0])
    questions = [ask(rng, split, "who", thing.name, does="moves")]
    for way, axis in zip(ways, AXES, strict=True):
        questions.append(part.ask("axis", way, a=axis[0], b=axis[1]))
        wrong = axis[1 - axis.index(way)]
        questions.append(does_it(rng, split, part.event(0, f"move {way}"), part.event(0, f"move {wrong}")))
    if start > 0:
        questions.append(when_is_it(rng, split, part.event(start, "start to move")))
    if start + duration < stage.seconds - 1:
        questions.append(when_is_it(rng, split, part.event(start + duration, "stop")))
    questions += _places(rng, split, thing.the, actor, stage)
    events = [part.event(start, f"move {ways[1]} and {ways[0]}")]
    return Story(stage, [actor], events, [thing.name], questions, tell([thing.name], events))


def _pan(rng: random.Random, pool: Pool, split: Split) -> Story:
    """The camera pans over a photograph and the things in it; nothing else moves."""
    seconds = rng.randint(4, 7)
    stage = choose_stage(rng, pool, seconds, still=True)
    way = rng.choice(sorted(DIRECTIONS))
    dx, dy = DIRECTIONS[way]
    distance = rng.randint(2 * STEP, min(3 * STEP + 15, (stage.width if dx else stage.height) - 52))
    duration = rng.randint(2, distance // STEP)
    start = rng.randint(0, seconds - 1 - duration)
    ground = photograph(rng, pool, stage.width + abs(dx) * distance, stage.height + abs(dy) * distance)
    begin = (distance if dx < 0 else 0, distance if dy < 0 else 0)
    end = (begin[0] + dx * distance, begin[1] + dy * distance)
    camera = [(float(start), *begin), (float(start + duration), *end)]
    stage = replace(stage, ground=ground, camera=camera)
    (thing,) = choose_things(rng, pool, 1)
    x, y = stage.width / 2 + dx * distance / 2, stage.height / 2 + dy * distance / 2
    shift = (x - dx * distance, y - dy * distance)
    actor = Actor([(0, thing.look)], [(start, x, y), (start + duration, *shift)], [(0, 48)], [(0, seconds)])
    deed = Event(start, "the camera", f"move {way}")
    wrong = Event(start, "the camera", f"move {rng.choice([other for other in DIRECTIONS if other != way])}")
    questions = [
        ask(rng, split, "camera", way),
        does_it(rng, split, deed, wrong),
        does_it(rng, split, deed, wrong),
        ask(rng, split, "fate", "it stays still and the camera moves", x=thing.the),
        ask(rng, split, "who", thing.name, does="stays in its place while the camera moves"),
        ask(rng, split, "how many at", "1", xs="things", at="at the beginning"),
    ]
    questions += _places(rng, split, thing.the, actor, stage)
    return Story(stage, [actor], [deed], [thing.name], questions, tell([thing.name], [deed]))
