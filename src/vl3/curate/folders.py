"""Which files a source consists of, and the media of folders, read into rows."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vl3.curate.config import SourceConfig
from vl3.curate.output import is_run
from vl3.curate.raw import (
    MAX_TEXT_BYTES,
    USUAL,
    Row,
    by_name,
    check_columns,
    dropped,
    is_medium,
    kind_of,
    sound,
    times_of,
    value_of,
    words_of,
)
from vl3.curate.tables import READERS, read_table
from vl3.errors import UserError
from vl3.media.source import natural_key

METADATA = ("metadata.jsonl", "metadata.csv")
"""Tables that say something of the media beside and below them, by a column `file_name`, as in Hugging Face's
imagefolder."""
SUFFIXES = (*READERS, ".tar")
"""Of tables and archives."""


@dataclass(frozen=True)
class Files:
    """What a source consists of."""

    suffix: str
    """That of its tables or archives; empty for a folder of media."""
    read: tuple[Path, ...]
    """In order: tables, archives, or media with what says something of them."""
    unread: Mapping[str, int]
    """How many others lie in the folder, by suffix."""


def files_of(source: SourceConfig, output: Path) -> Files:
    """Finds them; what a run of curation made of a pool is never part of it. UserError for a source that is missing,
    holds nothing to read, or mixes forms."""
    path = Path(source.path)
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    made = [output / name for name in ("media", "set", "steps")]
    above = [path.resolve(), *path.resolve().parents]
    if path.resolve() == output.resolve() or any(folder.resolve() in above for folder in made):
        raise UserError(f"{path}: lies in the output folder of this run; set output= to a folder of its own")
    if is_run(path):
        raise UserError(f"{path}: is the folder of a run of vl3 curate; a set that it made lies in {path / 'set'}")
    if path.is_dir():
        return _folder(path, output)
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        raise UserError(f"{path}: a source is a folder, or a {', '.join(SUFFIXES)} file")
    return Files(path.suffix.lower(), (path,), {})


def _folder(path: Path, output: Path) -> Files:
    found = sorted(_walk(path, output), key=str)
    media = [file for file in found if is_medium(file.name)]
    tars = [file for file in found if file.suffix.lower() == ".tar"]
    # img2dataset lays a table of what it fetched beside each archive or folder
    owners = {file.with_suffix("") for file in tars} | {file.parent for file in media}
    parquets = [f for f in found if f.suffix.lower() == ".parquet" and f.with_suffix("") not in owners]
    forms = {".tar": tars, ".parquet": parquets, "": media}
    there = {suffix: files for suffix, files in forms.items() if files}
    if len(there) > 1:
        counts = ", ".join(f"{len(files)} {suffix or 'images and videos'}" for suffix, files in there.items())
        raise UserError(
            f"{path}: holds {counts}, but a source is of one form; move them into folders of their own and make each "
            "a source"
        )
    if not there:
        others = _counts(found)
        raise UserError(f"{path}: holds no images, videos, .tar or .parquet files{others and f', only {others}'}")
    (suffix, read), *_ = there.items()
    if not suffix:
        stems = {file.with_suffix("") for file in media}
        told = [f for f in found if f.suffix.lower() == ".txt" and f.with_suffix("") in stems]
        read = [*media, *told, *(file for file in found if file.name in METADATA)]
    return Files(suffix, tuple(read), Counter(_ending(file) for file in set(found) - set(read)))


def _walk(path: Path, output: Path) -> Iterator[Path]:
    """All files below a folder, links followed; each folder is entered once, so that links in a circle end."""

    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename}: the folder cannot be read: {error.strerror}") from error

    entered = {output.resolve()}
    for folder, folders, names in os.walk(path, followlinks=True, onerror=refuse):
        entered.add(Path(folder).resolve())
        new: dict[Path, str] = {}
        for name in sorted(folders):
            below = Path(folder) / name
            if below.resolve() not in entered and not is_run(below):
                new.setdefault(below.resolve(), name)
        entered |= new.keys()
        folders[:] = new.values()
        yield from (Path(folder) / name for name in names)


def _ending(file: Path) -> str:
    return file.suffix.lower() or "files without an ending"


def _counts(files: list[Path]) -> str:
    return told_counts(Counter(_ending(file) for file in files))


def told_counts(counts: Mapping[str, int]) -> str:
    """`3 .json, 1 .csv`."""
    return ", ".join(f"{count} {suffix}" for suffix, count in sorted(counts.items(), key=lambda item: -item[1]))


# ---------------------------------------------------------------------------------------------------------------- media


def folder_rows(source: SourceConfig, files: tuple[Path, ...]) -> Iterator[Row]:
    """Media, with what a .txt file or a table of the folder says of them."""
    captions = {file.with_suffix(""): file for file in files if file.suffix.lower() == ".txt"}
    tables = [file for file in files if file.name in METADATA]
    said: dict[str, tuple[str, Mapping[str, Any]]] = {}
    if not tables:
        check_columns(source, source.path, [], media=False)
    for table in tables:
        yield from _read_metadata(source, table, said)
    media = sorted((f for f in files if is_medium(f.name)), key=lambda file: (str(file.parent), natural_key(file)))
    for file in media:
        where, record = said.pop(_key(file), (str(file), {}))
        row: Row = {**words_of(source, record), "kind": kind_of(file.name), "path": str(file.absolute())}
        try:
            row |= times_of(record) if row["kind"] == "video" else {}
            if (caption := captions.get(file.with_suffix(""))) and row["text"] is None:
                row["text"] = _caption(caption)
        except ValueError as error:
            yield dropped(where, str(error))
        else:
            yield sound(where, row)
    for where, _ in said.values():
        yield dropped(where, "its file_name is no image or video of this folder")


def _read_metadata(source: SourceConfig, table: Path, said: dict[str, tuple[str, Mapping[str, Any]]]) -> Iterator[Row]:
    """Fills `said`, by file; yields the rows that say nothing."""
    _, records = read_table(table, USUAL)
    names: dict[str, None] = {}
    for where, record in records:
        if isinstance(record, str):
            yield dropped(where, record)
            continue
        names |= dict.fromkeys(record)
        record = by_name(record)
        name = value_of(record, "file_name")
        if isinstance(name, str) and name:
            said[_key(table.parent / name)] = where, record
        else:
            yield dropped(where, "no file_name")
    check_columns(source, table, list(names), media=False)


def _key(file: Path) -> str:
    return os.path.normpath(file.absolute())


def _caption(file: Path) -> str:
    """ValueError when it holds no text."""
    try:
        if not file.is_file() or file.stat().st_size > MAX_TEXT_BYTES:
            raise ValueError(f"{file} is too large for a caption, or no regular file")
        return file.read_text(encoding="utf-8-sig").strip()
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not UTF-8; convert it") from error
