"""Tables, read into rows. Media that they hold are written to OUTPUT/media."""

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from vl3.curate.config import SourceConfig
from vl3.curate.media import keep
from vl3.curate.raw import (
    MEDIA_COLUMNS,
    USUAL,
    Row,
    by_name,
    check_columns,
    dropped,
    is_text,
    kind_of,
    sound,
    times_of,
    value_of,
    words_of,
)
from vl3.curate.rows import arrow
from vl3.curate.step import Place
from vl3.errors import UserError

MAX_FIELD = 1 << 20
"""Longest field of a .csv file, in characters; a quote that is not closed makes one of all that follows."""

Records = Iterator[tuple[str, Mapping[str, Any] | str]]
"""Where it stands and what it says, or why it says nothing."""


def table_rows(source: SourceConfig, file: Path, root: Path, place: Place) -> Iterator[Row]:
    """The rows of a table; root: where relative paths start. UserError for one that cannot be read, or that has none
    of the columns that are looked for."""
    columns, records = read_table(file, USUAL | {name for name in (source.media, source.text, source.label) if name})
    if columns is not None:
        check_columns(source, file, columns)
    names: dict[str, None] = {}
    for where, record in islice(records, source.limit):
        if isinstance(record, str):
            yield dropped(where, record)
        else:
            names |= dict.fromkeys(record)
            yield sound(where, _row(source, by_name(record), where, root, place))
    if columns is None and names:
        check_columns(source, file, list(names))


class Medium(NamedTuple):
    """What a row has for its image or video."""

    column: str
    data: str | bytes
    """A path, a URL, or the file itself."""
    name: str
    """Of the file, as far as it is known."""


def _row(source: SourceConfig, record: Mapping[str, Any], where: str, root: Path, place: Place) -> Row:
    medium = _medium(source, record)
    if isinstance(medium, str):
        return dropped(where, medium)
    row = words_of(source, record)
    row["kind"] = "video" if medium.column.lower().startswith("video") else kind_of(medium.name)
    try:
        row |= times_of(record) if row["kind"] == "video" else {}
    except ValueError as error:
        return dropped(where, str(error))
    if isinstance(medium.data, bytes):
        return {**row, "path": str(keep(place.output, medium.data))}
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", medium.data):
        return {**row, "url": medium.data}
    return {**row, "path": str(root / medium.data)}


def _medium(source: SourceConfig, record: Mapping[str, Any]) -> Medium | str:
    """The first there is, but bytes before all that would have to be looked for; or why there is none."""
    found: list[Medium] = []
    wanted = (source.media,) if source.media else MEDIA_COLUMNS
    why = f"no path, URL or bytes in {', '.join(wanted)}"
    for column in wanted:
        value, name = value_of(record, column), ""
        if isinstance(value, list):  # the form of training data
            if len(value) > 1:
                why = f"{len(value)} media in {column}; a row has one"
            value = value[0] if len(value) == 1 else None
        if isinstance(value, dict):  # as Hugging Face datasets embed it
            name = str(value.get("path") or "")
            value = value.get("bytes") or name
        if value and isinstance(value, str | bytes):
            found.append(Medium(column, value, value if isinstance(value, str) else name))
    return next((medium for medium in found if isinstance(medium.data, bytes)), found[0] if found else why)


# -------------------------------------------------------------------------------------------------------------- readers


def read_table(file: Path, wanted: set[str]) -> tuple[Sequence[str] | None, Records]:
    """(the columns, None where each row has its own; the rows). wanted: the columns that need to be read, in small
    letters or as they are."""
    try:
        columns, records = READERS[file.suffix.lower()](file, wanted)
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror or error}") from error
    return columns, _told(file, records)


def _told(file: Path, records: Records) -> Records:
    try:
        yield from records
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror or error}") from error


def _jsonl(file: Path, _wanted: set[str]) -> tuple[None, Records]:
    def records() -> Records:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                where = f"{file}:{number}"
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError) as error:
                    yield where, f"not valid JSON: {error}"
                    continue
                yield where, record if isinstance(record, dict) else "not a JSON object"

    return None, records()


def _csv(file: Path, _wanted: set[str]) -> tuple[Sequence[str], Records]:
    lines = _csv_lines(file)
    _, header = next(lines, (0, None))
    if header is None:
        raise UserError(f"{file}: holds no rows")
    if not all(is_text(name) and "\0" not in name for name in header):
        raise UserError(
            f"{file}: is not UTF-8; convert it: iconv -f ENCODING -t UTF-8 (UTF-16 and LATIN1 are frequent)"
        )

    def records() -> Records:
        for number, fields in lines:
            if len(fields) > len(header):
                yield f"{file}:{number}", f"{len(fields)} fields, but the header has {len(header)}"
            else:
                yield f"{file}:{number}", dict(zip(header, fields, strict=False))

    return header, records()


def _csv_lines(file: Path) -> Iterator[tuple[int, list[str]]]:
    """The line that a row begins in, and its fields; bytes that are not UTF-8 stay as halves of characters."""
    csv.field_size_limit(MAX_FIELD)
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        reader = csv.reader(lines, strict=True)
        while True:
            begin = reader.line_num + 1
            try:
                fields = next(reader, None)
            except csv.Error as error:
                raise UserError(
                    f"{file}:{begin}: the row that begins here has a quote that is not closed, or a quote inside "
                    f"quotes that is not doubled: {error}"
                ) from error
            if fields is None:
                return
            if fields:
                yield begin, fields


def _parquet(file: Path, wanted: set[str]) -> tuple[Sequence[str], Records]:
    pa = arrow()
    try:
        table = pa.parquet.ParquetFile(file)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{file}: not a readable Parquet file: {error}") from error
    names: list[str] = table.schema_arrow.names
    # others may hold what Python has no value for, or simply much
    read = [name for name in names if name in wanted or name.lower() in {want.lower() for want in wanted}]

    def records() -> Records:
        number = 0
        for group in range(table.num_row_groups):
            end = number + table.metadata.row_group(group).num_rows
            try:
                for batch in table.iter_batches(batch_size=64, row_groups=[group], columns=read):
                    for record in _pylist(batch):
                        yield f"{file}: row {number}", record
                        number += 1
            except (OSError, pa.ArrowException) as error:
                yield f"{file}: rows {number} to {end - 1}", f"the file is damaged there: {error}"
            number = end

    return names, records()


def _pylist(batch: Any) -> list[Mapping[str, Any] | str]:
    """The rows of an Arrow batch; a string that is not UTF-8 costs its row, no other."""
    try:
        return batch.to_pylist()
    except (ValueError, OverflowError) as error:
        if batch.num_rows == 1:
            return [f"a value cannot be read: {error}"]
        return [row for at in range(batch.num_rows) for row in _pylist(batch.slice(at, 1))]


READERS: dict[str, Callable[[Path, set[str]], tuple[Sequence[str] | None, Records]]] = {
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".parquet": _parquet,
}
