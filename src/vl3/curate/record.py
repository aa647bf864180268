"""What is written down of a step's work: step.json in its folder, by which a later run knows what it need not do again.

It holds the fingerprint of all that the step depends on, the digest of the rows that it was given and, when it is
finished, what came of it, the sizes of its files and the digest of their content. A folder whose step.json or files
were damaged is not finished.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vl3.errors import UserError


@dataclass(frozen=True)
class Outcome:
    """What a step did."""

    name: str
    folder: Path
    rows: int = 0
    """Rows after it, dropped ones included."""
    kept: int = 0
    """Rows that no step has dropped so far."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Rows that it dropped, by reason."""
    notes: list[str] = field(default_factory=list)
    """What the step says of itself."""
    seconds: float = 0.0
    """How long the run that finished it worked on it."""
    digest: str = ""
    """Of all its rows."""
    reused: bool = False
    """Whether it was finished by an earlier run."""


@dataclass(frozen=True)
class Record:
    """A step.json."""

    fingerprint: str
    """Of all that the step depends on."""
    before: str
    """Digest of the rows of the step before; empty for the raw pool."""
    outcome: Mapping[str, Any] | None = None
    """An Outcome without its name, folder and `reused`; None while the step is at work."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Bytes of its Parquet files."""


def parts_of(folder: Path) -> list[Path]:
    """The finished Parquet files of a step, in order."""
    return sorted(folder.glob("part-*.parquet"))


def finished_steps(output: Path) -> list[Outcome]:
    """What the steps of a run's folder did, the raw pool first, as long as each is finished and worked on what the one
    before it holds now. UserError if there is none."""
    outcomes: list[Outcome] = []
    for folder in sorted((output / "steps").glob("[0-9][0-9]_*")):
        outcome, record = finished(folder), read_record(folder)
        if outcome is None or record is None or record.before != (outcomes[-1].digest if outcomes else ""):
            break
        outcomes.append(outcome)
    if not outcomes:
        raise UserError(f"{output}: holds no finished step of a run of vl3 curate")
    return outcomes


def finished(folder: Path) -> Outcome | None:
    """What the step did whose folder this is; None if it is not finished, or its files are not those that it wrote."""
    record = read_record(folder)
    if record is None or record.outcome is None or record.sizes != _sizes(folder):
        return None
    try:
        return Outcome(folder.name.partition("_")[2], folder, reused=True, **record.outcome)
    except TypeError:
        return None


def read_record(folder: Path) -> Record | None:
    """A folder's step.json; None if there is none, or a damaged one."""
    try:
        return Record(**json.loads((folder / "step.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_record(folder: Path, fingerprint: str, before: str, outcome: Outcome | None = None) -> None:
    """Says whose work a folder holds and, when it is finished, what came of it."""
    said, sizes = None, {}
    if outcome is not None:
        said = {key: value for key, value in asdict(outcome).items() if key not in ("name", "folder", "reused")}
        sizes = _sizes(folder)
    unfinished = folder / "step.json.unfinished"
    unfinished.write_text(json.dumps(asdict(Record(fingerprint, before, said, sizes)), indent=1), encoding="utf-8")
    unfinished.replace(folder / "step.json")


def digest_of(folder: Path) -> str:
    """Of the content of a step's Parquet files."""
    whole = hashlib.sha256()
    for part in parts_of(folder):
        with part.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:16]


def _sizes(folder: Path) -> dict[str, int]:
    return {part.name: part.stat().st_size for part in parts_of(folder)}
