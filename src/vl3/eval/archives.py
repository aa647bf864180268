"""The archives in which benchmarks' media are published, whole or cut into parts, and how they are unpacked."""

import io
import re
import tarfile
import zipfile
import zlib
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import Any

from vl3.errors import UserError

PATTERNS = ("*.zip", "*.zip.*", "*.tar", "*.tar.*", "*.tgz", "*.z[0-9][0-9]")
"""Globs that find all that can be one."""
_WHOLE = re.compile(r".+\.(?:zip|tar|tar\.gz|tgz|tar\.xz|tar\.bz2)", re.I)
_PART = re.compile(r"(.+\.(?:zip|tar\.gz|tar\.xz|tar\.bz2|tgz|tar))[._-]?(?:part)?[._-]?([a-z]{2}|\d{1,4})", re.I)
_VOLUME = re.compile(r"(.+)\.z(\d\d)", re.I)
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, EOFError, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class Archive:
    """One archive: a file, or all the parts of one in order."""

    path: Path
    """Its name; where it is in parts, the name without what numbers them."""
    parts: Sequence[Path]
    gaps: Sequence[str] = ()
    """Names of parts that must exist, since a later one does."""
    is_volumes: bool = False
    """Whether it is cut as `zip -s` does (.z01, .z02, .zip), which only `zip` itself can join."""

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(part.stat().st_size for part in self.parts)

    @property
    def described(self) -> str:
        """Its name and, where there are several, the number of its parts."""
        return self.path.name + (f" ({len(self.parts)} parts)" if self.parts != (self.path,) else "")


def archives(folder: Path) -> list[Archive]:
    """All archives below a folder, in order of name."""
    parts: dict[Path, dict[int, Path]] = defaultdict(dict)
    volumes: set[Path] = set()
    whole = []
    for path in sorted(folder.rglob("*")):
        if _WHOLE.fullmatch(path.name):
            whole.append(path)
        elif match := _PART.fullmatch(path.name):
            parts[path.with_name(match[1])][_number(match[2])] = path
        elif match := _VOLUME.fullmatch(path.name):
            volumes.add(path.with_name(f"{match[1]}.zip"))
    found = [Archive(path, (path,), is_volumes=path in volumes) for path in whole if path.is_file()]
    for path, numbered in parts.items():
        if path not in whole:  # else somebody has joined them
            found.append(Archive(path, tuple(numbered[n] for n in sorted(numbered)), _gaps(numbered)))
    return sorted(found, key=lambda archive: archive.path)


def _number(mark: str) -> int:
    """`aa`, `ab` as 0, 1; digits as they are."""
    if mark.isdigit():
        return int(mark)
    high, low = (ord(letter) - ord("a") for letter in mark.lower())
    return 26 * high + low


def _gaps(numbered: dict[int, Path]) -> list[str]:
    """Names of the parts that are missing before the last one. Counting begins at 0 or 1."""
    any_part = next(iter(numbered.values())).name
    match = _PART.fullmatch(any_part)
    assert match is not None
    mark = match[2]
    first = 1 if mark.isdigit() and 0 not in numbered else 0
    missing = [number for number in range(first, max(numbered)) if number not in numbered]
    return [any_part[: -len(mark)] + _mark(number, mark) for number in missing]


def _mark(number: int, like: str) -> str:
    if like.isdigit():
        return f"{number:0{len(like)}d}"
    return chr(ord("a") + number // 26) + chr(ord("a") + number % 26)


# ------------------------------------------------------------------------------------------------------- unpacking

Told = Callable[[int], None]
"""Is told how many of an archive's bytes are read."""


def unpack(archive: Archive, told: Told = lambda _bytes: None) -> int:
    """Unpacks an archive beside itself and returns how many files it wrote; those that are there already stay.

    UserError for parts that are missing, a broken archive, names that lead out of the folder, and a full disk.
    """
    name = archive.path
    if archive.gaps:
        raise UserError(f"{name}: its parts {', '.join(archive.gaps)} are missing")
    if archive.is_volumes:
        raise UserError(f"{name}: is cut into volumes; join them with `zip -s 0 {name} --out whole.zip`")
    try:
        with _Joined(archive.parts) as raw, io.BufferedReader(raw, 1 << 20) as file:
            write = _zip if ".zip" in name.name.lower() else _tar
            return sum(write(file, name.parent, told))
    except _BROKEN as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        hint = "" if archive.parts == (name,) else "; are these all its parts?"
        raise UserError(f"{name}: cannot be unpacked: {reason}{hint}") from error
    except OSError as error:
        raise UserError(f"{name}: cannot be unpacked: {error}") from error


def _tar(file: Any, folder: Path, told: Told) -> Iterator[bool]:
    """Whether each file was written."""
    with tarfile.open(fileobj=file, mode="r:*") as tar:
        for member in tar:
            told(file.tell())
            is_new = not _is_there(folder / member.name, member.size) if member.isfile() else False
            if is_new or not member.isfile():
                tar.extract(member, folder, filter="data")
            yield is_new


def _zip(file: Any, folder: Path, told: Told) -> Iterator[bool]:
    """Whether each file was written."""
    with zipfile.ZipFile(file) as packed:
        done = 0
        for member in packed.infolist():
            if PurePosixPath(member.filename).is_absolute() or ".." in PurePosixPath(member.filename).parts:
                raise zipfile.BadZipFile(f"{member.filename!r} leads out of the folder")
            is_new = not member.is_dir() and not _is_there(folder / member.filename, member.file_size)
            if is_new:
                packed.extract(member, folder)
            done += member.compress_size
            told(done)
            yield is_new


def _is_there(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


class _Joined(io.RawIOBase):
    """Files read one after the other as if they were one."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._files = [path.open("rb") for path in paths]
        self._ends = list(accumulate(path.stat().st_size for path in paths))
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._ends[-1]}[whence]
        if base + offset < 0:
            raise OSError("before the beginning")
        self._place = base + offset
        return self._place

    def readinto(self, buffer: Any) -> int:
        number = bisect_right(self._ends, self._place)
        if number == len(self._files):
            return 0
        file = self._files[number]
        file.seek(self._place - (self._ends[number - 1] if number else 0))
        data = file.read(len(buffer))
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def close(self) -> None:
        for file in self._files:
            file.close()
        super().close()
