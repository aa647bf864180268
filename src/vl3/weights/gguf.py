"""Reading GGUF files (version 3): typed metadata and tensors, plain or in blocks of 32 quantised values.

The format is described at https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. A block along a row holds 32
values that share a float16 scale d (and minimum m): Q4_0 is (q - 8) d, Q4_1 is q d + m, Q8_0 is q d. The low nibbles of
its 16 bytes come first, then the high ones.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vl3.errors import UserError

BLOCK = 32
"""Values in one quantised block."""

_MAGIC, _VERSION = b"GGUF", 3
_MOST_DIMENSIONS = 4
_NUMBERS = {
    0: "<u1",
    1: "<i1",
    2: "<u2",
    3: "<i2",
    4: "<u4",
    5: "<i4",
    6: "<f4",
    7: "?",
    10: "<u8",
    11: "<i8",
    12: "<f8",
}
_STRING, _ARRAY = 8, 9
_TYPES = {0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", BLOCK, 18), 3: ("Q4_1", BLOCK, 20), 8: ("Q8_0", BLOCK, 34)}
"""The tensor types that are read: number -> name, values and bytes of a block."""


@dataclass(frozen=True)
class Entry:
    """Where a tensor lies in its file."""

    kind: str
    """F32, F16, Q4_0, Q4_1 or Q8_0."""
    shape: tuple[int, ...]
    """As torch has it: the innermost dimension last."""
    start: int
    """Its first byte, counted from the beginning of the file."""
    num_bytes: int


@dataclass(frozen=True, eq=False)
class GgufFile:
    """An open file; the tensors' bytes are read when they are asked for."""

    path: Path
    metadata: dict[str, Any]
    """Numbers, strings, and lists of them (numbers as arrays)."""
    entries: dict[str, Entry]
    data: np.ndarray
    """All bytes of the file, mapped into memory."""

    def tensor(self, name: str) -> Tensor:
        """A tensor in float32, which holds every value of a block exactly as its formula gives it."""
        entry = self.entries[name]
        raw = np.asarray(self.data[entry.start : entry.start + entry.num_bytes])
        return torch.from_numpy(_values(raw, entry.kind).reshape(entry.shape))


def open_gguf(path: Path) -> GgufFile:
    """Reads the head of a file. UserError when it is no whole GGUF file of version 3, or holds unknown tensor types."""
    try:
        data: np.ndarray = np.memmap(path, mode="r")
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        raise UserError(f"{path}: cannot be read: {error}") from error
    head = _Head(path, data.data)
    if data[:4].tobytes() != _MAGIC:
        raise UserError(f"{path}: not a GGUF file")
    head.at = 4
    if (version := head.number("<u4")) != _VERSION:
        raise UserError(f"{path}: GGUF version {version} is not supported, only {_VERSION}")
    num_tensors, num_pairs = head.number("<u8"), head.number("<u8")
    metadata: dict[str, Any] = {}
    for _ in range(num_pairs):
        key = head.string()
        metadata[key] = head.value(head.number("<u4"), key)
    found = [head.entry() for _ in range(num_tensors)]
    alignment = metadata.get("general.alignment", BLOCK)
    if not isinstance(alignment, int) or alignment < 1:
        raise UserError(f"{path}: general.alignment is {alignment!r}; the file is damaged")
    start = -(-head.at // alignment) * alignment
    entries = {name: Entry(kind, shape, start + offset, size) for name, kind, shape, offset, size in found}
    if len(entries) < num_tensors:
        raise UserError(f"{path}: two tensors have one name; the file is damaged")
    for name, entry in entries.items():
        if entry.start + entry.num_bytes > len(data):
            raise UserError(f"{path}: is cut off inside tensor {name}; download it again")
    return GgufFile(path, metadata, entries, data)


class _Head:
    """A reading position in the head of a file."""

    def __init__(self, path: Path, data: memoryview) -> None:
        self.path, self.at = path, 0
        self._data = data

    def take(self, size: int) -> memoryview:
        if self.at + size > len(self._data):
            raise UserError(f"{self.path}: is cut off; download it again")
        self.at += size
        return self._data[self.at - size : self.at]

    def numbers(self, form: str, count: int) -> np.ndarray:
        return np.frombuffer(self.take(count * np.dtype(form).itemsize), form)

    def number(self, form: str) -> Any:
        number = self.numbers(form, 1)[0]
        # a float32 is written as the shortest decimal that means it: 1e-05, not 9.999999747378752e-06
        return float(str(number)) if form == "<f4" else number.item()

    def string(self) -> str:
        (size,) = struct.unpack("<Q", self.take(8))
        try:
            return str(self.take(size), "utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{self.path}: a string is not UTF-8; the file is damaged") from error

    def value(self, kind: int, key: str) -> Any:
        if kind == _STRING:
            return self.string()
        if kind in _NUMBERS:
            return self.number(_NUMBERS[kind])
        if kind == _ARRAY:
            inner, count = self.number("<u4"), self.number("<u8")
            if inner == _STRING:
                return [self.string() for _ in range(count)]
            if inner in _NUMBERS:
                return self.numbers(_NUMBERS[inner], count)
            kind = inner
        raise UserError(f"{self.path}: {key} has the unknown type {kind}; the file is damaged")

    def entry(self) -> tuple[str, str, tuple[int, ...], int, int]:
        """(name, type, shape, offset, bytes) of the next tensor."""
        name = self.string()
        num_dimensions = self.number("<u4")
        if num_dimensions > _MOST_DIMENSIONS:
            raise UserError(f"{self.path}: tensor {name} has {num_dimensions} dimensions; the file is damaged")
        shape = tuple(int(size) for size in reversed(self.numbers("<u8", num_dimensions)))
        number, offset = self.number("<u4"), self.number("<u8")
        if number not in _TYPES:
            known = ", ".join(kind for kind, _, _ in _TYPES.values())
            raise UserError(f"{self.path}: tensor {name} is of type {number}; types that are read: {known}")
        kind, values, num_bytes = _TYPES[number]
        if not shape or shape[-1] % values:
            raise UserError(f"{self.path}: tensor {name} of shape {list(shape)} cannot be {kind}; the file is damaged")
        return name, kind, shape, offset, math.prod(shape) // values * num_bytes


def _values(raw: np.ndarray, kind: str) -> np.ndarray:
    """The bytes [n] of a tensor as flat float32 values; one thread of numpy does this as fast as the disk reads."""
    if kind in ("F32", "F16"):
        # copied, for the file does not promise the alignment that a view in another type needs
        return raw.copy().view("<f4" if kind == "F32" else "<f2").astype(np.float32)
    num_bytes = {name: size for name, _, size in _TYPES.values()}[kind]
    blocks = raw.reshape(-1, num_bytes)
    values = np.empty((len(blocks), BLOCK), np.float32)
    if kind == "Q8_0":
        values[:] = blocks[:, 2:].view("i1")
    else:
        packed = blocks[:, -BLOCK // 2 :]
        values[:, : BLOCK // 2], values[:, BLOCK // 2 :] = packed & 15, packed >> 4
    if kind == "Q4_0":
        values -= 8
    values *= _float16(blocks[:, :2])
    if kind == "Q4_1":
        values += _float16(blocks[:, 2:4])
    return values.reshape(-1)


def _float16(columns: np.ndarray) -> np.ndarray:
    """Two columns of bytes [n, 2] as one of float32 [n, 1]."""
    return columns.copy().view("<f2").astype(np.float32)
