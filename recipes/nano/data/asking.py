"""Questions that a composed scene answers without ambiguity.

Every function here asks one question of one kind, or none where the scene leaves the answer open. Yes and no are tossed
for first, so that each is the answer to half of the questions.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from recipes.nano.data.canvas import Scene, Thing
from recipes.nano.data.pool import Pool
from recipes.nano.data.sample import Question, Split
from recipes.nano.data.templates import ask
from recipes.nano.data.words import (
    CATEGORIES,
    COLOURS,
    NUMBERS,
    POSITIONS,
    SHAPES,
    a,
    alike,
    families,
    family,
    is_counted,
    listing,
    plural,
    speaks_of_shapes,
    the,
)
from vl3.data.boxes import write_box


@dataclass(frozen=True)
class Asked:
    """A scene in the hands of whoever asks."""

    rng: random.Random
    scene: Scene
    pool: Pool
    split: Split

    def question(self, kind: str, key: str, answer: str, **fields: str) -> Question:
        """One wording of TEMPLATES[key] with its answer."""
        return Question(kind, ask(self.rng, self.split, key, **fields), answer)

    @property
    def things(self) -> Sequence[Thing]:
        return self.scene.things

    @property
    def unique(self) -> list[Thing]:
        """The things whose text no other thing has."""
        texts = [thing.text for thing in self.things]
        return [thing for thing in self.things if texts.count(thing.text) == 1]

    @property
    def placed(self) -> list[Thing]:
        """The things that are at a clear position alone."""
        return [
            thing
            for thing in self.things
            if thing.position
            and not any(thing.position in other.positions for other in self.things if other is not thing)
        ]


def pick(asked: Asked, things: Sequence[Thing]) -> Thing | None:
    """One of them, if there are any."""
    return asked.rng.choice(things) if things else None


def colour(asked: Asked) -> Question | None:
    """The colour of the only shape of its kind, or of the shape at a place."""
    shapes = [thing.layer.shape for thing in asked.things if thing.layer.shape]
    known = [thing for thing in asked.things if thing.layer.shape and shapes.count(thing.layer.shape) == 1]
    thing = pick(asked, known)
    if thing is not None and asked.rng.random() < 0.6:
        assert thing.layer.colour and thing.layer.shape
        return asked.question("colour", "colour", thing.layer.colour, the=the(thing.layer.shape))
    thing = pick(asked, [thing for thing in asked.placed if thing.layer.shape])
    if thing is None:
        return None
    assert thing.layer.colour and thing.position
    return asked.question("colour", "colour_at", thing.layer.colour, where=thing.position)


def background(asked: Asked) -> Question | None:
    """The colour of a plain background."""
    name = asked.scene.background
    return asked.question("colour", "background", name) if name else None


def shape(asked: Asked) -> Question | None:
    """The shape of the only shape of its colour, or of the shape at a place."""
    colours = [thing.layer.colour for thing in asked.things if thing.layer.colour]
    known = [thing for thing in asked.things if thing.layer.colour and colours.count(thing.layer.colour) == 1]
    thing = pick(asked, known)
    if thing is not None and len(known) == len(asked.things) and asked.rng.random() < 0.6:
        assert thing.layer.colour and thing.layer.shape
        return asked.question("shape", "shape", thing.layer.shape, colour=thing.layer.colour)
    thing = pick(asked, [thing for thing in asked.placed if thing.layer.shape])
    if thing is None:
        return None
    assert thing.layer.shape and thing.position
    return asked.question("shape", "shape_at", thing.layer.shape, where=thing.position)


def position(asked: Asked) -> Question | None:
    """Where a thing is."""
    thing = pick(asked, [thing for thing in asked.unique if thing.position])
    if thing is None:
        return None
    assert thing.position
    return asked.question("position", "position", thing.position, the=the(thing.text))


def at(asked: Asked) -> Question | None:
    """What is at a place."""
    thing = pick(asked, asked.placed)
    if thing is None or thing.position is None:
        return None
    return asked.question("position", "at", a(thing.text), where=thing.position)


BESIDE = ("to the left of", "to the right of", "above", "below")


def is_beside(one: Thing, word: str, other: Thing) -> bool:
    """Whether `one` is clearly on that side of `other`: all of it, but for a tenth of the narrower one."""
    axis = 0 if word in BESIDE[:2] else 1
    first, second = (one, other) if word in (BESIDE[0], BESIDE[2]) else (other, one)
    slack = min(thing.box[axis + 2] - thing.box[axis] for thing in (one, other)) / 10
    return first.box[axis + 2] <= second.box[axis] + slack


def pair(asked: Asked) -> tuple[Thing, str, Thing] | None:
    """A true relation between two things that can be named."""
    found = [
        (one, word, other)
        for one in asked.unique
        for other in asked.unique
        for word in BESIDE
        if one is not other and is_beside(one, word, other)
    ]
    return asked.rng.choice(found) if found else None


def relation(asked: Asked) -> Question | None:
    """Yes or no, or one of two sides."""
    found = pair(asked)
    if found is None:
        return None
    one, word, other = found
    names = {"the": the(one.text), "other": the(other.text)}
    place = BESIDE.index(word)
    opposite = BESIDE[place ^ 1]
    if asked.rng.random() < 0.4:
        first, second = (word, opposite) if asked.rng.random() < 0.5 else (opposite, word)
        return asked.question("relation", "side", word, **names, one=first, two=second)
    if asked.rng.random() < 0.5:
        return asked.question("relation", "is_beside", "yes", **names, beside=word)
    return asked.question("relation", "is_beside", "no", **names, beside=opposite)


def beside(asked: Asked) -> Question | None:
    """What is on one side of a thing, when exactly one other thing can be meant."""
    thing = pick(asked, asked.unique)
    word = asked.rng.choice(BESIDE)
    if thing is None:
        return None
    others = [other for other in asked.things if other is not thing]
    there = [other for other in others if is_beside(other, word, thing)]
    axis, sign = BESIDE.index(word) // 2, (1, -1)[BESIDE.index(word) % 2]
    maybe = [other for other in others if sign * (thing.center[axis] - other.center[axis]) > 0.02]
    if len(there) != 1 or maybe != there:
        return None
    return asked.question("relation", "beside", a(there[0].text), the=the(thing.text), beside=word)


def extent(thing: Thing) -> float:
    """The geometric mean of its sides in pixels."""
    x1, y1, x2, y2 = thing.box
    return float(((x2 - x1) * (y2 - y1)) ** 0.5)


def is_bigger(one: Thing, other: Thing) -> bool:
    """Clearly so: in extent by 1.3 and in the longer side by 1.15."""
    sides = [max(thing.box[2] - thing.box[0], thing.box[3] - thing.box[1]) for thing in (one, other)]
    return extent(one) >= 1.3 * extent(other) and sides[0] >= 1.15 * sides[1]


def size(asked: Asked) -> Question | None:
    """Which of two is bigger, or the largest or smallest of all."""
    things = asked.rng.sample(asked.unique, len(asked.unique))
    if len(things) < 2:
        return None
    up = asked.rng.random() < 0.5
    if len(asked.things) > 2 and asked.rng.random() < 0.5:
        ends = sorted(asked.things, key=extent, reverse=up)
        best = ends[0]
        if best not in things or not all(is_bigger(best, o) if up else is_bigger(o, best) for o in ends[1:]):
            return None
        most = asked.rng.choice(("largest", "biggest") if up else ("smallest",))
        return asked.question("size", "most", the(best.text), most=most)
    one, other = things[:2]
    if not (is_bigger(one, other) or is_bigger(other, one)):
        return None
    answer = one if is_bigger(one, other) == up else other
    more = asked.rng.choice(("bigger", "larger") if up else ("smaller",))
    return asked.question("size", "size", the(answer.text), first=the(one.text), second=the(other.text), more=more)


def other_shape(asked: Asked, thing: Thing) -> str:
    """A coloured shape that is not in the scene: mostly the right shape in a wrong colour, or the reverse."""
    texts = {each.text for each in asked.things}
    while True:
        colour, shape = asked.rng.choice(list(COLOURS)), asked.rng.choice(SHAPES)
        change = asked.rng.random()
        if change < 0.45:
            shape = thing.layer.shape or shape
        elif change < 0.9:
            colour = thing.layer.colour or colour
        if f"{colour} {shape}" not in texts:
            return f"{colour} {shape}"


def other_name(asked: Asked, name: str) -> str | None:
    """A name of the pool that nothing in the scene can be called, half of the time of the same category as `name`."""
    kin = family(name)
    near = kin is not None and asked.rng.random() < 0.7
    choices = [word for word in families() if families()[word][0] == kin[0]] if near and kin else []
    for _ in range(100):
        other = asked.rng.choice(choices or asked.pool.names)
        if other not in asked.pool.by_name or speaks_of_shapes(other):
            continue
        if not any(alike(other, thing.text) for thing in asked.things):
            return other
        if asked.rng.random() < 0.05:
            choices = []
    return None


def other_than(asked: Asked, thing: Thing) -> str | None:
    """Something like the thing that is not in the scene."""
    return other_shape(asked, thing) if thing.layer.shape else other_name(asked, thing.text)


def exists(asked: Asked) -> Question | None:
    """Whether a thing is in the picture; no: one that is near to a thing which is."""
    thing = asked.rng.choice(asked.things)
    text = thing.text if asked.rng.random() < 0.5 else other_than(asked, thing)
    answer = "yes" if text == thing.text else "no"
    return asked.question("yes_no", "exists", answer, a=a(text)) if text else None


def exists_at(asked: Asked) -> Question | None:
    """Whether a thing is at a place; no: it is elsewhere, or something else is there."""
    thing = pick(asked, [thing for thing in asked.unique if thing.position])
    if thing is None or thing.position is None:
        return None
    if asked.rng.random() < 0.5:
        return asked.question("yes_no", "exists_at", "yes", a=a(thing.text), where=thing.position)
    taken = [other.position for other in asked.things if other.position and other.position != thing.position]
    anywhere = [where for row in POSITIONS for where in row if where != thing.position]
    where = asked.rng.choice(taken if taken and asked.rng.random() < 0.6 else anywhere)
    return asked.question("yes_no", "exists_at", "no", a=a(thing.text), where=where)


def is_a(asked: Asked) -> Question | None:
    """Whether the only thing belongs to a category."""
    kin = family(asked.things[0].text)
    if kin is None or len(asked.things) > 1:
        return None
    truth = asked.rng.random() < 0.5
    name = kin[0] if truth else asked.rng.choice([name for name in CATEGORIES if name != kin[0]])
    return asked.question("yes_no", "category", "yes" if truth else "no", a=name)


def list_all(asked: Asked) -> Question | None:
    """All things in the order of their middles."""
    axis = asked.rng.randint(0, 1)
    things = sorted(asked.things, key=lambda thing: thing.center[axis])
    if len(things) < 2 or any(two.center[axis] - one.center[axis] < 0.06 for one, two in pairwise(things)):
        return None
    order = ("left to right", "top to bottom")[axis]
    return asked.question("list", "list", listing([a(thing.text) for thing in things]), order=order)


def count_all(asked: Asked) -> Question:
    """How many things there are."""
    word = "shapes" if all(thing.layer.shape for thing in asked.things) else "objects"
    return asked.question("count", "count_all", NUMBERS[len(asked.things)], plural=word)


def count_named(asked: Asked, text: str) -> Question | None:
    """How many there are of a name, a shape, a colour or a coloured shape."""
    if not is_counted(text):
        return None
    number = sum(text in (thing.text, thing.layer.shape, thing.layer.colour) for thing in asked.things)
    name = f"{text} shapes" if text in COLOURS else plural(text)
    return asked.question("count", "count_all", NUMBERS[number], plural=name)


def box(asked: Asked) -> Question | None:
    """The box of a thing."""
    thing = pick(asked, asked.unique)
    return asked.question("box", "box", write_box(thing.thousandths), the=the(thing.text)) if thing else None


def in_box(asked: Asked) -> Question:
    """What is in the box of a thing."""
    thing = asked.rng.choice(asked.things)
    return asked.question("box", "in_box", a(thing.text), box=write_box(thing.thousandths))


def exists_box(asked: Asked) -> Question | None:
    """Whether a thing is in a box; no: it is another one of the picture, or one that is not there."""
    thing = asked.rng.choice(asked.things)
    box = write_box(thing.thousandths)
    if asked.rng.random() < 0.5:
        return asked.question("yes_no", "exists_box", "yes", a=a(thing.text), box=box)
    others = [other.text for other in asked.things if other.text != thing.text]
    text = asked.rng.choice(others) if others and asked.rng.random() < 0.6 else other_than(asked, thing)
    return asked.question("yes_no", "exists_box", "no", a=a(text), box=box) if text else None


Asker = Callable[[Asked], Question | None]

LENGTHY_SHARE = 0.3
"""Of the pictures of training that are asked for long answers: each of those takes the place of several short ones."""


def lengthy(asked: Asked, askers: Sequence[Asker]) -> Sequence[Asker]:
    """Askers whose answers are sentences or boxes: all of them, or in most pictures of training none."""
    return askers if asked.split == "held_out" or asked.rng.random() < LENGTHY_SHARE else []


def ask_all(asked: Asked, askers: Sequence[Asker], most: int) -> list[Question]:
    """Up to `most` questions of the askers in random order, none twice."""
    questions: dict[str, Question] = {}
    for asker in asked.rng.sample(askers, len(askers)):
        question = asker(asked)
        if question is not None and len(questions) < most:
            questions.setdefault(question.text, question)
    return list(questions.values())
