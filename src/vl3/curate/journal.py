"""What costly work has said so far, one JSON line for each reply, so that nothing is paid for twice after a kill."""

import hashlib
import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vl3.errors import UserError
from vl3.lines import whole_lines


def fingerprint(*facts: Any) -> str:
    """A key for what decides a reply; facts are plain data, or bytes."""
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False, default=_digest)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:32]


def _digest(fact: Any) -> str:
    if not isinstance(fact, bytes):
        raise TypeError(f"{type(fact).__name__} is no plain data")
    return hashlib.sha256(fact).hexdigest()


@dataclass(frozen=True)
class Entry:
    """A line: a key, what it stands for, and what is kept of the reply."""

    key: str
    value: Mapping[str, Any]


class Journal:
    """A folder with a file for each process that writes; each reads what all have written when it starts."""

    def __init__(self, folder: Path) -> None:
        """UserError if the folder cannot be written, or holds something else."""
        self._known: dict[str, Mapping[str, Any]] = {}
        path = folder / f"{socket.gethostname()}-{os.getpid()}.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for entry in read_journal(folder, mend=path):
                self._known[entry.key] = entry.value
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise UserError(f"{folder}: {error.strerror or error}") from error

    def __contains__(self, key: str) -> bool:
        return key in self._known

    def __getitem__(self, key: str) -> Mapping[str, Any]:
        return self._known[key]

    def __len__(self) -> int:
        return len(self._known)

    def values(self) -> Iterable[Mapping[str, Any]]:
        """What is kept of each reply."""
        return self._known.values()

    def add(self, key: str, value: Mapping[str, Any]) -> None:
        """Keeps a reply; it outlives the process, whatever ends it."""
        self._known[key] = value
        self._file.write(json.dumps({"key": key, **value}) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Ends writing."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_journal(folder: Path, mend: Path | None = None) -> Iterator[Entry]:
    """All entries of a folder. mend: a file whose half-written last line is cut off. UserError for other files."""
    for path in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(whole_lines(path, mend=path == mend), 1):
            if not isinstance(line, dict) or not isinstance(line.get("key"), str):
                raise UserError(f"{path}:{number}: not a line of a journal; delete the file or choose another folder")
            yield Entry(line.pop("key"), line)
