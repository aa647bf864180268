"""Streamed clips: somebody asks at the start to be told of something, and is told right after the frame that shows it.

A model that watches one frame a second has seen the frame of second s when it is told of at s + 1.
"""

import random

from recipes.nano.data.clip_events import write_counts, write_events
from recipes.nano.data.clip_stories import Event, Story, choose_things
from recipes.nano.data.clip_words import capital
from recipes.nano.data.motion import draw
from recipes.nano.data.pool import Pool
from recipes.nano.data.sample import Sample, Split

Turn = tuple[float, str, str]

ALERT = (
    (
        "Tell me when {e}.",
        "Let me know when {e}.",
        "Say something as soon as {e}.",
        "Watch this and tell me when {e}.",
        "Speak up when {e}.",
        "I want to know when {e}.",
    ),
    ("Give me a sign once {e}.", "Alert me the moment {e}.", "Keep an eye out and report when {e}."),
)
NARRATE = (
    (
        "Tell me what happens as it happens.",
        "Describe each change as you see it.",
        "Comment on this video while it plays.",
        "Say what happens, one thing at a time.",
        "Report every change.",
        "Narrate this.",
    ),
    ("Keep me posted on what goes on.", "Give a running commentary.", "Whenever something changes, say what."),
)
COUNT = (
    (
        "Each time a {name} appears, say how many have appeared so far.",
        "Count the {name} pictures aloud as they appear.",
        "Keep count of every {name} that appears.",
        "Say the new total whenever a {name} appears.",
        "Count along: how many times has a {name} appeared?",
        "Whenever you see a new {name}, tell me the number so far.",
    ),
    ("Keep a running tally of each {name}.", "Announce the total as each {name} turns up.", "Tally each {name} aloud."),
)
DID_IT = (
    ("Did you see that {e}?", "Has it happened that {e}?", "Is it true that {e}?"),
    ("Was there a moment when {e}?", "Would you say that {e}?", "Can you confirm that {e}?"),
)


def streams(rng: random.Random, pool: Pool, split: Split) -> Sample:
    """An alert, a narration, a running count, or a question at the end."""
    pattern = rng.random()
    if pattern < 0.2:
        story = write_counts(rng, pool, split)
        turns = _count(rng, split, story)
    else:
        story = write_events(rng, pool, split)
        if pattern < 0.6:
            turns = _alert(rng, split, story)
        elif pattern < 0.8:
            turns = _narrate(rng, split, story)
        else:
            turns = _ask_at_end(rng, split, story, pool)
    return Sample((), clip=draw(story.stage, story.actors), stream=turns)


def _put(rng: random.Random, split: Split, wordings: tuple[tuple[str, ...], tuple[str, ...]], **words: str) -> str:
    """One of the wordings; half of the held-out split's are held out."""
    held_out = split == "held_out" and rng.random() < 0.5
    return rng.choice(wordings[held_out]).format(**words)


def _told(event: Event) -> str:
    return f"{capital(event.clause)} now."


def _alert(rng: random.Random, split: Split, story: Story) -> list[Turn]:
    event = rng.choice(story.events)
    return [
        (0, "user", _put(rng, split, ALERT, e=event.clause)),
        (event.time_s + 1, "assistant", _told(event)),
    ]


def _narrate(rng: random.Random, split: Split, story: Story) -> list[Turn]:
    told = [(event.time_s + 1, "assistant", _told(event)) for event in story.events]
    return [(0, "user", _put(rng, split, NARRATE)), *told]


def _count(rng: random.Random, split: Split, story: Story) -> list[Turn]:
    name = story.events[0].who.removeprefix("a ")
    told = [(event.time_s + 1, "assistant", f"{number}.") for number, event in enumerate(story.events, 1)]
    return [(0, "user", _put(rng, split, COUNT, name=name)), *told]


def _ask_at_end(rng: random.Random, split: Split, story: Story, pool: Pool) -> list[Turn]:
    """Something is watched for that happens or, as often, does not; the question is repeated at the end."""
    event = rng.choice(story.events)
    happens = rng.random() < 0.5
    if not happens:
        present = {other.who for other in story.events} | {f"the {name}" for name in story.at_first}
        absent = sorted({thing.the for thing in choose_things(rng, pool, 6)} - present)
        event = Event(0, rng.choice(absent), event.do)
    turns: list[Turn] = [(0, "user", _put(rng, split, ALERT, e=event.clause))]
    if happens:
        turns.append((event.time_s + 1, "assistant", _told(event)))
    end = story.stage.seconds
    turns.append((end, "user", _put(rng, split, DID_IT, e=event.clause)))
    turns.append((end, "assistant", "Yes." if happens else "No."))
    return turns
