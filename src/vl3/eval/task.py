"""What a task is: questions with known answers, and how an answer is scored.

A benchmark is one file with one function that loads its annotations, words the prompts and returns a `Task`.
"""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vl3.chat import Message, media_of, parts_of
from vl3.errors import UserError

STREAM = "stream"
"""The kind of a question that asks when a watching model first speaks, not for an answer in words."""


@dataclass(frozen=True)
class Item:
    """One question."""

    id: str
    """Unique in its task and the same in every run."""
    kind: str
    """What it asks for: decides how it is scored."""
    messages: Sequence[Message]
    """What the model is asked, in the forms that `vl3.chat` takes; media are named by absolute paths."""
    truth: str | list[str]
    """The true answer, or all that are accepted; an empty list where its authors keep it to themselves."""
    cluster: str
    """The medium it is about. Questions about one medium are not independent: intervals resample whole media."""
    label: str = ""
    """What reports call its kind, where that is finer than `kind`."""
    choices: Mapping[str, str] = field(default_factory=dict)
    """The options of a multiple-choice question: letter -> text."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else its scorer must know, as plain data, such as the unit or the precision of the truth."""

    @property
    def question(self) -> str:
        """The words of the last turn."""
        return "\n".join(part for part in parts_of(self.messages[-1]) if isinstance(part, str))

    @property
    def reported_as(self) -> str:
        """The row of a report that it counts in."""
        return self.label or self.kind

    @property
    def truths(self) -> list[str]:
        """All accepted answers."""
        return [self.truth] if isinstance(self.truth, str) else list(self.truth)


@dataclass(frozen=True)
class Score:
    """How good an answer is."""

    score: float
    """0 to 1."""
    parsed: Any
    """What was understood of the answer, as plain data; None if nothing was."""
    also: dict[str, float] = field(default_factory=dict)
    """Other measures of the same answer, each 0 to 1."""

    def __post_init__(self) -> None:
        assert all(0 <= value <= 1 for value in (self.score, *self.also.values())), self


@dataclass(frozen=True)
class Verdict:
    """A question for a judge, and what its answer is worth."""

    prompt: str
    """What the judge is asked, in words."""
    score: Callable[[str], Score | None]
    """Reads the judge's words; None if they say nothing."""


Scored = Sequence[tuple[str, str, str, float]]
"""(id, what reports call its kind, cluster, score) of every question that has a score."""
Totals = Callable[[Scored], dict[str, float]]
"""Sums by name."""


def no_totals(_scored: Scored) -> dict[str, float]:
    """Where the mean over all questions says it all."""
    return {}


@dataclass(frozen=True)
class Task:
    """Questions and their scorer. UserError for two questions of one id."""

    name: str
    items: Sequence[Item]
    score: Callable[[Item, str], Score]
    """Scores a raw answer."""
    notes: Sequence[str] = ()
    """What a reader of the result must know, such as what was left out."""
    judged: Callable[[Item, str], Verdict | None] = lambda _item, _answer: None
    """What to ask a judge about an answer, if one is there; None where rules suffice."""
    totals: Totals = no_totals
    """The benchmark's own sums, where they are not the mean over all questions."""

    def __post_init__(self) -> None:
        repeated = [id_ for id_, number in Counter(item.id for item in self.items).items() if number > 1]
        if repeated:
            raise UserError(
                f"{self.name}: {len(repeated)} questions are there more than once, such as {repeated[0]!r}; "
                "is a file there twice?"
            )

    def limited(self, limit: int | None, seed: int) -> "Task":
        """At most `limit` questions of each reported kind, drawn by `seed`; the order of the rest stays."""
        if limit is None:
            return self
        chosen: set[str] = set()
        for label in sorted({item.reported_as for item in self.items}):
            ids = [item.id for item in self.items if item.reported_as == label]
            chosen.update(random.Random(f"{seed} {label}").sample(ids, min(limit, len(ids))))
        return replace(self, items=[item for item in self.items if item.id in chosen])

    def shard(self, number: int, of: int) -> "Task":
        """The questions of every `of`-th medium from the `number`-th (1-based) on: media are not torn apart."""
        clusters = {name: place for place, name in enumerate(dict.fromkeys(item.cluster for item in self.items))}
        return replace(self, items=[item for item in self.items if clusters[item.cluster] % of == number - 1])

    def digest(self) -> str:
        """A fingerprint of all questions and truths: two runs of one digest were asked the same."""
        content = [
            [i.id, i.kind, i.reported_as, i.messages, i.truth, i.cluster, *(x for x in (i.choices, i.facts) if x)]
            for i in self.items
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=repr).encode()).hexdigest()[:16]


def media_files(messages: Sequence[Message]) -> list[str]:
    """The images and videos of a conversation by name: a video of single frames is the folder that they are in."""
    sources = [part.source for part in media_of(messages)]
    return [str(Path(source[0]).parent) if isinstance(source, list) else str(source) for source in sources]


def cluster_of(messages: Sequence[Message], otherwise: str) -> str:
    """The media of a conversation as one name; `otherwise` if it has none."""
    return " ".join(media_files(messages)) or otherwise


def asked(media: Sequence[Mapping[str, Any]], text: str) -> list[Message]:
    """A question: images and videos in order, then its words."""
    return [{"role": "user", "content": [*media, {"type": "text", "text": text}]}]


def image(path: str) -> dict[str, Any]:
    """An image as part of a question."""
    return {"type": "image", "image": path}


def video(path: str | list[str], start_s: float | None = None, end_s: float | None = None) -> dict[str, Any]:
    """A video, or a part of one, as part of a question."""
    bounds = {"start_s": start_s, "end_s": end_s}
    return {"type": "video", "video": path, **{name: value for name, value in bounds.items() if value is not None}}


def lettered(options: Sequence[Any]) -> dict[str, str]:
    """Options by their letters, from A on."""
    return {chr(ord("A") + place): str(option) for place, option in enumerate(options)}
