"""The raw pool: folders, tables and archives, read into rows.

Nothing is decoded or downloaded here. Media inside tables are written to OUTPUT/media; those in archives stay there.
"""

import csv
import hashlib
import json
import os
import re
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from vl3.curate.config import CurateConfig, SourceConfig
from vl3.curate.media import keep
from vl3.curate.rows import COLUMNS, arrow, table_of, write_part
from vl3.curate.step import Place
from vl3.errors import UserError
from vl3.media.source import FRAME_SUFFIXES, natural_key

VIDEO_SUFFIXES = {
    ".mp4",
    ".mkv",
    ".webm",
    ".mov",
    ".avi",
    ".m4v",
    ".mpg",
    ".mpeg",
    ".ts",
    ".flv",
    ".wmv",
    ".ogv",
    ".3gp",
}
MEDIA_COLUMNS = ("url", "image", "image_path", "video", "path", "file", "file_name")
TEXT_COLUMNS = ("text", "caption", "alt", "alt_text")
LICENCE_COLUMNS = ("licence", "license")

Row = dict[str, Any]


def manifest(config: CurateConfig) -> dict[str, Any]:
    """What the rows of the raw pool depend on: settings, and names, sizes and times of all files. UserError for a
    source that is missing."""
    return {
        "part_rows": config.part_rows,
        "sources": [{"config": repr(source), "files": _listing(files_of(source))} for source in config.sources],
    }


def _listing(files: list[Path]) -> str:
    """A digest of names, sizes and times."""
    digest = hashlib.sha256()
    for file in files:
        stat = file.stat()
        digest.update(f"{file}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def files_of(source: SourceConfig) -> list[Path]:
    """The files that a source consists of, in order: a table, archives, or the media of a folder and their captions."""
    path = Path(source.path)
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    if path.is_file():
        if path.suffix.lower() not in _READERS:
            raise UserError(f"{path}: a source is a folder, or a {', '.join(_READERS)} file")
        return [path]
    found = [Path(folder) / name for folder, _, names in os.walk(path, followlinks=True) for name in names]
    for suffix in (".tar", ".parquet"):  # a folder of shards
        if shards := sorted((file for file in found if file.suffix.lower() == suffix), key=str):
            return shards
    media = sorted((file for file in found if _is_medium(file) or file.suffix == ".txt"), key=str)
    if not any(_is_medium(file) for file in media):
        raise UserError(f"{path}: holds no images, videos, .tar or .parquet files")
    return media


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
    elif number == 0:
        raise UserError("the sources hold no rows")


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
        for number, row in enumerate(_rows(source, place)):
            if number == source.limit:
                break
            yield {"licence": source.licence, **row, "id": f"{name}-{number:08d}", "source": name}


def _rows(source: SourceConfig, place: Place) -> Iterator[Row]:
    """The rows of one source; one that cannot be understood comes dropped, with the reason."""
    files = files_of(source)
    suffix = files[0].suffix.lower()
    if suffix not in _READERS:
        yield from _folder_rows(files)
        return
    if suffix == ".tar":
        for file in files:
            yield from _tar_rows(file)
        return
    root = Path(source.root or (source.path if Path(source.path).is_dir() else Path(source.path).parent)).absolute()
    for file in files:
        for where, record in _READERS[suffix](file):
            yield _dropped(where, record) if isinstance(record, str) else _table_row(source, record, where, root, place)


def _dropped(where: str, why: str) -> Row:
    return {"kind": "image", "dropped_by": "source", "drop_reason": f"not a row: {where}: {why}"}


# -------------------------------------------------------------------------------------------------------------- folders


def _is_medium(file: Path) -> bool:
    return file.suffix.lower() in FRAME_SUFFIXES | VIDEO_SUFFIXES


def kind_of(name: str) -> str:
    """image or video, by the ending of a path or URL."""
    return "video" if Path(name.partition("?")[0]).suffix.lower() in VIDEO_SUFFIXES else "image"


def _folder_rows(files: list[Path]) -> Iterator[Row]:
    """Media, with what a .txt file beside them says."""
    captions = {file.with_suffix("") for file in files if file.suffix == ".txt"}
    for file in sorted(
        (file for file in files if _is_medium(file)), key=lambda file: (str(file.parent), natural_key(file))
    ):
        text = None
        if file.with_suffix("") in captions:
            text = file.with_suffix(".txt").read_text(encoding="utf-8", errors="replace").strip()
        yield {"kind": kind_of(file.name), "path": str(file.absolute()), "text": text}


# --------------------------------------------------------------------------------------------------------------- tables

Records = Iterator[tuple[str, Mapping[str, Any] | str]]
"""Where it stands and what it says, or why it says nothing."""


def _jsonl(file: Path) -> Records:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            where = f"{file}:{number}"
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield where, f"not valid JSON: {error}"
                continue
            yield where, record if isinstance(record, dict) else "not a JSON object"


def _csv(file: Path) -> Records:
    csv.field_size_limit(sys.maxsize)
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        for number, record in enumerate(csv.DictReader(lines), 2):
            yield f"{file}:{number}", record


def _parquet(file: Path) -> Records:
    try:
        table = arrow().parquet.ParquetFile(file)
    except (OSError, arrow().ArrowInvalid) as error:
        raise UserError(f"{file}: not a readable Parquet file: {error}") from error
    number = 0
    for batch in table.iter_batches(batch_size=64):
        for record in batch.to_pylist():
            yield f"{file}: row {number}", record
            number += 1


def _table_row(source: SourceConfig, record: Mapping[str, Any], where: str, root: Path, place: Place) -> Row:
    medium = _value(record, source.media, MEDIA_COLUMNS)
    if isinstance(medium, list) and len(medium) == 1:  # the form of training data
        medium = medium[0]
    if isinstance(medium, dict):  # an image as Hugging Face datasets embed it
        medium = medium.get("bytes") or medium.get("path")
    if not isinstance(medium, str | bytes) or not medium:
        wanted = source.media or ", ".join(MEDIA_COLUMNS)
        return _dropped(where, f"no path, URL or bytes in {wanted}")
    text, label = _value(record, source.text, TEXT_COLUMNS), record.get(source.label) if source.label else None
    licence = _value(record, None, LICENCE_COLUMNS)
    row: Row = {
        "kind": "video" if record.get("video") == medium else "image",
        "text": text if text is None or isinstance(text, str) else json.dumps(text, default=str),
        "label": None if label is None else str(label),
        **{name: float(at) for name in ("start_s", "end_s") if isinstance(at := record.get(name), int | float)},
    }
    if licence:
        row["licence"] = str(licence)
    if isinstance(medium, bytes):
        return {**row, "path": str(keep(place.output, medium))}
    row["kind"] = kind_of(medium)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", medium):
        return {**row, "url": medium}
    return {**row, "path": str(root / medium)}


def _value(record: Mapping[str, Any], name: str | None, usual: tuple[str, ...]) -> Any:
    """The named column, else the first of the usual ones that says something."""
    if name is not None:
        return record.get(name)
    return next((record[key] for key in usual if record.get(key)), None)


# ------------------------------------------------------------------------------------------------------------- archives


def _tar_rows(file: Path) -> Iterator[Row]:
    """WebDataset: files of one name up to the first dot belong together, and lie next to each other."""
    try:
        with tarfile.open(file, "r:") as archive:
            before = ""
            group: dict[str, tarfile.TarInfo] = {}
            for member in archive:
                if not member.isfile():
                    continue
                folder, slash, base = member.name.rpartition("/")
                stem, _, ending = base.partition(".")
                if (key := folder + slash + stem) != before:
                    if group:
                        yield _group_row(file, archive, before, group)
                    before, group = key, {}
                group[ending.lower()] = member
            if group:
                yield _group_row(file, archive, before, group)
    except (tarfile.TarError, OSError) as error:
        raise UserError(f"{file}: not a readable, uncompressed tar file: {error}") from error


def _group_row(file: Path, archive: tarfile.TarFile, key: str, group: dict[str, tarfile.TarInfo]) -> Row:
    def text_of(ending: str) -> str:
        member = archive.extractfile(group[ending])
        assert member is not None
        return member.read().decode("utf-8", "replace")

    where = f"{file}: {key}"
    medium = next((group[ending] for ending in group if _is_medium(Path(f"a.{ending}"))), None)
    if medium is None:
        return _dropped(where, f"no image or video among {', '.join(group)}")
    said: Mapping[str, Any] = {}
    if "json" in group:
        try:
            said = json.loads(text_of("json"))
        except ValueError as error:
            return _dropped(where, f"its .json is not valid: {error}")
        said = said if isinstance(said, dict) else {}
    text = text_of("txt").strip() if "txt" in group else _value(said, None, TEXT_COLUMNS)
    licence = _value(said, None, LICENCE_COLUMNS)
    row: Row = {
        "kind": kind_of(medium.name),
        "path": str(file.absolute()),
        "offset": medium.offset_data,
        "size": medium.size,
        "text": None if text is None else str(text),
    }
    return {**row, "licence": str(licence)} if licence else row


_READERS: dict[str, Callable[[Path], Records]] = {
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".parquet": _parquet,
    ".tar": lambda _file: iter(()),
}
