"""Which things a scene gets, and the scene drawn from them."""

import random
from collections.abc import Sequence

from recipes.nano.data.backgrounds import KINDS, make_background
from recipes.nano.data.canvas import Layer, Scene, camera, compose, picture_layer
from recipes.nano.data.figures import shape_layer
from recipes.nano.data.pool import Picture, Pool
from recipes.nano.data.words import COLOURS, SHAPES, alike, family, speaks_of_shapes
from vl3.errors import UserError

What = Picture | tuple[str, str]
"""A picture, or a shape as (colour, shape)."""

SHARES = {1: (0.3, 0.65), 2: (0.26, 0.5), 3: (0.22, 0.44), 4: (0.2, 0.38), 5: (0.18, 0.34)}
"""Number of things -> the longer side of each, as a share of the picture's shorter side; beyond five as for MANY."""

MANY = (0.13, 0.27)


def choose_picture(rng: random.Random, pool: Pool, *, inset: float = 0.1, apart_from: Sequence[str] = ()) -> Picture:
    """A picture for a scene, whose name is alike to none of `apart_from` and speaks of no shape.

    Half of them have a name of CATEGORIES: those are the names that hard negatives are drawn from, so that a name
    alone does not tell whether it is shown. `inset` is the share that may be whole photographs.
    """
    cutout, common = rng.random() >= inset, rng.random() < 0.5
    for attempt in range(400):
        picture = pool.choose(rng, cutout=cutout)
        if common and attempt < 100 and family(picture.name) is None:
            continue
        if not speaks_of_shapes(picture.name) and not any(alike(picture.name, name) for name in apart_from):
            return picture
    raise UserError("the pool of pictures has too few different names to compose scenes: build it from more packages")


def choose_shape(rng: random.Random, taken: Sequence[tuple[str, str]] = ()) -> tuple[str, str]:
    """A colour and a shape, not both of one that is taken."""
    while True:
        what = rng.choice(list(COLOURS)), rng.choice(SHAPES)
        if what not in taken:
            return what


def choose_things(
    rng: random.Random, pool: Pool, number: int, *, shapes: float, apart_from: Sequence[str] = ()
) -> list[What]:
    """Different things, each a shape with probability `shapes`, else a picture with a name unlike `apart_from`."""
    pictures: list[Picture] = []
    figures: list[tuple[str, str]] = []
    for _ in range(number):
        if rng.random() < shapes:
            figures.append(choose_shape(rng, figures))
        else:
            pictures.append(choose_picture(rng, pool, apart_from=[*apart_from, *(each.name for each in pictures)]))
    return [*pictures, *figures]


def render(
    rng: random.Random, pool: Pool, size: tuple[int, int], things: Sequence[What], *, kinds: Sequence[str] = KINDS
) -> Scene:
    """The things, of different sizes, on a background of one of `kinds`."""
    low, high = SHARES.get(len(things), MANY)
    layers = []
    for what in rng.sample(things, len(things)):
        side = max(22, round(rng.uniform(low, high) * min(size)))
        layers.append(layer(rng, what, side))
    ground = make_background(rng, size, pool.backgrounds, kinds=kinds)
    placed = compose(rng, ground.image, layers)
    return Scene(camera(rng, ground.image), placed, ground.colour)


def layer(rng: random.Random, what: What, side: int) -> Layer:
    """What it looks like with `side` pixels as its longer side."""
    return picture_layer(rng, what, side) if isinstance(what, Picture) else shape_layer(rng, *what, side)
