"""Rows as Parquet: what every row has, and how a step's findings are laid beside them.

A dropped row stays, with `dropped_by` and `drop_reason`, so that reports can count and show it.
"""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vl3.curate.step import Found, Rows, Type
from vl3.errors import UserError
from vl3.media.info import Kind

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS: dict[str, Type] = {
    "id": "string",
    "given_id": "string",
    "source": "string",
    "licence": "string",
    "kind": "string",
    "url": "string",
    "path": "string",
    "offset": "int64",
    "size": "int64",
    "start_s": "float64",
    "end_s": "float64",
    "text": "string",
    "label": "string",
    "dropped_by": "string",
    "drop_reason": "string",
}
"""Columns of the raw pool. `given_id` is what a table or archive itself calls the row. Media lie at `path`, the whole
file or `size` bytes from `offset` (in an archive); `url` is where they are fetched from; a row may be the part of a
video from `start_s` up to `end_s`, in seconds."""


def arrow() -> Any:
    """pyarrow, or a UserError that says how to get it."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UserError("curation needs the curate extra: pip install 'vl3[curate]'") from error
    return pyarrow


def arrow_type(name: Type) -> Any:
    """The Arrow type of that name."""
    pa = arrow()
    if name.startswith("list<"):
        return pa.list_(pa.type_for_alias(name.removeprefix("list<").removesuffix(">")))
    return pa.type_for_alias(name)


def read_part(path: Path, columns: Sequence[str] | None = None) -> "pa.Table":
    """One Parquet file, or some of its columns."""
    pq = arrow().parquet
    return pq.read_table(path, columns=list(columns) if columns is not None else None)


def write_part(path: Path, table: "pa.Table") -> None:
    """Writes a Parquet file whole or not at all."""
    unfinished = path.with_name(path.name + ".unfinished")
    arrow().parquet.write_table(table, unfinished, compression="zstd")
    os.replace(unfinished, path)


def table_of(rows: Rows, types: dict[str, Type]) -> "pa.Table":
    """Columns of given types; those that `rows` lacks are empty."""
    pa = arrow()
    length = len(next(iter(rows.values())))
    nothing = [None] * length
    return pa.table({name: pa.array(rows.get(name, nothing), arrow_type(kind)) for name, kind in types.items()})


def seen(table: "pa.Table", only: Kind | None) -> list[int]:
    """Places of the rows that a step sees: kept so far, and of its kind of media."""
    dropped, kinds = table["dropped_by"].to_pylist(), table["kind"].to_pylist()
    pairs = enumerate(zip(dropped, kinds, strict=True))
    return [place for place, (by, kind) in pairs if by is None and only in (None, kind)]


def rows_of(table: "pa.Table", columns: Sequence[str], places: Sequence[int]) -> Rows:
    """The values of some rows, `id` among them."""
    if missing := [name for name in columns if name not in table.column_names]:
        raise UserError(f"no column {missing[0]!r} yet: a step that makes it must come before (docs/curation.md)")
    some = table.select(list(dict.fromkeys(["id", *columns]))).take(arrow().array(places, "int64"))
    return {name: some[name].to_pylist() for name in some.column_names}


def apply(table: "pa.Table", places: Sequence[int], found: Found, name: str, outputs: dict[str, Type]) -> "pa.Table":
    """`table` with what the step `name` found of the rows at `places`."""
    if found.parents is not None:
        table, places, found = _multiplied(table, places, found)
    pa = arrow()
    for column, values in found.columns.items():
        assert column in outputs, f"step {name} does not declare its column {column}"
        assert len(values) == len(places), f"step {name}: {len(values)} values of {column} for {len(places)} rows"
    for column, kind in outputs.items():
        given = table[column].to_pylist() if column in table.column_names else [None] * len(table)
        for place, value in zip(places, found.columns.get(column, [None] * len(places)), strict=True):
            given[place] = value
        table = _with(table, column, pa.array(given, arrow_type(kind)))
    if found.reasons:
        by, why = table["dropped_by"].to_pylist(), table["drop_reason"].to_pylist()
        for place, reason in zip(places, found.reasons, strict=True):
            if reason is not None:
                by[place], why[place] = name, reason
        table = _with(table, "dropped_by", pa.array(by, pa.string()))
        table = _with(table, "drop_reason", pa.array(why, pa.string()))
    return table


def counts(table: "pa.Table", name: str) -> dict[str, Any]:
    """What a step did to these rows: how many there are, are kept, and were dropped by it for which reason."""
    by, why = table["dropped_by"].to_pylist(), table["drop_reason"].to_pylist()
    reasons = Counter(str(w).partition(": ")[0] for b, w in zip(by, why, strict=True) if b == name)
    return {"rows": len(by), "kept": sum(b is None for b in by), "reasons": dict(reasons)}


def _with(table: "pa.Table", column: str, values: Any) -> "pa.Table":
    if column in table.column_names:
        return table.set_column(table.column_names.index(column), column, values)
    return table.append_column(column, values)


def _multiplied(table: "pa.Table", places: Sequence[int], found: Found) -> tuple["pa.Table", list[int], Found]:
    """One row for each that was found, ids numbered; rows that nothing came from stay and are dropped."""
    assert found.parents is not None
    pa = arrow()
    children: dict[int, list[int]] = {}
    for child, parent in enumerate(found.parents):
        children.setdefault(places[parent], []).append(child)
    touched = set(places)
    order: list[int] = []
    ids: list[str] = []
    new_places: list[int] = []
    which: list[int | None] = []
    for place, name in enumerate(table["id"].to_pylist()):
        own = children.get(place)
        if place in touched:
            new_places += range(len(order), len(order) + max(1, len(own or ())))
            which += own or [None]
        order += [place] * max(1, len(own or ()))
        ids += [f"{name}.{number}" for number in range(len(own))] if own else [name]
    reasons = [found.childless if c is None else found.reasons[c] if found.reasons else None for c in which]
    columns = {name: [None if c is None else values[c] for c in which] for name, values in found.columns.items()}
    return (
        _with(table.take(pa.array(order, pa.int64())), "id", pa.array(ids, pa.string())),
        new_places,
        Found(columns, reasons),
    )
