"""Tokenizers: `tokenizer.json`, or Qwen2's byte-level BPE built from its older files."""

from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from vl3.config import read_json
from vl3.errors import UserError

# How Qwen2 cuts text into words before BPE: contractions, letters, single digits, punctuation, line ends, spaces
# (published in the pre_tokenizer of Qwen2's tokenizer.json).
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a checkpoint folder. UserError when its files are missing or do not parse."""
    path = folder / "tokenizer.json"
    if path.exists():
        try:
            return Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception for whatever is wrong with the file
            raise UserError(f"{path}: not a readable tokenizer: {error}") from error
    if not ((folder / "vocab.json").exists() and (folder / "merges.txt").exists()):
        raise UserError(f"{folder}: no tokenizer: it needs tokenizer.json, or vocab.json and merges.txt")
    return _qwen2(folder)


def _qwen2(folder: Path) -> Tokenizer:
    try:
        bpe = models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt"))
    except Exception as error:  # as above
        raise UserError(f"{folder}: vocab.json and merges.txt make no tokenizer: {error}") from error
    tokenizer = Tokenizer(bpe)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    for token_id, token in _added_tokens(folder):
        tokenizer.add_special_tokens([token])
        if tokenizer.token_to_id(token.content) != token_id:
            raise UserError(
                f"{folder}: added token {token.content!r} should have id {token_id}; files do not fit together"
            )
    return tokenizer


def _added_tokens(folder: Path) -> list[tuple[int, AddedToken]]:
    """(id, token), ascending, from tokenizer_config.json and added_tokens.json, whichever there are."""
    found: dict[int, str] = {}
    path = folder / "added_tokens.json"
    try:
        if path.exists():
            found |= {int(token_id): str(token) for token, token_id in read_json(path).items()}
        path = folder / "tokenizer_config.json"
        if path.exists():
            decoder: dict[str, Any] = read_json(path).get("added_tokens_decoder") or {}
            found |= {int(token_id): str(token["content"]) for token_id, token in decoder.items()}
    except (TypeError, AttributeError, KeyError, ValueError) as error:
        raise UserError(f"{path}: added tokens are not written as they should be ({error!r})") from error
    return [(token_id, AddedToken(found[token_id], special=True, normalized=False)) for token_id in sorted(found)]


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """The id of a token that must be there."""
    found = tokenizer.token_to_id(token)
    assert found is not None, f"{token} was not added"
    return found


def with_special_tokens(tokenizer: Tokenizer, tokens: list[str]) -> Tokenizer:
    """A copy of the tokenizer that knows `tokens` as special ones; those it has keep their ids."""
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in tokens])
    return copy
