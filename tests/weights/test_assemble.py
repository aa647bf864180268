"""A fresh model from a vision tower and a language model, both saved by `transformers`."""

from pathlib import Path

import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    SiglipConfig,
    SiglipModel,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from tests.tiny import tiny_tokenizer
from vl3.errors import UserError
from vl3.weights import assemble, load_checkpoint

VISION = {
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "patch_size": 14,
    "image_size": 56,
    "hidden_act": "gelu_pytorch_tanh",
}
TEXT = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "max_position_embeddings": 512,
}


def tower(folder: Path, whole: bool) -> Path:
    if whole:
        text = {
            "hidden_size": 48,
            "intermediate_size": 80,
            "num_hidden_layers": 1,
            "num_attention_heads": 4,
            "vocab_size": 9,
        }
        SiglipModel(SiglipConfig(vision_config=VISION, text_config=text)).save_pretrained(folder)
    else:
        SiglipVisionModel(SiglipVisionConfig(**VISION)).save_pretrained(folder)
    return folder


def language(folder: Path, family: str, tie: bool, vocab_size: int = 272) -> Path:
    if family == "qwen2":
        Qwen2ForCausalLM(Qwen2Config(**TEXT, vocab_size=vocab_size, tie_word_embeddings=tie)).save_pretrained(folder)
    else:
        LlamaForCausalLM(LlamaConfig(**TEXT, vocab_size=vocab_size, tie_word_embeddings=tie)).save_pretrained(folder)
    tiny_tokenizer().save(str(folder / "tokenizer.json"))
    return folder


@pytest.mark.parametrize(
    ("family", "tie", "whole"), [("qwen2", True, True), ("qwen2", False, False), ("llama", False, True)]
)
def test_the_parts_keep_their_weights(tmp_path: Path, family: str, tie: bool, whole: bool) -> None:
    vision, text = tower(tmp_path / "v", whole), language(tmp_path / "l", family, tie)
    assemble(vision, text, tmp_path / "m")
    checkpoint = load_checkpoint(tmp_path / "m")
    model = checkpoint.model
    siglip = SiglipModel.from_pretrained(vision).vision_model if whole else SiglipVisionModel.from_pretrained(vision)
    inner = siglip if whole else getattr(siglip, "vision_model", siglip)
    assert torch.equal(model.vision.patch_embedding.weight, inner.embeddings.patch_embedding.weight)
    assert torch.equal(model.vision.blocks[1].attn.k_proj.weight, inner.encoder.layers[1].self_attn.k_proj.weight)
    assert torch.equal(model.vision.norm.weight, inner.post_layernorm.weight)
    causal = (Qwen2ForCausalLM if family == "qwen2" else LlamaForCausalLM).from_pretrained(text, dtype=torch.float32)
    ids = torch.arange(40)
    with torch.no_grad():
        torch.testing.assert_close(
            model.logits(model(ids, [40])), causal.eval()(ids[None]).logits[0], atol=1e-4, rtol=0
        )
    assert checkpoint.tokenizer.token_to_id("<|stream_end|>") == 263
    assert checkpoint.config.image_token_id == checkpoint.tokenizer.token_to_id("<image>")


def test_a_full_vocabulary_grows_for_the_special_tokens(tmp_path: Path) -> None:
    vision, text = tower(tmp_path / "v", False), language(tmp_path / "l", "llama", False, vocab_size=260)
    tokenizer = tiny_tokenizer().to_str().replace("<|stream_start|>", "<|a|>").replace("<|stream_end|>", "<|b|>")
    (text / "tokenizer.json").write_text(tokenizer)
    model = assemble(vision, text, tmp_path / "m").model
    assert model.language.embed_tokens.weight.shape == (320, 64)
    assert model.language.lm_head is not None and model.language.lm_head.weight.shape == (320, 64)


def test_the_projector_depends_on_the_seed_only(tmp_path: Path) -> None:
    vision, text = tower(tmp_path / "v", False), language(tmp_path / "l", "qwen2", True)
    first, again, other = (
        assemble(vision, text, tmp_path / str(i), seed=seed).model.projector.fc1.weight
        for i, seed in enumerate((0, 0, 1))
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_wrong_parts_are_named(tmp_path: Path) -> None:
    vision, text = tower(tmp_path / "v", False), language(tmp_path / "l", "qwen2", True)
    with pytest.raises(UserError, match="is no vision tower"):
        assemble(text, text, tmp_path / "m")
    with pytest.raises(UserError, match="'siglip_vision_model' is not supported"):
        assemble(vision, vision, tmp_path / "m")
