"""The tokenizer that is built from Qwen2's older files is Qwen2's."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import Qwen2Tokenizer

from vl3.errors import UserError
from vl3.weights.tokenizer import load_tokenizer

TEXT = "The cat's 12 hats, don't  sit\n\n  on 3 mats! Été naïve 猫は帽子 😀 x=y+1; for(i=0;i<10;i++)\t\r\n" * 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trained.train_from_iterator([TEXT], trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet))
    trained.model.save(str(folder))
    size = trained.get_vocab_size()
    added = {"<|endoftext|>": size, "<|im_start|>": size + 1, "<|im_end|>": size + 2, "<image>": size + 3}
    (folder / "added_tokens.json").write_text(json.dumps(added))
    return folder


@pytest.fixture(scope="module")
def published(folder: Path) -> Qwen2Tokenizer:
    tokenizer = Qwen2Tokenizer(
        vocab=json.loads((folder / "vocab.json").read_text()),
        merges=[tuple(line.split(" ")) for line in (folder / "merges.txt").read_text().splitlines()[1:]],
    )
    tokenizer.add_tokens(["<|im_start|>", "<|im_end|>", "<image>"], special_tokens=True)
    return tokenizer


NASTY = [
    TEXT,
    "e\u0301 and \u00e9",
    "12345 1,234.5",
    "  \n \t\n x",
    "I'LL we'Ve",
    "<|im_start|>user\n<image>\nHi<|im_end|>",
    "a\u00a0b\u200bc",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
]


@pytest.mark.parametrize("text", NASTY)
def test_nasty_strings(text: str, folder: Path, published: Qwen2Tokenizer) -> None:
    assert load_tokenizer(folder).encode(text, add_special_tokens=False).ids == published.encode(text)


@given(st.text())
@settings(max_examples=200, deadline=None)
def test_any_string(folder: Path, published: Qwen2Tokenizer, text: str) -> None:
    assert load_tokenizer(folder).encode(text, add_special_tokens=False).ids == published.encode(text)


def test_added_tokens_that_do_not_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).write_text((folder / name).read_text())
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<image>": 9000}))
    with pytest.raises(UserError, match="should have id 9000"):
        load_tokenizer(tmp_path)
