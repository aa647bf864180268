"""Short clips with questions: `RENDERERS` by name."""

import random
from collections.abc import Callable

from recipes.nano.data.clip_events import write_counts, write_events
from recipes.nano.data.clip_motions import write_motions
from recipes.nano.data.clip_screens import screens
from recipes.nano.data.pool import Pool
from recipes.nano.data.sample import Sample, Split
from recipes.nano.data.streams import streams


def motions(rng: random.Random, pool: Pool, split: Split) -> Sample:
    """One or two things move or change; which way, what, when, how often."""
    return write_motions(rng, pool, split).sample(rng, split)


def events(rng: random.Random, pool: Pool, split: Split) -> Sample:
    """Things appear, disappear and change colour; what is first, last, when, how many."""
    write = write_counts if rng.random() < 0.3 else write_events
    return write(rng, pool, split).sample(rng, split)


def captions(rng: random.Random, pool: Pool, split: Split) -> Sample:
    """Any of these, with a description of one or two sentences."""
    write = rng.choice((write_motions, write_motions, write_events, write_events, write_counts))
    return write(rng, pool, split).sample(rng, split, captioned=True)


RENDERERS: dict[str, Callable[[random.Random, Pool, Split], Sample]] = {
    "motions": motions,
    "events": events,
    "clip_captions": captions,
    "recordings": screens,
    "streams": streams,
}
