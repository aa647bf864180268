"""The key/value cache of one sequence.

One object per sequence, so that requests join and leave a batch freely, a conversation keeps its own memory between
turns, and dropping the object frees it at once.
"""

import torch
from torch import Tensor

from vl3.config import LanguageConfig


class KVCache:
    """Keys and values of every layer for the first `length` tokens of one sequence. It grows by doubling."""

    def __init__(self, config: LanguageConfig, device: torch.device, dtype: torch.dtype, capacity: int = 256) -> None:
        self.length = 0
        shape = (2, config.num_layers, config.num_kv_heads, capacity, config.head_dim)
        self._store = torch.empty(shape, device=device, dtype=dtype)  # [k/v, layer, kv head, position, E]

    @property
    def capacity(self) -> int:
        """Tokens that fit before the next growth."""
        return self._store.shape[3]

    @property
    def num_bytes(self) -> int:
        """Memory held, used or not."""
        return self._store.numel() * self._store.element_size()

    @property
    def bytes_per_token(self) -> int:
        """Memory of one token's keys and values."""
        return self.num_bytes // self.capacity

    def reserve(self, length: int) -> None:
        """Makes room for `length` tokens in all."""
        if length <= self.capacity:
            return
        k_or_v, layers, heads, capacity, width = self._store.shape
        grown = self._store.new_empty(k_or_v, layers, heads, max(length, 2 * capacity), width)
        grown[:, :, :, : self.length] = self._store[:, :, :, : self.length]
        self._store = grown

    def append(self, layer: int, k_nJE: Tensor, v_nJE: Tensor) -> tuple[Tensor, Tensor]:
        """Stores one layer's keys and values [n, kv heads, E] of n new tokens; returns all so far, [kv heads, L, E].

        `length` moves only with `advance`, once every layer has stored the same tokens.
        """
        end = self.length + k_nJE.shape[0]
        assert end <= self.capacity, "reserve() before the forward pass"
        k_JLE, v_JLE = self._store[0, layer], self._store[1, layer]
        k_JLE[:, self.length : end] = k_nJE.transpose(0, 1)
        v_JLE[:, self.length : end] = v_nJE.transpose(0, 1)
        return k_JLE[:, :end], v_JLE[:, :end]

    def advance(self, num_tokens: int) -> None:
        """Counts `num_tokens` more tokens as stored."""
        self.length += num_tokens

    def copy_prefix(self, other: "KVCache", length: int) -> None:
        """Takes over the first `length` tokens of another cache, in place of what it held."""
        assert length <= other.length, f"a prefix of {length} tokens from a cache of {other.length}"
        self.length = min(self.length, length)
        self.reserve(length)
        self._store[:, :, :, self.length : length] = other._store[:, :, :, self.length : length]
        self.length = length

    def shrink(self, spare: int = 0) -> None:
        """Gives back the room that is not used, but for `spare` tokens; nothing is moved when it has no more."""
        if self.capacity > self.length + spare:
            self._store = self._store[:, :, :, : self.length + spare].clone()

    def truncate(self, length: int) -> None:
        """Forgets all tokens from `length` on; what was before stays valid."""
        assert 0 <= length <= self.length, f"cannot cut a cache of {self.length} tokens to {length}"
        self.length = length
