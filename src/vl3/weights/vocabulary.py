"""Room for special tokens: published vocabularies have padding rows, others grow."""

import torch
from tokenizers import Tokenizer
from torch import Tensor

ROW_MULTIPLE = 64
"""A grown vocabulary is a multiple of this, which matrix products like."""

_ROWS = ("language.embed_tokens.weight", "language.lm_head.weight")


def padded_size(rows: int, tokenizer: Tokenizer) -> int:
    """Rows that the embedding needs: as many as it has when the tokenizer's ids fit in, padding included."""
    needed = 1 + max(tokenizer.get_vocab(with_added_tokens=True).values())
    return rows if needed <= rows else -(-needed // ROW_MULTIPLE) * ROW_MULTIPLE


def grown(tensors: dict[str, Tensor], rows: int) -> dict[str, Tensor]:
    """The tensors with the embedding (and an untied head) grown to `rows`; a new row is the mean of the old ones."""
    result = dict(tensors)
    for name in _ROWS:
        old = tensors.get(name)
        if old is not None and old.shape[0] < rows:
            mean = old.float().mean(dim=0, keepdim=True).to(old.dtype)
            result[name] = torch.cat([old, mean.expand(rows - old.shape[0], -1)])
    return result
