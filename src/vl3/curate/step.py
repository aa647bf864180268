"""What a step is: columns in, columns and reasons to drop out.

A step is one file in `vl3.curate.steps`: a config class and a function from that config to a `RowStep` or a `PoolStep`.
A row step sees some hundred rows at a time, on any worker, and loads what it needs (a model, say) once per worker. A
pool step sees the whole pool once and is for what rows have to do with each other.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from vl3.errors import UserError
from vl3.media.info import Kind

Rows = dict[str, list[Any]]
"""Values by column, all lists of one length: those of a step's inputs, and `id`."""

Type = Literal["string", "bool", "int32", "int64", "float32", "float64", "binary", "list<float32>", "list<string>"]
"""Column types, in Arrow's words."""


@dataclass(frozen=True)
class Found:
    """What a step says of the rows that it was given."""

    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """A value for each row, in the step's output columns; None where there is none."""
    reasons: Sequence[str | None] = ()
    """Why each row is dropped, None to keep it; empty keeps all. What comes before ": " is counted, so let it be one
    of few phrases."""
    parents: Sequence[int] | None = None
    """Of a step that makes several rows of one (shots of a video): the place of the row that each row found came from,
    ascending; it gets that row's other columns. A row that no one came from is dropped, with the reason `childless`."""
    childless: str = "nothing found in it"


@dataclass(frozen=True)
class Place:
    """Where a step works."""

    output: Path
    """The run's folder."""
    folder: Path
    """The step's own folder, for what it writes beside its rows."""
    opened: frozenset[Kind] = frozenset()
    """Kinds of media of which a step before has opened all that are left."""


@dataclass(frozen=True)
class RowStep:
    """A step whose rows have nothing to do with each other."""

    inputs: Sequence[str]
    """Columns that it reads."""
    outputs: Mapping[str, Type]
    """Columns that it writes. One that exists already keeps its value in rows that the step does not see."""
    start: Callable[[Place], Callable[[Rows], Found]]
    """Called once in each worker, where models are loaded; what it returns is called for each batch of rows."""
    only: Kind | None = None
    """Rows of the other kind of media pass by untouched."""
    notes: Callable[[Place], Sequence[str]] = lambda _place: ()
    """Called once when the step is finished: lines to tell with its counts, such as what it has cost."""
    files: Callable[[], Sequence[Path]] = lambda: ()
    """Called once in a run: files and folders that its settings name; the step is done again when they change."""
    ready: Callable[[Mapping[str, Type]], None] = lambda _columns: None
    """Called before the first step of a run works, with the types of the columns that there will be: UserError for
    settings that cannot work then, or for something that is missing on this machine."""
    heavy: bool = False
    """Whether it holds a model (or a crowd of connections): one worker is the default then, not one per processor."""


class Pool(Protocol):
    """The rows of a pool that are still kept, in order."""

    def __len__(self) -> int: ...

    def read(self, columns: Sequence[str]) -> Rows:
        """Whole columns, in memory: for what is small."""

    def batches(self, columns: Sequence[str]) -> Iterator[Rows]:
        """The same, some hundred rows at a time."""


@dataclass(frozen=True)
class PoolStep:
    """A step that compares rows with each other."""

    inputs: Sequence[str]
    """Columns that it reads."""
    outputs: Mapping[str, Type]
    """Columns that it writes."""
    run: Callable[[Pool, Place], Found]
    """Called once; a value or reason for each kept row of `only`, in order, and no `parents`."""
    only: Kind | None = None
    """Rows of the other kind of media pass by untouched."""
    files: Callable[[], Sequence[Path]] = lambda: ()
    """Called once in a run: files and folders that its settings name; the step is done again when they change."""
    ready: Callable[[Mapping[str, Type]], None] = lambda _columns: None
    """Called before the first step of a run works, with the types of the columns that there will be: UserError for
    settings that cannot work then, or for something that is missing on this machine."""


Step = RowStep | PoolStep


def plain(function: Callable[[Rows], Found]) -> Callable[[Place], Callable[[Rows], Found]]:
    """The `start` of a step that needs no preparation."""
    return lambda _place: function


WORDS: Sequence[Type] = ("string",)
NUMBERS: Sequence[Type] = ("int32", "int64", "float32", "float64")


def refuse_column(columns: Mapping[str, Type], column: str, setting: str, types: Sequence[Type]) -> None:
    """UserError if a setting names a column of another type than these."""
    if columns[column] not in types:
        found, wanted = columns[column], " or ".join(types)
        raise UserError(f"{setting}: the column {column!r} holds {found}; name one that holds {wanted}")
