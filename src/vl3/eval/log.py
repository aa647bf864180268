"""The log of one row of a run: one JSON line for each question, written as soon as it is answered."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from vl3.chat import Message, Slot, media_of, render
from vl3.config import decode
from vl3.errors import UserError
from vl3.eval.task import Item, Score, Task, media_files
from vl3.lines import appending, whole_lines

FAILED = "failed"
"""The finish reason of a question that got no answer."""


@dataclass(frozen=True)
class Reply:
    """What an answerer says to one question."""

    text: str
    prompt: str = ""
    """The prompt's text, `<image>` standing for a picture's or frame's tokens."""
    visual_tokens: int = 0
    seconds: float = 0.0
    finish_reason: str = "stop"
    frames_s: Sequence[Sequence[float]] = ()
    """For each image or video, the times of the frames that were seen."""


def prompt_text(
    messages: Sequence[Message], frame_times_s: Sequence[Sequence[float]], add_generation_prompt: bool = True
) -> str:
    """The prompt as the model read it, `<image>` standing for the tokens of a picture or frame."""
    kinds = [part.kind for part in media_of(messages)]
    times = [None if kind == "image" else shown for kind, shown in zip(kinds, frame_times_s, strict=True)]
    pieces = render(messages, times, add_generation_prompt)
    return "".join("<image>" if isinstance(piece, Slot) else piece.text for piece in pieces)


@dataclass(frozen=True)
class Record:
    """One line of the log."""

    id: str
    kind: str
    cluster: str
    question: str
    truth: str | list[str]
    prompt: str = ""
    answer: str = ""
    parsed: Any = None
    score: float | None = None
    """None if the question failed, or if its truth is not public."""
    also: dict[str, float] = field(default_factory=dict)
    visual_tokens: int = 0
    seconds: float = 0.0
    finish_reason: str = FAILED
    error: str | None = None
    """Why there is no answer, or no verdict on it."""
    for_judge: bool = False
    """Whether the benchmark's authors have such an answer compared by a judge."""
    judged: bool = False
    """Whether a judge gave the score."""
    media: list[str] = field(default_factory=list)
    """Paths of the images and videos."""
    frames_s: list[list[float]] = field(default_factory=list)
    """For each of them, the times of the frames that were seen."""

    @property
    def answered(self) -> bool:
        """Whether there is an answer."""
        return self.finish_reason != FAILED


def record(task: Task, item: Item, reply: Reply | UserError) -> Record:
    """Scores a reply; a failure has no score."""
    media = media_files(item.messages)
    asked = Record(item.id, item.reported_as, item.cluster, item.question, item.truth, media=media)
    if isinstance(reply, UserError):
        return replace(asked, error=str(reply))
    answered = replace(
        asked,
        prompt=reply.prompt,
        answer=reply.text,
        visual_tokens=reply.visual_tokens,
        seconds=round(reply.seconds, 3),
        finish_reason=reply.finish_reason,
        for_judge=task.judged(item, reply.text) is not None,
        frames_s=[[round(time, 3) for time in times] for times in reply.frames_s],
    )
    return scored(answered, task.score(item, reply.text), known=bool(item.truths))


def scored(answered: Record, found: Score, known: bool = True, judged: bool = False) -> Record:
    """The record with a score; known: whether the truth is public."""
    score = found.score if known else None
    return replace(answered, parsed=found.parsed, score=score, also=found.also if known else {}, judged=judged)


class Log:
    """The file of one row. A half-written last line is dropped; of two lines for one question the later counts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: dict[str, Record] = {}
        for number, line in enumerate(whole_lines(path, mend=True), 1):
            found = decode(Record, line, f"{path}:{number}")
            self.records[found.id] = found

    @property
    def done(self) -> set[str]:
        """Ids of the questions that have an answer; those that failed are asked again."""
        return {found.id for found in self.records.values() if found.answered}

    @contextmanager
    def writing(self) -> Iterator["_Writer"]:
        """Appends records, each on the disk before the next."""
        with appending(self.path) as append:
            yield _Writer(self, append)


class _Writer:
    def __init__(self, log: Log, append: Callable[[Any], None]) -> None:
        self._log, self._append = log, append

    def add(self, found: Record) -> None:
        self._log.records[found.id] = found
        self._append(asdict(found))


def log_path(out: Path, row: str, shard: tuple[int, int] | None = None) -> Path:
    """Where a row of a run is logged; each shard has a file of its own."""
    part = f".{shard[0]}-of-{shard[1]}" if shard else ""
    return out / "answers" / f"{row}{part}.jsonl"


def read_row(out: Path, row: str) -> dict[str, Record]:
    """All records of a row, whichever shards answered them. An answer counts more than a failure elsewhere."""
    whole = log_path(out, row)
    records: dict[str, Record] = {}
    for path in [whole, *sorted(whole.parent.glob(f"{row}.*-of-*.jsonl"))]:
        found = {}
        for number, line in enumerate(whole_lines(path), 1):
            one = decode(Record, line, f"{path}:{number}")
            found[one.id] = one
        records |= {id_: one for id_, one in found.items() if one.answered or id_ not in records}
    return records
