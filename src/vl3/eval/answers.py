"""The log of one row of a run: one JSON line for each question, written as soon as it is answered."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from vl3.config import decode
from vl3.errors import UserError
from vl3.eval.task import Item, Task


@dataclass(frozen=True)
class Reply:
    """What an answerer says to one question."""

    text: str
    prompt: str = ""
    """The prompt's text, `<image>` standing for a picture's or frame's tokens."""
    visual_tokens: int = 0
    seconds: float = 0.0
    finish_reason: str = "stop"


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
    """None if the question failed."""
    also: dict[str, float] = field(default_factory=dict)
    visual_tokens: int = 0
    seconds: float = 0.0
    finish_reason: str = "failed"
    error: str | None = None
    """Why there is no answer."""


def record(task: Task, item: Item, reply: Reply | UserError) -> Record:
    """Scores a reply; a failure has no score."""
    asked = Record(item.id, item.reported_as, item.cluster, item.question, item.truth)
    if isinstance(reply, UserError):
        return replace(asked, error=str(reply))
    found = task.score(item, reply.text)
    return replace(
        asked,
        prompt=reply.prompt,
        answer=reply.text,
        parsed=found.parsed,
        score=found.score,
        also=found.also,
        visual_tokens=reply.visual_tokens,
        seconds=round(reply.seconds, 3),
        finish_reason=reply.finish_reason,
    )


class Log:
    """The file of one row. A half-written last line is dropped; of two lines for one question the later counts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: dict[str, Record] = {}
        if not path.exists():
            return
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):  # the run was killed while it wrote
            with path.open("r+b") as file:
                file.truncate(len(whole))
        for number, line in enumerate(whole.decode("utf-8").splitlines(), 1):
            found = decode(Record, _json(line, f"{path}:{number}"), f"{path}:{number}")
            self.records[found.id] = found

    @property
    def done(self) -> set[str]:
        """Ids of the questions that have an answer; those that failed are asked again."""
        return {found.id for found in self.records.values() if found.error is None}

    @contextmanager
    def writing(self) -> Iterator["_Writer"]:
        """Appends records, each on the disk before the next."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            yield _Writer(self, file)


class _Writer:
    def __init__(self, log: Log, file: Any) -> None:
        self._log, self._file = log, file

    def add(self, found: Record) -> None:
        self._log.records[found.id] = found
        self._file.write(json.dumps(asdict(found), ensure_ascii=False) + "\n")
        self._file.flush()


def _json(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: not a line of an evaluation's log; give another folder with -o") from error
