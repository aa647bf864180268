"""Boxes: where a thing is, what is in a box, whether a thing is in a box."""

import random

from recipes.nano.data.asking import Asked, ask_all, box, exists_box, in_box, position
from recipes.nano.data.canvas import picture_size
from recipes.nano.data.composing import choose_things, render
from recipes.nano.data.pool import Pool
from recipes.nano.data.sample import Sample, Split


def grounding(rng: random.Random, pool: Pool, split: Split) -> Sample:
    """One to four different things."""
    scene = render(rng, pool, picture_size(rng), choose_things(rng, pool, rng.randint(1, 4), shapes=0.35))
    asked = Asked(rng, scene, pool, split)
    questions = ask_all(asked, [box, box, in_box, in_box, exists_box, exists_box, position], 6)
    return Sample(questions=questions, images=[scene.image], regions=scene.regions)
