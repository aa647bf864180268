"""Uploaded files: kept by what they contain, for a time, within a quota, each owner's apart from the others'."""

import hashlib
import json
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from vl3.errors import UserError

CHUNK = 1 << 20
ID = re.compile(r"file-[0-9a-f]{32}")


class NoSuchFileError(UserError):
    """An id that names no file, or not any more."""


class StoreFullError(UserError):
    """The quota is used up."""


@dataclass(frozen=True)
class StoredFile:
    """What is known of an upload."""

    id: str
    """From its content: the same bytes have the same id."""
    filename: str
    purpose: str
    bytes: int
    created_at: int
    """Unix time, in seconds."""


class FileStore:
    """A folder `OWNER/ID.data` with `OWNER/ID.json` beside each. For several threads; one process at a time."""

    def __init__(self, folder: Path, quota_bytes: int, expiry_s: float, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._quota_bytes = quota_bytes
        self._expiry_s = expiry_s
        self._clock = clock
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for left in folder.glob("*/*.part"):  # of a process that was killed
                left.unlink()
        except OSError as error:
            raise UserError(f"{folder}: uploads cannot be kept here: {error.strerror}") from error

    def save(self, owner: str, content: BinaryIO, filename: str, purpose: str) -> StoredFile:
        """Takes a whole upload. StoreFullError when there is no room for it, even without what has expired."""
        home = self._folder / owner
        home.mkdir(exist_ok=True)
        handle, name = tempfile.mkstemp(suffix=".part", dir=home)
        part = Path(name)
        try:
            digest, size = hashlib.sha256(), 0
            with os.fdopen(handle, "wb") as out:
                while chunk := content.read(CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
                    out.write(chunk)
            identity = f"file-{digest.hexdigest()[:32]}"
            stored = StoredFile(identity, filename, purpose, size, int(self._clock()))
            with self._lock:
                self._sweep()
                data = self._data(owner, identity)
                held = data.stat().st_size if data.exists() else 0
                if self._used() - held + size > self._quota_bytes:
                    raise StoreFullError(f"the store of {self._quota_bytes} bytes is full; delete files, or wait")
                data.with_suffix(".json").write_text(json.dumps(asdict(stored)), encoding="utf-8")
                part.replace(data)
                self._touch(data)
        finally:
            part.unlink(missing_ok=True)
        return stored

    def path(self, owner: str, identity: str) -> Path:
        """Where a file's bytes are; counts as a use of it. NoSuchFileError."""
        with self._lock:
            self._known(owner, identity)
            data = self._data(owner, identity)
            self._touch(data)
            return data

    def get(self, owner: str, identity: str) -> StoredFile:
        """What is known of a file. NoSuchFileError."""
        with self._lock:
            return self._known(owner, identity)

    def list(self, owner: str) -> list[StoredFile]:
        """An owner's files, oldest first."""
        with self._lock:
            self._sweep()
            names = (path.stem for path in (self._folder / owner).glob("file-*.data"))
            return sorted((self._known(owner, name) for name in names), key=lambda file: (file.created_at, file.id))

    def delete(self, owner: str, identity: str) -> None:
        """Deletes a file. NoSuchFileError."""
        with self._lock:
            self._known(owner, identity)
            self._remove(self._data(owner, identity))

    def sweep(self) -> None:
        """Deletes what has expired."""
        with self._lock:
            self._sweep()

    def used_bytes(self) -> int:
        """Bytes of all owners' files."""
        with self._lock:
            return self._used()

    def expires_at(self, owner: str, identity: str) -> int:
        """When a file goes, if it is not used until then: Unix time, in seconds."""
        return int(self._data(owner, identity).stat().st_mtime + self._expiry_s)

    def _known(self, owner: str, identity: str) -> StoredFile:
        data = self._data(owner, identity)
        if not data.exists() or self._expired(data):
            raise NoSuchFileError(f"{identity[:60]}: no such file; it may have expired")
        return StoredFile(**json.loads(data.with_suffix(".json").read_text(encoding="utf-8")))

    def _data(self, owner: str, identity: str) -> Path:
        if not ID.fullmatch(identity):  # it becomes a path
            raise NoSuchFileError(f"{identity[:60]}: no such file; ids look like file-0123...")
        return self._folder / owner / f"{identity}.data"

    def _all(self) -> Iterator[Path]:
        return self._folder.glob("*/file-*.data")

    def _used(self) -> int:
        return sum(path.stat().st_size for path in self._all())

    def _expired(self, data: Path) -> bool:
        return data.stat().st_mtime + self._expiry_s <= self._clock()

    def _sweep(self) -> None:
        for data in list(self._all()):
            if self._expired(data):
                self._remove(data)

    def _remove(self, data: Path) -> None:
        data.unlink()
        data.with_suffix(".json").unlink()

    def _touch(self, data: Path) -> None:
        now = self._clock()
        os.utime(data, (now, now))
