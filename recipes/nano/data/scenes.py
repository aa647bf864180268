"""Composed scenes: one to five named pictures and coloured shapes, freely placed. And all renderers of pictures."""

import random
from collections.abc import Callable

from recipes.nano.data import asking
from recipes.nano.data.asking import Asked, ask_all, count_all, count_named
from recipes.nano.data.canvas import picture_size
from recipes.nano.data.captions import caption
from recipes.nano.data.compare import compare
from recipes.nano.data.composing import What, choose_picture, choose_things, render
from recipes.nano.data.grounding import grounding
from recipes.nano.data.objects import drawings, objects, photos
from recipes.nano.data.pool import Picture, Pool
from recipes.nano.data.sample import Question, Sample, Split
from recipes.nano.data.shapes import shapes
from recipes.nano.data.words import is_counted


def scenes(rng: random.Random, pool: Pool, split: Split) -> Sample:
    """Different things, or (a quarter) several of one name among others."""
    counted: str | None = None
    things: list[What]
    if rng.random() < 0.25:
        things, counted = herd(rng, pool)
    else:
        things = choose_things(rng, pool, rng.randint(1, 5), shapes=rng.choice((0, 0.4, 0.4, 0.6)))
    scene = render(rng, pool, picture_size(rng), things)
    asked = Asked(rng, scene, pool, split)
    askers: list[asking.Asker] = [asking.at, asking.at, asking.position, asking.exists, asking.exists_at]
    askers += [asking.colour, asking.shape, asking.background, asking.relation, asking.beside, asking.size]
    askers += [asking.list_all, *asking.lengthy(asked, [caption, asking.box, asking.in_box])]
    first: Question | None = count_all(asked) if counted is None else count(asked, counted)
    questions = ask_all(asked, askers, rng.randint(6, 8))
    return Sample(questions=[*([first] if first else []), *questions][:8], images=[scene.image], regions=scene.regions)


def herd(rng: random.Random, pool: Pool) -> tuple[list[What], str]:
    """One to five pictures of one name that can be counted, among others; and the name."""
    while True:
        picture = choose_picture(rng, pool)
        if is_counted(picture.name):
            break
    number = rng.randint(1, 5)
    pictures: list[Picture] = [picture]
    for _ in range(number - 1):
        pictures.append(picture if rng.random() < 0.5 else rng.choice(pool.by_name[picture.name]))
    extras = choose_things(rng, pool, rng.randint(0, 5 - number), shapes=0.5, apart_from=[picture.name])
    return [*pictures, *extras], picture.name


def count(asked: Asked, name: str) -> Question | None:
    """How many there are of the name, now and then of a name that is not there."""
    absent = asking.other_name(asked, name) if asked.rng.random() < 1 / 6 else None
    return count_named(asked, absent or name)


RENDERERS: dict[str, Callable[[random.Random, Pool, Split], Sample]] = {
    "objects": objects,
    "photos": photos,
    "drawings": drawings,
    "scenes": scenes,
    "shapes": shapes,
    "grounding": grounding,
    "compare": compare,
}
"""Every renderer of still pictures, by name. `photos` and `drawings` are the two halves of `objects`."""
