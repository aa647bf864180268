"""What happens in a clip, as events at whole seconds, and the questions that any such story answers."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from recipes.nano.data.clip_words import a_, ask, capital, listed
from recipes.nano.data.motion import COLOURS, SHAPES, Actor, Stage, draw, shape
from recipes.nano.data.pool import Pool
from recipes.nano.data.sample import Question, Sample, Split
from vl3.data.boxes import write_time


@dataclass(frozen=True, eq=False)
class Thing:
    """Something to show: a picture of the pool, or a coloured shape."""

    name: str
    """`dog`, `red circle`; `circle` where its colour is asked for or changes."""
    look: Image.Image
    shape: str | None = None
    colour: str | None = None

    @property
    def coloured(self) -> str:
        """`red circle`, even where the name is `circle`."""
        return f"{self.colour} {self.name}" if self.name == self.shape else self.name

    @property
    def the(self) -> str:
        """`the dog`."""
        return f"the {self.name}"


@dataclass(frozen=True)
class Event:
    """Something happens at a second."""

    time_s: int
    who: str
    """`the dog`."""
    do: str
    """`appear`, `turn green`, `move to the left`."""

    @property
    def does(self) -> str:
        """`appears`, `turns green`."""
        verb, *rest = self.do.split(" ")
        return " ".join([f"{verb}es" if verb == "go" else f"{verb}s", *rest])

    @property
    def clause(self) -> str:
        """`the dog appears`."""
        return f"{self.who} {self.does}"


@dataclass(frozen=True, eq=False)
class Story:
    """A clip that is not drawn yet, what happens in it, and all questions that may be asked of it."""

    stage: Stage
    actors: Sequence[Actor]
    events: Sequence[Event]
    """In order of time, no two at once."""
    at_first: Sequence[str]
    """Names of the things in view at the beginning."""
    questions: Sequence[Question]
    caption: str

    def sample(self, rng: random.Random, split: Split, *, captioned: bool = False) -> Sample:
        """The clip with four to eight of its questions; `captioned`: with a description and at most three others."""
        questions = choose_questions(rng, self.questions, rng.randint(1, 3) if captioned else rng.randint(4, 8))
        if captioned:
            questions.insert(0, ask(rng, split, "caption", self.caption))
        return Sample(questions, clip=draw(self.stage, self.actors))


def choose_things(rng: random.Random, pool: Pool, number: int, *, recolour: bool = False) -> list[Thing]:
    """Things of different names and different shapes. `recolour`: the first is a shape, named without its colour."""
    shapes, colours = rng.sample(SHAPES, number), rng.sample(sorted(COLOURS), number)
    things: list[Thing] = []
    for place in range(number):
        name, colour = shapes[place], colours[place]
        if recolour and place == 0:
            things.append(Thing(name, shape(name, colour), name, colour))
        elif rng.random() < 0.5:
            things.append(Thing(f"{colour} {name}", shape(name, colour), name, colour))
        else:
            picture = pool.choose(rng, cutout=True)
            while any(picture.name in (thing.name, thing.shape) for thing in things) or picture.name in SHAPES:
                picture = pool.choose(rng, cutout=True)
            image = picture.open()
            image.thumbnail((64, 64))
            things.append(Thing(picture.name, image))
    return things


def other_colour(rng: random.Random, *not_these: str | None) -> str:
    """A colour that is none of these."""
    return rng.choice([colour for colour in COLOURS if colour not in not_these])


def choose_questions(rng: random.Random, candidates: Sequence[Question], number: int) -> list[Question]:
    """At most `number` of the questions, no text twice and at most two of a kind; those of directions first."""
    chosen: list[Question] = []
    for question in sorted(rng.sample(candidates, len(candidates)), key=lambda question: question.kind != "motion"):
        kinds = [other.kind for other in chosen]
        if len(chosen) < number and kinds.count(question.kind) < 2 and all(q.text != question.text for q in chosen):
            chosen.append(question)
    return chosen


def does_it(rng: random.Random, split: Split, true: Event, false: Event) -> Question:
    """Whether something happens: as often yes as no."""
    event, answer = rng.choice([(true, "yes"), (false, "no")])
    return ask(rng, split, "does", answer, x=event.who, do=event.do, e=event.clause)


def when_is_it(rng: random.Random, split: Split, event: Event) -> Question:
    """The time of an event."""
    return ask(rng, split, "when", at(event.time_s), x=event.who, do=event.do, e=event.clause)


def at(second: int) -> str:
    """`at 3.0 seconds`."""
    return f"at {write_time(second)} seconds"


def from_to(start: int, end: int) -> str:
    """`from 2.0 to 6.0 seconds`: seen at 2, 3, 4 and 5."""
    return f"from {write_time(start)} to {write_time(end)} seconds"


def event_questions(rng: random.Random, split: Split, events: Sequence[Event]) -> list[Question]:
    """Of two or more events, ordered by time: which is first, last, before, after; their order, times and number."""
    questions = [
        ask(rng, split, "first", events[0].clause),
        ask(rng, split, "last", events[-1].clause),
        ask(rng, split, "order", ", then ".join(event.clause for event in events)),
        ask(rng, split, "event count", str(len(events))),
        *(when_is_it(rng, split, event) for event in rng.sample(events, 2) if event.time_s > 0),
    ]
    place = rng.randrange(len(events) - 1)
    before, after = events[place], events[place + 1]
    questions.append(ask(rng, split, "after", after.clause, e=before.clause))
    questions.append(ask(rng, split, "before", before.clause, e=after.clause))
    early, late = (events[index] for index in sorted(rng.sample(range(len(events)), 2)))
    a, b = rng.sample([early, late], 2)
    questions.append(ask(rng, split, "sooner", early.clause, a=a.clause, b=b.clause))
    a, b = rng.sample([early, late], 2)
    questions.append(ask(rng, split, "earlier", "yes" if a is early else "no", a=a.clause, b=b.clause))
    return questions


def deed_questions(rng: random.Random, split: Split, events: Sequence[Event], others: Sequence[str]) -> list[Question]:
    """Of two or more events: who does what, and whether somebody does.

    others: who is not in the clip, for questions whose answer is no.
    """
    questions = []
    for true in rng.sample(events, 2):
        if [event.do for event in events].count(true.do) == 1:
            questions.append(ask(rng, split, "who", true.who.removeprefix("the "), does=true.does))
        questions.append(does_it(rng, split, true, _false(rng, true, events, others)))
    return questions


def _false(rng: random.Random, true: Event, events: Sequence[Event], others: Sequence[str]) -> Event:
    """Somebody who does not do it: of the clip where there is one, half the time."""
    doers = {event.who for event in events if event.do == true.do}
    bystanders = sorted({event.who for event in events} - doers)
    if bystanders and rng.random() < 0.5:
        return Event(0, rng.choice(bystanders), true.do)
    return Event(0, rng.choice(others), true.do)


def tell(at_first: Sequence[str], events: Sequence[Event]) -> str:
    """One or two sentences: what is there, then what happens in order."""
    moments = [[event.clause for event in events if event.time_s == s] for s in sorted({e.time_s for e in events})]
    happens = capital(", then ".join(listed(moment) for moment in moments)) + "." if events else "Nothing happens."
    if not at_first:
        return f"Nothing is there at first. {happens}".strip()
    there = capital(listed([a_(name) for name in at_first]))
    return f"{there} {'is' if len(at_first) == 1 else 'are'} in view. {happens}".strip()
