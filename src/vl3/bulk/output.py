"""The file of answers: one JSON line each, written as soon as it is there, and gone on with after a stop.

OUT.settings.json beside it says what was asked of whom, so that answers of two models never end up in one file.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from vl3.bulk.source import Key, Question, Source
from vl3.config import read_json
from vl3.errors import UserError
from vl3.lines import whole_lines

NOT_COMPARED = "model"
"""The setting that only people read: one model may have several names."""

SURROGATES = "backslashreplace"
"""Half of a surrogate pair, as broken JSON escapes give it, is written as the escape that it was read from."""


@dataclass(frozen=True)
class Known:
    """What a line of the file says of its question."""

    digest: str
    failed: bool


class Output:
    """An open file of answers."""

    def __init__(self, path: Path, file: IO[str]) -> None:
        self.path = path
        self._file = file
        self.known: dict[Key, Known] = {}
        """The questions that have a line."""
        for number, line in enumerate(whole_lines(path, mend=True), 1):
            key, known = _known(line, f"{path}:{number}")
            self.known[key] = known

    def add(self, question: Question, found: Mapping[str, Any]) -> None:
        """Writes what was found; a kill after that cannot lose it."""
        record: dict[str, Any] = {"line" if isinstance(question.place, int) else "file": question.place}
        if question.number is not None:
            record["question"] = question.number
        if question.id is not None:
            record["id"] = question.id
        record |= {**found, "digest": question.digest}
        self._file.write(json.dumps(record, ensure_ascii=False) + "\n")
        self._file.flush()
        self.known[question.key] = Known(question.digest, "error" in found)

    def check(self, source: Source) -> None:
        """UserError when it holds lines about other questions than the source's."""
        missing = set(self.known)
        for question in source():
            known = self.known.get(question.key)
            if known is not None and known.digest != question.digest:
                raise UserError(
                    f"{self.path}: holds an answer to what {question.where} asked before it was changed; "
                    "give another file with -o"
                )
            missing.discard(question.key)
        if missing:
            place = min(missing, key=str)[0]
            raise UserError(
                f"{self.path}: holds answers to {len(missing)} questions that are not asked here (the first: "
                f"{place if isinstance(place, str) else f'line {place}'}); give another file with -o"
            )

    def forget_failures(self) -> int:
        """Drops the lines of what failed, so that it is asked again; how many."""
        failed = {key for key, known in self.known.items() if known.failed}
        if failed:
            draft = self.path.with_name(self.path.name + ".tmp")
            kept = [line for line in whole_lines(self.path) if _known(line, str(self.path))[0] not in failed]
            self._file.flush()
            with draft.open("w", encoding="utf-8", errors=SURROGATES) as file:
                file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in kept)
            renewed = _append(draft)
            _lock(renewed, self.path)  # before it takes the place of the one that is locked now
            draft.replace(self.path)
            self._file.close()
            self._file = renewed
            self.known = {key: known for key, known in self.known.items() if key not in failed}
        return len(failed)

    def close(self) -> None:
        """Closes the file, which unlocks it."""
        self._file.close()


def _append(path: Path) -> IO[str]:
    return path.open("a", encoding="utf-8", errors=SURROGATES)


@contextmanager
def opened(path: Path, settings: Mapping[str, Any]) -> Iterator[Output]:
    """Opens a file of answers to begin or to go on with, for this process alone.

    UserError when it holds answers that were given under other settings, or when another process writes to it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _append(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error
    try:
        _lock(file, path)
        _check_settings(path, settings)
        output = Output(path, file)
    except UserError:
        file.close()
        raise
    try:
        yield output
    finally:
        output.close()


def settings_path(path: Path) -> Path:
    """Where the settings of a file of answers are."""
    return path.with_name(path.name + ".settings.json")


def _check_settings(path: Path, settings: Mapping[str, Any]) -> None:
    said = settings_path(path)
    settings = json.loads(json.dumps(settings))
    if path.stat().st_size == 0:  # nothing answered yet
        draft = said.with_name(said.name + ".tmp")
        draft.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
        draft.replace(said)
        return
    if not said.exists():
        raise UserError(f"{path}: not a file that vl3 run wrote (no {said.name} beside it); give another with -o")
    before = read_json(said)
    other = sorted(key for key in {*before, *settings} - {NOT_COMPARED} if before.get(key) != settings.get(key))
    if other:
        raise UserError(
            f"{path}: holds answers of a run of other settings ({', '.join(other)}); give another file with -o, "
            "or delete this one"
        )


def _known(line: Any, where: str) -> tuple[Key, Known]:
    place = line.get("line", line.get("file")) if isinstance(line, dict) else None
    if place is None or not isinstance(line.get("digest"), str):
        raise UserError(f"{where}: not a line of vl3 run; give another file with -o")
    return (place, line.get("question") or 1), Known(line["digest"], "error" in line)


def _lock(file: IO[str], path: Path) -> None:
    """Two processes that write to one file would answer everything twice. (On Windows nothing is locked.)"""
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise UserError(f"{path}: another process is writing to it; give each shard a file of its own") from error
