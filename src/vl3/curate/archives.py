"""WebDataset archives, read into rows. Media stay where they are: a row says where in the archive they lie."""

import json
import tarfile
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from vl3.curate.config import SourceConfig
from vl3.curate.raw import (
    MAX_TEXT_BYTES,
    Row,
    as_text,
    by_name,
    check_columns,
    dropped,
    is_medium,
    kind_of,
    sound,
    times_of,
    words_of,
)
from vl3.errors import UserError

CHUNK_BYTES = 1 << 20

Group = dict[str, tarfile.TarInfo]
"""Members of one name, by their endings."""


def tar_rows(source: SourceConfig, file: Path) -> Iterator[Row]:
    """A row for each name; damage, with what lies behind it, is one dropped row. UserError for what is no archive."""
    try:
        with file.open("rb") as data, tarfile.open(fileobj=data, mode="r:") as archive:
            groups = islice(_groups(archive), source.limit)
            names: dict[str, None] = {}
            while True:
                try:
                    key, group = next(groups, ("", None))
                except (tarfile.TarError, OSError, ValueError, OverflowError) as error:
                    yield _rest(file, f"the archive is damaged: {error}")
                    return
                if group is None:
                    break
                where = f"{file}: {key}"
                yield sound(where, _group_row(source, file, archive, where, key, group, names))
            if names:
                check_columns(source, file, list(names), media=False)
            if (fault := _fault_at_end(archive, data)) is not None:
                yield _rest(file, fault)
    except (tarfile.TarError, OSError) as error:
        raise UserError(f"{file}: not a readable, uncompressed tar file: {error}") from error


def _groups(archive: tarfile.TarFile) -> Iterator[tuple[str, Group]]:
    """Files of one name up to the first dot belong together, and lie next to each other."""
    before = ""
    group: Group = {}
    for member in archive:
        if not member.isfile():
            continue
        folder, slash, base = member.name.rpartition("/")
        stem, _, ending = base.partition(".")
        if (key := folder + slash + stem) != before:
            if group:
                yield before, group
            before, group = key, {}
        group[ending.lower()] = member
    if group:
        yield before, group


def _fault_at_end(archive: tarfile.TarFile, data: BinaryIO) -> str | None:
    """Why there may be more than was read: `tarfile` ends in silence at a header that it cannot read."""
    data.seek(archive.offset)
    mark = data.read(tarfile.BLOCKSIZE)
    if len(mark) < tarfile.BLOCKSIZE:
        return "the archive is cut short: its end is not marked"
    if mark.strip(b"\0"):
        return f"the archive is damaged at byte {archive.offset}"
    while rest := data.read(CHUNK_BYTES):
        if rest.strip(b"\0"):
            return f"there is more behind the archive's end at byte {archive.offset}, as when two are joined"
    return None


def _rest(file: Path, why: str) -> Row:
    return dropped(str(file), why, "the rest of a file cannot be read")


def _group_row(
    source: SourceConfig,
    file: Path,
    archive: tarfile.TarFile,
    where: str,
    key: str,
    group: Group,
    names: dict[str, None],
) -> Row:
    """names: gets those of the columns of its .json."""
    medium = next((group[ending] for ending in group if is_medium(f"a.{ending}")), None)
    if medium is None:
        return dropped(where, f"no image or video among {', '.join(group)}")
    said: Mapping[str, Any] = {}
    try:
        if "json" in group:
            record = json.loads(_text_of(archive, group["json"]))
            said = by_name(record) if isinstance(record, dict) else {}
            names |= dict.fromkeys(said)
        text = _text_of(archive, group["txt"]).strip() if "txt" in group else None
        row: Row = {**words_of(source, said), "kind": kind_of(medium.name)}
        row |= times_of(said) if row["kind"] == "video" else {}
    except (ValueError, RecursionError) as error:
        return dropped(where, f"its words cannot be read: {error}")
    row |= {"path": str(file.absolute()), "offset": medium.offset_data, "size": medium.size}
    row["given_id"] = row["given_id"] or as_text(key)
    return row if text is None or source.text is not None else {**row, "text": text}


def _text_of(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    """ValueError when it is no text."""
    if member.size > MAX_TEXT_BYTES:
        raise ValueError(f"{member.name} has {member.size} bytes")
    data = archive.extractfile(member)
    assert data is not None
    return data.read().decode("utf-8-sig")
