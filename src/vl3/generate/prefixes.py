"""Keys and values of prompts that were read before, for prompts that begin alike."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from vl3.model import KVCache
from vl3.processing import Inputs

MOST_SPARE = 512
"""Tokens for which a kept cache has room: another question and its answer need not move what is there."""


def fingerprints(inputs: Inputs) -> Tensor:
    """int64 [T, 2], what each token of a prompt is: its id, or the digest of the visual that it belongs to.

    Two prompts are alike up to where these are: within a visual, tokens of equal rank are the same.
    """
    marks_T2 = torch.stack([inputs.input_ids, torch.zeros_like(inputs.input_ids)], dim=1)
    if inputs.visuals:
        counts = torch.tensor([visual.num_tokens for visual in inputs.visuals])
        halves = [[int.from_bytes(v.digest[i : i + 8], "big") >> 1 for i in (0, 8)] for v in inputs.visuals]
        digests = torch.tensor(halves, dtype=torch.int64)
        digests[:, 1] += 1  # so that no text token looks like it
        marks_T2[inputs.visual_mask] = digests.repeat_interleave(counts, dim=0)
    return marks_T2


def text_fingerprints(tokens: list[int]) -> Tensor:
    """The same for tokens of text."""
    ids = torch.tensor(tokens, dtype=torch.int64)
    return torch.stack([ids, torch.zeros_like(ids)], dim=1)


def common_length(a_T2: Tensor, b_T2: Tensor) -> int:
    """How many tokens two sequences have in common from their beginning."""
    length = min(len(a_T2), len(b_T2))
    same = (a_T2[:length] == b_T2[:length]).all(dim=1)
    return length if bool(same.all()) else int(same.int().argmin())


@dataclass(frozen=True, eq=False)
class Prefix:
    """Tokens and their keys and values."""

    marks: Tensor
    """[T, 2], as `fingerprints` gives them; at least as many as the cache holds."""
    cache: KVCache


def longest_match(marks_T2: Tensor, prefixes: Iterable[Prefix]) -> tuple[Prefix | None, int]:
    """The prefix that a sequence shares most of, and how many tokens."""
    best, most = None, 0
    for prefix in prefixes:
        if prefix.cache.length <= most:
            continue
        length = common_length(marks_T2, prefix.marks[: prefix.cache.length])
        if length > most:
            best, most = prefix, length
    return best, most


class PrefixStore:
    """Caches of finished requests, the newest last. `max_bytes` bounds what it keeps; 0 keeps nothing."""

    def __init__(self, max_bytes: int = 0) -> None:
        self.max_bytes = max_bytes
        self.prefixes: list[Prefix] = []

    @property
    def num_bytes(self) -> int:
        """Memory held."""
        return sum(prefix.cache.num_bytes for prefix in self.prefixes)

    def add(self, prefix: Prefix) -> None:
        """Keeps a cache that nobody else writes to any more; what it repeats or what is oldest makes room."""
        if prefix.cache.length * prefix.cache.bytes_per_token > self.max_bytes:
            return
        prefix.cache.shrink(spare=min(MOST_SPARE, prefix.cache.length))
        repeated = [
            old
            for old in self.prefixes
            if common_length(old.marks[: old.cache.length], prefix.marks[: prefix.cache.length]) == old.cache.length
        ]
        self.prefixes = [old for old in self.prefixes if old not in repeated] + [prefix]
        while self.num_bytes > self.max_bytes:
            self.prefixes.pop(0)

    def give(self, prefix: Prefix, length: int, cache: KVCache) -> KVCache:
        """A cache of the first `length` tokens of a prefix, for one who will write to it; `cache` if they are copied.

        One of the store is handed over as it is, which costs nothing, unless it would lose more than what is wanted.
        """
        if prefix in self.prefixes:
            self.prefixes.remove(prefix)
            if prefix.cache.length <= 2 * length:
                prefix.cache.truncate(length)
                return prefix.cache
            self.prefixes.append(prefix)  # now the newest
        cache.copy_prefix(prefix.cache, length)
        return cache
