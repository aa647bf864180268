"""The raw pool: folders, tables and archives, read into rows.

Nothing is decoded or downloaded here. Media inside tables are written to OUTPUT/media; those in archives stay there.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from vl3.curate.archives import tar_rows
from vl3.curate.config import CurateConfig, SourceConfig
from vl3.curate.folders import Files, files_of, folder_rows, told_counts
from vl3.curate.raw import Row
from vl3.curate.rows import COLUMNS, table_of, write_part
from vl3.curate.step import Place
from vl3.curate.tables import table_rows
from vl3.errors import UserError
from vl3.log import logger


def manifest(config: CurateConfig) -> dict[str, Any]:
    """What the rows of the raw pool depend on: settings, and names, sizes and times of all files. UserError for a
    source that is missing."""
    output = Path(config.output)
    return {
        "part_rows": config.part_rows,
        "columns": list(COLUMNS),
        "sources": [
            {"config": repr(source), "files": _listing(files_of(source, output).read)} for source in config.sources
        ],
    }


def _listing(files: tuple[Path, ...]) -> str:
    """A digest of names, sizes and times."""
    digest = hashlib.sha256()
    for file in files:
        try:
            stat = file.stat()
            facts = f"{stat.st_size}\0{stat.st_mtime_ns}"
        except OSError:  # a link to nothing: its row will be dropped
            facts = "gone"
        digest.update(f"{file}\0{facts}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def write(config: CurateConfig, place: Place, on_rows: Callable[[int], None]) -> None:
    """Reads all sources and writes their rows in files of `part_rows`; tells how many rows there are so far."""
    for part in place.folder.glob("part-*"):
        part.unlink()
    pending: list[Row] = []
    number = 0
    for row in _all_rows(config, place):
        pending.append(row)
        if len(pending) == config.part_rows:
            _flush(place, number, pending)
            number, pending = number + 1, []
            on_rows(number * config.part_rows)
    if pending:
        _flush(place, number, pending)


def _flush(place: Place, number: int, rows: list[Row]) -> None:
    columns = {name: [row.get(name) for row in rows] for name in COLUMNS}
    write_part(place.folder / f"part-{number:05d}.parquet", table_of(columns, COLUMNS))


def _all_rows(config: CurateConfig, place: Place) -> Iterator[Row]:
    names: set[str] = set()
    for source in config.sources:
        name = source.name or re.sub(r"[^\w.-]+", "_", Path(source.path).stem) or "pool"
        if name in names:
            raise UserError(f"sources: two are called {name!r}; give them names")
        names.add(name)
        number = 0
        for row in _rows(source, place):
            if number == source.limit:
                break
            yield {"licence": source.licence, **row, "id": f"{name}-{number:08d}", "source": name}
            number += 1
        if number == 0:
            raise UserError(f"{source.path}: holds no rows")


def _rows(source: SourceConfig, place: Place) -> Iterator[Row]:
    """The rows of one source; one that cannot be understood comes dropped, with the reason."""
    files: Files = files_of(source, place.output)
    if files.unread:
        logger.warning("%s: nothing reads %s", source.path, told_counts(files.unread))
    if not files.suffix:
        yield from folder_rows(source, files.read)
        return
    root = Path(source.root or (source.path if Path(source.path).is_dir() else Path(source.path).parent)).absolute()
    for file in files.read:
        if not file.is_file():
            raise UserError(f"{file}: no regular file, or a link to nothing")
        yield from tar_rows(source, file) if files.suffix == ".tar" else table_rows(source, file, root, place)
