"""Annotation files as sequences with random access: .json, .jsonl, .parquet and WebDataset .tar."""

import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vl3.config import read_json
from vl3.data.config import SourceConfig
from vl3.data.schema import Sample, parse
from vl3.errors import UserError


@dataclass(frozen=True)
class Source:
    """The samples of one source."""

    config: SourceConfig
    name: str
    """What logs call it."""
    length: int
    """Number of samples (of lines, for .jsonl: a blank line is a sample that fails)."""
    get: Callable[[int], Sample]
    """The i-th sample. UserError naming its line for one that is none."""

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Sample | UserError]:
        """All samples in order, an error in the place of one that is none."""
        for index in range(self.length):
            try:
                yield self.get(index)
            except UserError as error:
                yield error


def open_source(config: SourceConfig) -> Source:
    """Opens a source. UserError when it is missing, empty, or of no known form."""
    path = Path(config.path)
    if not path.exists():
        raise UserError(f"{path}: no such file or folder of annotations")
    name = config.name or path.stem
    root = Path(config.root) if config.root else (path if path.is_dir() else path.parent)
    files = sorted(file for file in path.iterdir() if file.suffix in (".parquet", ".tar")) if path.is_dir() else [path]
    suffixes = {file.suffix.lower() for file in files}
    openers = {".json": _json, ".jsonl": _jsonl, ".parquet": _parquet, ".tar": _tar}
    if len(suffixes) != 1 or next(iter(suffixes)) not in openers:
        raise UserError(f"{path}: annotations are .json, .jsonl, .parquet or .tar (or a folder of one of the last two)")
    length, get = openers[suffixes.pop()](files, root.absolute(), config.form)
    if length == 0:
        raise UserError(f"{path}: no samples in it")
    return Source(config, name, length, get)


Opened = tuple[int, Callable[[int], Sample]]


def _json(files: list[Path], root: Path, form: str) -> Opened:
    [file] = files
    rows = read_json(file)
    if not isinstance(rows, list):
        raise UserError(f"{file}: a .json file of annotations holds one list")
    return len(rows), lambda i: parse(rows[i], f"{file}: sample {i}", root, form)


def _jsonl(files: list[Path], root: Path, form: str) -> Opened:
    """Only where lines begin is kept in memory."""
    [file] = files
    starts = [0]
    with file.open("rb") as lines:
        starts += [lines.tell() for _ in iter(lines.readline, b"")]

    def get(i: int) -> Sample:
        where = f"{file}:{i + 1}"
        with file.open("rb") as lines:
            lines.seek(starts[i])
            line = lines.read(starts[i + 1] - starts[i])
        try:
            data = json.loads(line)
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UserError(f"{where}: not valid JSON: {error}") from error
        return parse(data, where, root, form)

    return len(starts) - 1, get


def _parquet(files: list[Path], root: Path, form: str) -> Opened:
    """Through `datasets`, which maps the files into memory; images may be embedded ({"bytes": ..., "path": ...})."""
    try:
        from datasets import Features, Image, load_dataset
    except ImportError as error:
        raise UserError(f"{files[0]}: reading parquet needs the train extra: pip install 'vl3[train]'") from error
    table = load_dataset("parquet", data_files=[str(file) for file in files], split="train")
    features = Features(
        {name: Image(decode=False) if isinstance(kind, Image) else kind for name, kind in table.features.items()}
    )
    table = table.cast(features)

    def get(i: int) -> Sample:
        row = {key: _unwrapped(value) for key, value in table[i].items() if value is not None}
        return parse(row, f"{files[0].parent if len(files) > 1 else files[0]}: row {i}", root, form)

    return len(table), get


def _unwrapped(value: Any) -> Any:
    """Embedded files as their bytes, and structs without the keys that only other rows have."""
    if isinstance(value, dict):
        if isinstance(value.get("bytes"), bytes):
            return value["bytes"]
        return {key: _unwrapped(item) for key, item in value.items() if item is not None}
    return [_unwrapped(item) for item in value] if isinstance(value, list) else value


def _tar(files: list[Path], root: Path, form: str) -> Opened:
    """WebDataset: members of one name belong together, `0001.json` names `0001.jpg`, `0001.1.jpg` or `0001.mp4`."""
    groups: dict[tuple[Path, str], dict[str, tuple[int, int]]] = {}
    for file in files:
        try:
            with tarfile.open(file, "r:") as archive:
                for member in archive:
                    key, _, ending = member.name.rpartition("/")[2].partition(".")
                    folder = member.name.rpartition("/")[0]
                    if member.isfile():
                        group = groups.setdefault((file, f"{folder}/{key}"), {})
                        group[ending] = (member.offset_data, member.size)
        except (tarfile.TarError, OSError) as error:
            raise UserError(f"{file}: not a readable tar file: {error}") from error
    keys = list(groups)

    def get(i: int) -> Sample:
        file, key = keys[i]
        members = groups[file, key]
        where = f"{file}: {key.lstrip('/')}"

        def content(ending: str) -> bytes:
            start, size = members[ending]
            with file.open("rb") as archive:
                archive.seek(start)
                return archive.read(size)

        if "json" not in members:
            raise UserError(f"{where}: has no .json beside its media")
        try:
            data = json.loads(content("json"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise UserError(f"{where}.json: not valid JSON: {error}") from error
        if isinstance(data, dict):
            for kind in ("image", "video"):
                if kind in data:
                    named = data[kind] if isinstance(data[kind], list) else [data[kind]]
                    data[kind] = [_member(name, members, content, where) for name in named]
        return parse(data, where, root, form)

    return len(keys), get


def _member(name: Any, members: dict[str, tuple[int, int]], content: Callable[[str], bytes], where: str) -> bytes:
    """The bytes of the member that an annotation names, by file name or by ending alone."""
    ending = str(name).rpartition("/")[2].partition(".")[2] or str(name)
    for candidate in (ending, str(name)):
        if candidate in members:
            return content(candidate)
    raise UserError(f"{where}: names {name!r}, but the archive holds {', '.join(sorted(members))}")
