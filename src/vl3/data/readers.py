"""Annotations as sequences: .json, .jsonl, .parquet, WebDataset .tar, and datasets of the Hugging Face hub."""

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
    sequential: bool = False
    """Whether samples come in a fixed order, so that going back, or far ahead, means to read from the start."""

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
    if config.path.startswith(HUB):
        return _hub(config)
    if config.streaming:
        raise UserError(f"{config.path}: only a dataset of the hub is streamed ({HUB}OWNER/NAME); leave streaming out")
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


HUB = "hf:"
"""What a path begins with that names a dataset of the hub."""

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
        except (ValueError, RecursionError) as error:  # also numbers of 5000 digits, endless nesting
            raise UserError(f"{where}: not valid JSON: {error}") from error
        return parse(data, where, root, form)

    return len(starts) - 1, get


def _parquet(files: list[Path], root: Path, form: str) -> Opened:
    """Through `datasets`, which maps the files into memory; images may be embedded ({"bytes": ..., "path": ...})."""
    where = str(files[0].parent if len(files) > 1 else files[0])
    table = _load_dataset(where, "parquet", data_files=[str(file) for file in files], split="train")
    return len(table), lambda i: parse(_row(table[i]), f"{where}: row {i}", root, form)


def _hub(config: SourceConfig) -> Source:
    """A dataset by its name: downloaded and mapped into memory, or streamed."""
    name = config.path.removeprefix(HUB)
    where = f"{config.path}, split {config.split}"
    table = _load_dataset(where, name, config.subset, split=config.split, streaming=config.streaming)
    root = Path(config.root or (name if Path(name).is_dir() else ".")).absolute()
    label = config.name or name.rpartition("/")[2]
    if not config.streaming:
        if len(table) == 0:
            raise UserError(f"{where}: no samples in it")
        return Source(
            config, label, len(table), lambda i: parse(_row(table[i]), f"{where}: row {i}", root, config.form)
        )
    splits = table.info.splits or {}
    length = config.num_samples or (splits[config.split].num_examples if config.split in splits else 0)
    if not length:
        raise UserError(f"{where}: does not say how many samples it has; give num_samples, or leave streaming out")
    stream = _Stream(table, where)
    return Source(config, label, length, lambda i: parse(stream[i], f"{where}: row {i}", root, config.form), True)


class _Stream:
    """Rows of a stream by their numbers: ascending ones are read on to, others start anew. A worker has its own."""

    def __init__(self, table: Any, where: str) -> None:
        self._table, self._where = table, where
        self._rows: Iterator[dict[str, Any]] = iter(())
        self._place: int | None = None

    def __getitem__(self, i: int) -> dict[str, Any]:
        if self._place is None or i < self._place:
            self._rows, self._place = iter(self._table.skip(i)), i
        try:
            for _ in range(i - self._place):
                next(self._rows)
            row = next(self._rows)
        except StopIteration:
            self._place = None
            raise UserError(f"{self._where}: ends before row {i}; num_samples is too large") from None
        except OSError as error:  # a connection that broke: the next row opens another
            self._place = None
            raise UserError(f"{self._where}: row {i} could not be read: {error}") from error
        self._place = i + 1
        return _row(row)


def _load_dataset(where: str, *args: Any, **settings: Any) -> Any:
    """`datasets.load_dataset` with media left as their bytes, and its mistakes as ours."""
    try:
        from datasets import Features, Image, List, Video, load_dataset
        from datasets.exceptions import DatasetsError
    except ImportError as error:
        raise UserError(f"{where}: reading datasets needs the train extra: pip install 'vl3[train]'") from error
    try:
        table = load_dataset(*args, **settings)
    except (DatasetsError, OSError, ValueError) as error:
        raise UserError(f"{where}: could not be opened as a dataset: {error}") from error

    def undecoded(kind: Any) -> Any:
        if isinstance(kind, Image | Video):
            return type(kind)(decode=False)
        return List(undecoded(kind.feature), kind.length) if isinstance(kind, List) else kind

    features = table.features or {}
    return table.cast(Features({name: undecoded(kind) for name, kind in features.items()})) if features else table


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {key: _unwrapped(value) for key, value in row.items() if value is not None}


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
        except (ValueError, RecursionError) as error:
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
