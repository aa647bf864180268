"""From a dense caption, what happens when in a video, to training samples: descriptions with times, temporal grounding,
order, and narration of a stream.

Times are written as docs/data.md says: seconds of the file's own clock with one decimal, `from 3.2 to 8.0 seconds`.
Wordings are drawn by the video's name, so that the same captions always give the same samples.
"""

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vl3.errors import UserError

Kind = Literal["timeline", "when", "span", "first", "next", "happens", "stream"]
KINDS: tuple[Kind, ...] = ("timeline", "when", "span", "first", "next", "happens", "stream")
"""`timeline`: all events with their times; `when`: the time of an event; `span`: what happens then; `first`: which of
two comes first; `next`: what follows; `happens`: yes or no, the no from another video; `stream`: each event told as it
ends."""

WORDINGS: Mapping[str, Sequence[str]] = {
    "timeline": (
        "Describe what happens in the video, with the times.",
        "List the events of this video with their start and end times.",
        "What happens in this video, and when?",
    ),
    "when": (
        "When does this happen in the video? {event}",
        "Between which times can this be seen? {event}",
        "Find the moment: {event} Give its start and end in seconds.",
    ),
    "span": (
        "What happens {span}?",
        "Describe the part of the video {span}.",
        "What can be seen {span}?",
    ),
    "first": (
        "Which of these happens first?\nA. {a}\nB. {b}\nAnswer with the letter.",
        "What comes earlier in the video?\nA. {a}\nB. {b}\nAnswer with the letter.",
    ),
    "next": (
        "What happens next after this? {event}",
        "{event} What follows in the video?",
    ),
    "happens": (
        "Does this happen in the video? {event} Answer yes or no.",
        "Is this part of the video? {event} Answer yes or no.",
    ),
    "stream": (
        "Tell me what happens as it happens.",
        "Describe the video while it plays.",
        "Comment on each scene as soon as you have seen it.",
    ),
}
ALIKE = 0.5
"""Share of common words from which two descriptions may mean the same: no question must turn on their difference."""
SHORTEST_S = 0.5
"""Shortest event that is asked about by its time."""
WHOLE = 0.9
"""Share of the video from which an event says nothing about time."""


@dataclass(frozen=True)
class Event:
    """What happens in [start_s, end_s), in seconds of presentation time."""

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True)
class Dense:
    """A video and what happens in it, by start."""

    video: str
    events: Sequence[Event]

    @property
    def length_s(self) -> float:
        """From the first event's start to the last one's end."""
        return max(event.end_s for event in self.events) - self.events[0].start_s


def dense(video: str, events: Iterable[Event]) -> Dense:
    """Events in order of time, with texts that end in a full stop. UserError for none, or times that are none."""
    found = []
    for event in events:
        if not 0 <= event.start_s < event.end_s:
            raise UserError(
                f"{video}: an event from {event.start_s:g} to {event.end_s:g} s: it must start before its end"
            )
        text = " ".join(event.text.split())
        if text:
            found.append(Event(event.start_s, event.end_s, text if text[-1] in ".!?。" else f"{text}."))
    if not found:
        raise UserError(f"{video}: no event")
    return Dense(video, sorted(found, key=lambda event: (event.start_s, event.end_s)))


def parse_events(data: Any, where: str) -> list[Event]:
    """Events from plain data: a list of {"start_s", "end_s", "text"}, or [start, end] pairs under `timestamps` beside
    `sentences`, as ActivityNet Captions has them. UserError, naming `where`, for anything else."""
    try:
        if isinstance(data, Mapping):
            pairs = zip(data["timestamps"], data["sentences"], strict=True)
            return [Event(float(start), float(end), str(text)) for (start, end), text in pairs]
        return [Event(float(event["start_s"]), float(event["end_s"]), str(event["text"])) for event in data]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f'{where}: not a dense caption, such as [{{"start_s": 0, "end_s": 2.5, "text": "A dog runs."}}] '
            f"({type(error).__name__}: {error})"
        ) from error


def samples(
    one: Dense, others: Sequence[Dense], kinds: Sequence[Kind] = KINDS, max_each: int = 3
) -> list[dict[str, Any]]:
    """Annotations in the training format (docs/data.md): one with independent questions, one stream; fewer where the
    events do not bear them. others: videos whose events may stand for what does not happen."""
    rng = random.Random(one.video)
    turns = []
    for kind in kinds:
        if kind != "stream":
            asked = _ASK[kind](one, others, rng)
            turns += rng.sample(asked, min(max_each, len(asked)))
    made: list[dict[str, Any]] = []
    if turns:
        made.append(questions(one.video, turns))
    if "stream" in kinds:
        made.append(_stream(one, rng))
    return made


def questions(video: str, turns: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """An annotation with independent (question, answer) pairs about a video."""
    conversations = []
    for number, (question, answer) in enumerate(turns):
        mark = "" if number else "<video>\n"
        conversations += [{"from": "human", "value": mark + question}, {"from": "gpt", "value": answer}]
    return {"video": [video], "independent": True, "conversations": conversations}


def span(event: Event) -> str:
    """`from 3.2 to 8.0 seconds`."""
    from vl3.data.boxes import write_time  # whose room loads torch

    return f"from {write_time(event.start_s)} to {write_time(event.end_s)} seconds"


def likeness(a: str, b: str) -> float:
    """Words that both have, as a share of the words that either has; case and punctuation aside."""
    first, second = ({*re.findall(r"\w+", text.lower())} for text in (a, b))
    return len(first & second) / max(1, len(first | second))


# ----------------------------------------------------------------------------------------------------------- questions

_Turn = tuple[str, str]


def _timeline(one: Dense, _others: Sequence[Dense], rng: random.Random) -> list[_Turn]:
    lines = [f"{_capital(span(event))}: {event.text}" for event in one.events]
    return [(rng.choice(WORDINGS["timeline"]), "\n".join(lines))]


def _when(one: Dense, _others: Sequence[Dense], rng: random.Random) -> list[_Turn]:
    wordings = WORDINGS["when"]
    return [(rng.choice(wordings).format(event=e.text), f"{_capital(span(e))}.") for e in _tellable(one)]


def _span(one: Dense, _others: Sequence[Dense], rng: random.Random) -> list[_Turn]:
    return [(rng.choice(WORDINGS["span"]).format(span=span(e)), e.text) for e in _placed(one)]


def _first(one: Dense, _others: Sequence[Dense], rng: random.Random) -> list[_Turn]:
    turns = []
    told = _tellable(one)
    for number, early in enumerate(told):
        for late in told[number + 1 :]:
            if early.end_s <= late.start_s:
                right = rng.choice("AB")
                a, b = (early, late) if right == "A" else (late, early)
                turns.append((rng.choice(WORDINGS["first"]).format(a=a.text, b=b.text), right))
    return turns


def _next(one: Dense, _others: Sequence[Dense], rng: random.Random) -> list[_Turn]:
    told = _tellable(one)
    turns = []
    for early, late in zip(one.events, one.events[1:], strict=False):
        if early in told and late in told and early.end_s <= late.start_s + 1e-6:
            turns.append((rng.choice(WORDINGS["next"]).format(event=early.text), late.text))
    return turns


def _happens(one: Dense, others: Sequence[Dense], rng: random.Random) -> list[_Turn]:
    """One that does and one that does not, or none: answers stay balanced."""
    mine = [event.text for event in one.events]
    foreign = [event.text for other in others if other.video != one.video for event in other.events]
    absent = [text for text in foreign if all(likeness(text, own) < ALIKE / 2 for own in mine)]
    if not absent:
        return []
    wordings = WORDINGS["happens"]
    pairs = ((rng.choice(mine), "Yes."), (rng.choice(absent), "No."))
    return [(rng.choice(wordings).format(event=text), answer) for text, answer in pairs]


_ASK = {"timeline": _timeline, "when": _when, "span": _span, "first": _first, "next": _next, "happens": _happens}


def _stream(one: Dense, rng: random.Random) -> dict[str, Any]:
    """Each event is told as soon as it has been seen to its end; those that end together, together."""
    told: dict[float, list[str]] = {}
    for event in sorted(one.events, key=lambda event: event.end_s):
        told.setdefault(round(event.end_s, 1), []).append(event.text)
    start_s = round(one.events[0].start_s, 1)
    turns = [{"role": "user", "content": rng.choice(WORDINGS["stream"]), "time": start_s}]
    turns += [{"role": "assistant", "content": " ".join(texts), "time": at} for at, texts in told.items()]
    return {"stream": True, "video": [one.video], "start_time": start_s, "end_time": max(told), "conversation": turns}


def _placed(one: Dense) -> list[Event]:
    """Events that a time tells apart from the rest of the video, alone in their time."""
    return [
        event
        for event in one.events
        if SHORTEST_S <= event.end_s - event.start_s <= WHOLE * one.length_s
        and not any(
            other is not event and other.start_s < event.end_s - 0.05 and event.start_s < other.end_s - 0.05
            for other in one.events
        )
    ]


def _tellable(one: Dense) -> list[Event]:
    """Those of them whose words fit no other event."""
    return [
        event
        for event in _placed(one)
        if all(other is event or likeness(event.text, other.text) < ALIKE for other in one.events)
    ]


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
