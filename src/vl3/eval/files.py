"""Reading the files that benchmarks are published in. What cannot be read is a UserError naming the file."""

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vl3.config import read_json
from vl3.errors import UserError
from vl3.lines import json_lines
from vl3.log import logger

Row = dict[str, Any]

VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov", ".MP4")
UNPACKED = "unpacked"
"""Folder beside a benchmark's files into which pictures of parquet files are written, once."""
_SIGNATURES = {
    b"RIFF": ".webp",
    b"\x89PNG": ".png",
    b"\xff\xd8": ".jpg",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
}


def parquet_rows(paths: Sequence[Path], folder: Path) -> Iterator[Row]:
    """The rows of parquet files. Pictures (columns of bytes) come as paths of files, unpacked at the first reading."""
    import pyarrow.parquet as parquet
    from pyarrow import ArrowInvalid

    for path in paths:
        target = folder / UNPACKED / path.relative_to(folder).with_suffix("")
        try:
            for batch in parquet.ParquetFile(path).iter_batches(batch_size=64):
                for row in batch.to_pylist():
                    yield {key: _unpacked(value, target) for key, value in row.items()}
        except (ArrowInvalid, OSError) as error:
            raise UserError(f"{path}: not a whole parquet file ({error}); fetch it again") from error


def _unpacked(value: Any, folder: Path) -> Any:
    """A picture's path, named by its content, so that a picture of many rows is one file; anything else as it is."""
    if not (isinstance(value, dict) and set(value) == {"bytes", "path"}):
        return value
    data = value["bytes"]
    if data is None:
        return None
    suffix = next((suffix for start, suffix in _SIGNATURES.items() if data.startswith(start)), ".img")
    path = folder / f"{hashlib.sha256(data).hexdigest()[:20]}{suffix}"
    if not path.exists():
        if not folder.exists():
            logger.info("unpacking pictures to %s", folder)
            folder.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(path.name + ".tmp")
        draft.write_bytes(data)
        draft.replace(path)
    return str(path.absolute())


def json_rows(path: Path) -> list[Row]:
    """The objects of a JSON file: a list of them, or the values of one object."""
    data = read_json(path)
    rows = list(data.values()) if isinstance(data, dict) else data
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UserError(f"{path}: must hold a list of objects")
    return rows


def jsonl_rows(path: Path) -> Iterator[Row]:
    """The objects of a JSON Lines file."""
    for number, row in json_lines(path):
        if not isinstance(row, dict):
            raise UserError(f"{path}:{number}: must be an object")
        yield row


def csv_rows(path: Path) -> list[Row]:
    """The rows of a CSV file with a head."""
    try:
        return list(csv.DictReader(io.StringIO(_text(path)), restval=""))
    except csv.Error as error:
        raise UserError(f"{path}: not a CSV file: {error}") from error


def text_lines(path: Path) -> list[str]:
    """The lines of a text file that are not empty."""
    return [line for line in _text(path).splitlines() if line.strip()]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text: {error}") from error


Form = Mapping[str, Any]
"""What a row must have: key -> type, or types joined by `|`, of its value."""


def check_row(row: Row, form: Form, where: str) -> None:
    """UserError unless a row is of this form."""
    gone = [key for key in form if key not in row]
    if gone:
        raise UserError(f"{where}: has no {', '.join(gone)}; is this the published file? It has {', '.join(row)}")
    for key, kind in form.items():
        if not isinstance(row[key], kind):
            wanted = str(kind).removeprefix("<class '").removesuffix("'>")
            raise UserError(f"{where}: {key} is {row[key]!r:.60}, not {wanted}; is this the published file?")


def letter_at(letters: Mapping[str, str], place: Any, where: str) -> str:
    """The letter of an option by its place from 0 on, which may be written as text. UserError if there is none."""
    try:
        number = int(place)
    except (TypeError, ValueError):
        number = -1
    if not 0 <= number < len(letters):
        raise UserError(f"{where}: the right option is {place!r:.60}, but there are {len(letters)}, counted from 0")
    return list(letters)[number]


def video_file(folder: Path, stem: str) -> str:
    """The path of a video whose suffix is not known; that of an .mp4 where there is none."""
    paths = [folder / f"{stem}{suffix}" for suffix in VIDEO_SUFFIXES]
    return str(next((path for path in paths if path.exists()), paths[0]).absolute())


def first_folder(folder: Path, *names: str) -> Path:
    """The first folder of these names that is there; else the first."""
    return next((folder / name for name in names if (folder / name).is_dir()), folder / names[0])
