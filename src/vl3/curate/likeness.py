"""Fingerprints of pictures that outlive resizing, re-encoding, small crops, other light and stamps.

Two, because each errs otherwise: the perceptual hash (pHash: signs of the low frequencies of a 32 x 32 grey copy,
http://www.phash.org) finds candidates by comparing 64 bits; the look, an 8 x 8 copy in colour, tells apart what only
shares its outline, such as pages of text.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vl3.errors import UserError

HASH_BYTES = 8
LOOK_SIDE = 8
LOOK_BYTES = 3 * LOOK_SIDE**2
_SIDE, _LOW = 32, 8
QUERIES = 256
"""Rows that are compared with all others at a time."""

_k, _n = np.arange(_LOW)[:, None], np.arange(_SIDE)[None]
_DCT = np.cos(np.pi * _k * (2 * _n + 1) / (2 * _SIDE))
"""[8, 32]: the first rows of the discrete cosine transform (type II), unscaled."""


def phash(image: Image.Image) -> bytes:
    """64 bits, packed: which of the 8 x 8 lowest frequencies are above their median."""
    small = image.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS, reducing_gap=3)
    grey = np.asarray(small.convert("L"), np.float64)
    low = _DCT @ grey @ _DCT.T
    return np.packbits(low > np.median(low)).tobytes()


def look(image: Image.Image) -> bytes:
    """192 bytes: the picture in 8 x 8 pixels."""
    return image.resize((LOOK_SIDE, LOOK_SIDE), Image.Resampling.BOX, reducing_gap=3).convert("RGB").tobytes()


class Likenesses:
    """The fingerprints of many pictures, to be searched."""

    def __init__(self, hashes: list[bytes], looks: list[bytes]) -> None:
        self.hashes = np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, HASH_BYTES)
        self.looks = np.frombuffer(b"".join(looks), np.uint8).reshape(-1, LOOK_BYTES)
        self._index = open_faiss().IndexBinaryFlat(8 * HASH_BYTES)
        self._index.add(self.hashes)

    def pairs(
        self, hashes: NDArray[np.uint8], looks: NDArray[np.uint8], max_distance: int, min_correlation: float
    ) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """For each query (uint8 [n, 8] and [n, 192]) its number and those of the pictures that look like it.

        They differ in at most `max_distance` bits and their looks correlate by at least `min_correlation`. The search
        compares all with all: a million with a million take some minutes on one core.
        """
        for start in range(0, len(hashes), QUERIES):
            block = slice(start, start + QUERIES)
            ends, _, found = self._index.range_search(np.ascontiguousarray(hashes[block]), max_distance + 1)
            for number, query in enumerate(_standard(looks[block])):
                near = found[int(ends[number]) : int(ends[number + 1])]
                yield start + number, near[_standard(self.looks[near]) @ query >= min_correlation]


def _standard(looks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Without their mean brightness and contrast, which light changes; a picture of one colour becomes zeros."""
    centred = looks.astype(np.float32) - looks.mean(1, keepdims=True, dtype=np.float32)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)


def open_faiss() -> Any:
    """faiss, or a UserError that says how to get it."""
    try:
        import faiss
    except ImportError as error:
        raise UserError("finding likenesses needs the curate extra: pip install 'vl3[curate]'") from error
    return faiss


def faiss_ready(_columns: object) -> None:
    """The `ready` of a step that needs faiss and nothing else."""
    open_faiss()
