"""Coloured shapes to be counted and named: one to five of a kind among others, or one to five in all."""

import random

from recipes.nano.data import asking
from recipes.nano.data.asking import Asked, ask_all, count_all, count_named
from recipes.nano.data.canvas import picture_size
from recipes.nano.data.captions import caption
from recipes.nano.data.composing import choose_shape, render
from recipes.nano.data.pool import Pool
from recipes.nano.data.sample import Question, Sample, Split
from recipes.nano.data.words import COLOURS, SHAPES

Figure = tuple[str, str]


def shapes(rng: random.Random, pool: Pool, split: Split) -> Sample:
    """Several shapes; counted by shape, by colour, by both or altogether. Each answer from one to five is as likely."""
    counted = rng.choice((None, "shape", "colour", "both"))
    number = rng.randint(1, 5)
    if counted is None:
        figures, text = [choose_shape(rng) for _ in range(number)], None
    else:
        figures, text = group(rng, counted, number)
    scene = render(rng, pool, picture_size(rng), figures)
    asked = Asked(rng, scene, pool, split)
    askers: list[asking.Asker] = [
        asking.colour,
        asking.shape,
        asking.exists,
        asking.exists_at,
        asking.position,
        asking.at,
        asking.relation,
    ]
    askers += [asking.background, asking.size]
    if len(figures) <= 5:
        askers.append(asking.list_all)
        askers += asking.lengthy(asked, [caption])
    questions = [count(asked, text), *ask_all(asked, askers, 6)]
    return Sample(questions=questions, images=[scene.image], regions=scene.regions)


def group(rng: random.Random, counted: str, number: int) -> tuple[list[Figure], str]:
    """`number` shapes that share what is counted, among up to four that do not; and the shared text."""
    colour, shape = choose_shape(rng)
    text = {"shape": shape, "colour": colour, "both": f"{colour} {shape}"}[counted]
    figures = []
    for _ in range(number):
        other = choose_shape(rng)
        figures.append((other[0] if counted == "shape" else colour, other[1] if counted == "colour" else shape))
    for _ in range(rng.randint(0, min(4, 8 - number))):
        figures.append(stranger(rng, (colour, shape), counted))
    return figures, text


def stranger(rng: random.Random, counted: Figure, by: str) -> Figure:
    """A shape that does not count: by `both`, mostly one that shares the colour or the shape."""
    while True:
        colour, shape = choose_shape(rng)
        if by == "both" and rng.random() < 0.7:
            colour, shape = rng.choice(((counted[0], shape), (colour, counted[1])))
        same = {"shape": shape == counted[1], "colour": colour == counted[0], "both": (colour, shape) == counted}
        if not same[by]:
            return colour, shape


def count(asked: Asked, text: str | None) -> Question:
    """How many there are of `text`, now and then of something that is not there; or of all."""
    if text is None:
        return count_all(asked)
    if asked.rng.random() < 1 / 6:
        shown = {word for thing in asked.things for word in (thing.layer.shape, thing.layer.colour)}
        text = asked.rng.choice([word for word in (*SHAPES, *COLOURS) if word not in shown])
    question = count_named(asked, text)
    assert question is not None
    return question
