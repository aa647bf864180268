"""One named picture or photograph on a background of any kind, or filling the picture."""

import random
from typing import Literal

from PIL import Image

from recipes.nano.data import asking
from recipes.nano.data.asking import Asked
from recipes.nano.data.backgrounds import make_background
from recipes.nano.data.canvas import (
    Layer,
    Scene,
    Thing,
    camera,
    compose,
    open_large,
    picture_layer,
    picture_size,
    relight,
)
from recipes.nano.data.captions import caption
from recipes.nano.data.pool import Picture, Pool
from recipes.nano.data.sample import Question, Sample, Split
from recipes.nano.data.words import a, family


def objects(rng: random.Random, pool: Pool, split: Split) -> Sample:
    """A photograph three times in ten, else a drawing."""
    return single(rng, pool, split, "photo" if rng.random() < 0.3 else "drawing")


def photos(rng: random.Random, pool: Pool, split: Split) -> Sample:
    """Photographs only."""
    return single(rng, pool, split, "photo")


def drawings(rng: random.Random, pool: Pool, split: Split) -> Sample:
    """Drawings only."""
    return single(rng, pool, split, "drawing")


def single(rng: random.Random, pool: Pool, split: Split, kind: Literal["photo", "drawing"]) -> Sample:
    """One picture of the pool, of one kind as long as the pool has it."""
    scene = render_single(rng, pool, choose_kind(rng, pool, kind), picture_size(rng))
    asked = Asked(rng, scene, pool, split)
    askers = [
        either,
        asking.exists,
        asking.is_a,
        asking.position,
        asking.background,
        asking.count_all,
        *asking.lengthy(asked, [asking.box, caption]),
    ]
    questions = [name(asked), *asking.ask_all(asked, askers, 4)]
    return Sample(questions=questions, images=[scene.image], regions=scene.regions)


def choose_kind(rng: random.Random, pool: Pool, kind: Literal["photo", "drawing"]) -> Picture:
    """A picture of that kind, half of the time with one of the common names; any other where the pool has none."""
    common = rng.random() < 0.5
    for attempt in range(300):
        picture = pool.choose(rng)
        if picture.kind == kind and (not common or attempt > 100 or family(picture.name)):
            break
    return picture


def render_single(rng: random.Random, pool: Pool, picture: Picture, size: tuple[int, int]) -> Scene:
    """The picture as the only thing: filling everything, or anywhere on a background."""
    if not picture.cutout and rng.random() < 0.8:
        image = fill(rng, picture, size)
        return Scene(camera(rng, image), [Thing(Layer(image, picture.name), (0, 0, *size), size)], None)
    ground = make_background(rng, size, pool.backgrounds, calm=rng.random() < 0.5)
    share = rng.uniform(0.3, 0.6) if rng.random() < 0.4 else rng.uniform(0.6, 1)
    side = max(24, round(share * min(size)))
    things = compose(rng, ground.image, [picture_layer(rng, picture, side, turn=20)])
    return Scene(camera(rng, ground.image), things, ground.colour)


def fill(rng: random.Random, picture: Picture, size: tuple[int, int]) -> Image.Image:
    """A whole photograph, cropped a little to the shape of the frame."""
    image = relight(rng, open_large(picture.path))
    scale = rng.uniform(0.85, 1) * min(image.width / size[0], image.height / size[1])
    width, height = size[0] * scale, size[1] * scale
    left, top = rng.uniform(0, image.width - width), rng.uniform(0, image.height - height)
    box = (left, top, left + width, top + height)
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    result = white.convert("RGB").resize(size, Image.Resampling.BICUBIC, box=box)
    return result.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else result


def name(asked: Asked) -> Question:
    """What it is."""
    return asked.question("name", "name", a(asked.things[0].text))


def either(asked: Asked) -> Question | None:
    """Which of two names it has."""
    right = asked.things[0].text
    wrong = asking.other_name(asked, right)
    if wrong is None:
        return None
    first, second = asked.rng.sample([right, wrong], 2)
    return asked.question("name", "either", a(right), first=a(first), second=a(second))
