"""A tiny random model and tokenizer for tests: every part of the real thing, small enough to check by hand."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from vl3.config import LanguageConfig, ModelConfig, ProcessorConfig, VisionConfig
from vl3.model import VideoLLaMA3

if TYPE_CHECKING:
    from vl3.weights import Checkpoint

SPECIALS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<image>",
    "<|stream_start|>",
    "<|stream_end|>",
]


def tiny_tokenizer() -> Tokenizer:
    """Byte-level, one token a byte, with the special tokens after the 256 bytes."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIALS])
    return tokenizer


def token_id(token: str) -> int:
    return 256 + SPECIALS.index(token)


def tiny_config(tie: bool = True, family: str = "qwen2") -> ModelConfig:
    return ModelConfig(
        vision=VisionConfig(hidden_size=48, num_layers=2, num_heads=4, intermediate_size=80),
        language=LanguageConfig(
            family=family,
            vocab_size=272,
            hidden_size=64,
            num_layers=2,
            num_heads=4,
            num_kv_heads=2,
            head_dim=16,
            intermediate_size=96,
            qkv_bias=family == "qwen2",
            tie_embeddings=tie,
            max_positions=4096,
        ),
        image_token_id=token_id("<|image_pad|>"),
        video_token_id=token_id("<|video_pad|>"),
    )


def tiny_model(config: ModelConfig | None = None, seed: int = 0) -> VideoLLaMA3:
    """Random weights, large enough that answers differ from input to input."""
    torch.manual_seed(seed)
    model = VideoLLaMA3(config or tiny_config()).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.15)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def tiny_checkpoint(seed: int = 0) -> "Checkpoint":
    """The tiny model as if it had been loaded."""
    from vl3.weights import Checkpoint

    config = tiny_config()
    return Checkpoint(
        model=tiny_model(config, seed),
        config=config,
        processor=ProcessorConfig(max_tokens=400),
        tokenizer=tiny_tokenizer(),
        layout="vl3",
        path=Path("tiny"),
        eos_token_ids=(token_id("<|im_end|>"),),
    )
