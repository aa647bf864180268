"""A Llama-family language model in a GGUF file: its config, its tensors under our names, its tokenizer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor

from vl3.config import LanguageConfig, decode
from vl3.errors import UserError
from vl3.weights.gguf import GgufFile, open_gguf

_CONTROL, _USER_DEFINED = 3, 4  # of tokenizer.ggml.token_type
_PERMUTED = ("attn_q.weight", "attn_k.weight")


class GgufLanguage:
    """The language model of an open file. Its tensors go by the file's own names, as `names.py` lists them."""

    def __init__(self, path: Path) -> None:
        self._file = open_gguf(path)
        self.config = language_config(self._file)

    def __iter__(self) -> Iterator[str]:
        return iter(self._file.entries)

    def __contains__(self, name: str) -> bool:
        return name in self._file.entries

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor."""
        return self._file.entries[name].shape

    def get(self, name: str, dtype: torch.dtype | None) -> Tensor:
        """A tensor, in the dtype asked for (None: float32, which is exact), its rows ordered as our rotation wants."""
        tensor = self._file.tensor(name)
        if name.endswith(_PERMUTED):
            tensor = _unpermuted(tensor, self.config.head_dim)
        return tensor.to(dtype or torch.float32)

    def tokenizer(self) -> Tokenizer:
        """The byte-level BPE that the file describes."""
        return bpe_tokenizer(self._file)


def language_config(file: GgufFile) -> LanguageConfig:
    """The decoder's shape. UserError for another architecture, and for what our decoder does not do."""
    architecture = file.metadata.get("general.architecture")
    if architecture != "llama":
        raise UserError(f"{file.path}: architecture {architecture!r} is not supported in GGUF files, only 'llama'")
    scaling = file.metadata.get("llama.rope.scaling.type", "none")
    if scaling != "none":
        raise UserError(f"{file.path}: rope scaling {scaling!r} is not supported in GGUF files")
    heads, width = _number(file, "llama.attention.head_count"), _number(file, "llama.embedding_length")
    head_dim = file.metadata.get("llama.attention.key_length", width // heads)
    turned = file.metadata.get("llama.rope.dimension_count", head_dim)
    if turned != head_dim or file.metadata.get("llama.attention.value_length", head_dim) != head_dim:
        raise UserError(f"{file.path}: heads whose keys, values and rotation differ in width are not supported")
    ours = {
        "family": "llama",
        "vocab_size": len(_tokens(file)),
        "hidden_size": width,
        "num_layers": _number(file, "llama.block_count"),
        "num_heads": heads,
        "num_kv_heads": file.metadata.get("llama.attention.head_count_kv", heads),
        "head_dim": head_dim,
        "intermediate_size": _number(file, "llama.feed_forward_length"),
        "rope_theta": file.metadata.get("llama.rope.freq_base", 10000.0),
        "rms_norm_eps": _number(file, "llama.attention.layer_norm_rms_epsilon"),
        "qkv_bias": False,
        "tie_embeddings": "output.weight" not in file.entries,
        "max_positions": _number(file, "llama.context_length"),
    }
    return decode(LanguageConfig, ours, str(file.path))


def bpe_tokenizer(file: GgufFile) -> Tokenizer:
    """A byte-level BPE tokenizer from the file's tokens, merges and token types."""
    model, words = file.metadata.get("tokenizer.ggml.model"), file.metadata.get("tokenizer.ggml.pre")
    bytes_of = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    ways: dict[Any, pre_tokenizers.PreTokenizer] = {
        "gpt-2": bytes_of,
        "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), bytes_of]),
    }
    if model != "gpt2" or words not in ways:
        raise UserError(
            f"{file.path}: tokenizer {model!r} with words cut by {words!r} is not supported, "
            f"only 'gpt2' with {' or '.join(ways)}"
        )
    tokens, types = _tokens(file), file.metadata.get("tokenizer.ggml.token_type", [])
    merges = [tuple(merge.split(" ")) for merge in file.metadata.get("tokenizer.ggml.merges", [])]
    if len(types) != len(tokens):
        raise UserError(f"{file.path}: {len(tokens)} tokens but {len(types)} token types; the file is damaged")
    try:
        tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    except Exception as error:  # the library raises bare Exception for merges of unknown tokens
        raise UserError(f"{file.path}: its tokens and merges make no tokenizer: {error}") from error
    tokenizer.pre_tokenizer = ways[words]
    tokenizer.decoder = decoders.ByteLevel()
    special = [token for token, kind in zip(tokens, types, strict=True) if kind == _CONTROL]
    plain = [token for token, kind in zip(tokens, types, strict=True) if kind == _USER_DEFINED]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in plain])
    return tokenizer


def _tokens(file: GgufFile) -> list[str]:
    tokens = file.metadata.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, list) or not tokens:
        raise UserError(f"{file.path}: no tokens in it (tokenizer.ggml.tokens); it is not a whole language model")
    return tokens


def _number(file: GgufFile, key: str) -> Any:
    value = file.metadata.get(key)
    if not isinstance(value, int | float) or value <= 0:
        raise UserError(f"{file.path}: {key} is {value!r}; the file is damaged")
    return value


def _unpermuted(weight_OI: Tensor, head_dim: int) -> Tensor:
    """Rows of q or k with the two halves of a head one after the other; the file has them in alternation."""
    heads_HPTI = weight_OI.unflatten(0, (-1, head_dim // 2, 2))
    return heads_HPTI.transpose(1, 2).reshape(weight_OI.shape)
