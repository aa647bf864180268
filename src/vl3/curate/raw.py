"""What all forms of a raw pool have in common: columns that say something, and rows that cannot be taken."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vl3.curate.config import SourceConfig
from vl3.errors import UserError
from vl3.media.info import Kind
from vl3.media.source import FRAME_SUFFIXES, VIDEO_SUFFIXES

MEDIA_COLUMNS = ("url", "image", "image_path", "video", "path", "file", "file_name")
TEXT_COLUMNS = ("text", "caption", "alt", "alt_text")
LICENCE_COLUMNS = ("licence", "license")
TIME_COLUMNS = {"start_s": ("start_s", "start_time"), "end_s": ("end_s", "end_time")}
"""What a table, or training data (docs/data.md), calls a clip's times."""
USUAL = {*MEDIA_COLUMNS, *TEXT_COLUMNS, *LICENCE_COLUMNS, *TIME_COLUMNS["start_s"], *TIME_COLUMNS["end_s"]} | {
    "id",
    "conversations",
}
"""All columns that are read without being named by a recipe."""
MAX_TEXT_BYTES = 16 << 20
"""Largest file that is read as the words of one picture."""
MOST_NAMED = 12
"""Columns that a message lists."""

Row = dict[str, Any]


def dropped(where: str, why: str, phrase: str = "not a row") -> Row:
    """The row of what cannot be one; phrase: what is counted."""
    return {"kind": "image", "dropped_by": "source", "drop_reason": as_text(f"{phrase}: {where}: {why}")}


def sound(where: str, row: Row) -> Row:
    """The row, dropped if one of its values is no text that can be written: bytes that are not UTF-8, or half a
    character ("\\ud800" in JSON)."""
    for name, value in row.items():
        if isinstance(value, str) and not is_text(value):
            return dropped(where, f"its {name} is not UTF-8; convert or rename it")
    return row


def as_text(value: str) -> str:
    """The same, with bytes that are no text written as \\udcff."""
    return value.encode("utf-8", "backslashreplace").decode()


def is_text(value: str) -> bool:
    """Whether UTF-8 has it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def kind_of(name: str) -> Kind:
    """image or video, by the ending of a path or URL."""
    endings = {Path(part).suffix.lower() for part in (name, name.partition("?")[0])}
    return "video" if endings & VIDEO_SUFFIXES else "image"


def is_medium(name: str) -> bool:
    """Whether a file's name ends like that of an image or video."""
    return Path(name).suffix.lower() in FRAME_SUFFIXES | VIDEO_SUFFIXES


# -------------------------------------------------------------------------------------------------------------- columns


def by_name(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record, whose columns are found by small letters too, unless two differ only in that."""
    alike = Counter(key.lower() for key in record)
    return {key.lower(): value for key, value in record.items() if alike[key.lower()] == 1} | dict(record)


def value_of(record: Mapping[str, Any], name: str | None, usual: Iterable[str] = ()) -> Any:
    """The named column of a record `by_name`, else the first of the usual ones that says something."""
    if name is not None:
        return record.get(name, record.get(name.lower()))
    return next((record[key] for key in usual if record.get(key)), None)


def words_of(source: SourceConfig, record: Mapping[str, Any]) -> Row:
    """Text, licence, class and id of a record `by_name`."""
    text = value_of(record, source.text, TEXT_COLUMNS)
    if text is None and source.text is None:
        text = _answer(record.get("conversations"))
    label, licence, given = value_of(record, source.label), value_of(record, None, LICENCE_COLUMNS), record.get("id")
    row: Row = {
        "text": text if text is None or isinstance(text, str) else json.dumps(text, default=str),
        "label": None if label is None else str(label),
        "given_id": str(given) if isinstance(given, str | int) else None,
    }
    return {**row, "licence": str(licence)} if licence else row


def _answer(turns: Any) -> Any:
    """Of a conversation of one question, as captions are exported, its answer."""
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        return None
    return turns[1].get("value") if [turn.get("from") for turn in turns] == ["human", "gpt"] else None


def times_of(record: Mapping[str, Any]) -> Row:
    """`start_s` and `end_s` of a record `by_name`. ValueError for what is no number of seconds."""
    found: Row = {}
    for ours, names in TIME_COLUMNS.items():
        given = next((record[name] for name in names if record.get(name) not in (None, "")), None)
        if given is None:
            continue
        try:
            at = math.nan if isinstance(given, bool) else float(given)
        except (TypeError, ValueError, OverflowError):
            at = math.nan
        if not math.isfinite(at):
            raise ValueError(f"its {ours} is no number of seconds")
        found[ours] = at
    return found


def check_columns(source: SourceConfig, where: object, names: Sequence[str], media: bool = True) -> None:
    """UserError when what a recipe names, or with `media` any column of media, is not among those that there are."""
    there = by_name(dict.fromkeys(names, True))
    more = " ..." if len(names) > MOST_NAMED else ""
    listed = as_text(", ".join(repr(name) for name in names[:MOST_NAMED]) + more) or "none"
    named = {"media": source.media if media else None, "text": source.text, "label": source.label}
    for setting, wanted in named.items():
        if wanted is not None and value_of(there, wanted) is None:
            raise UserError(f"{where}: no column {wanted!r}, which the source's {setting}: names; it has {listed}")
    if media and source.media is None and value_of(there, None, MEDIA_COLUMNS) is None:
        raise UserError(
            f"{where}: no column with media ({', '.join(MEDIA_COLUMNS)}); it has {listed}: say which one holds paths, "
            "URLs or bytes by the source's media: (sources.0.media=NAME)"
        )
