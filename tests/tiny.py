"""The tiny random model that tests use: every part of the real thing, small enough to check by hand."""

from dataclasses import replace
from pathlib import Path

from vl3.config import ModelConfig, ProcessorConfig
from vl3.model import VideoLLaMA3
from vl3.weights import Checkpoint
from vl3.weights.demo import SPECIAL_TOKENS as SPECIALS
from vl3.weights.demo import byte_tokenizer as tiny_tokenizer
from vl3.weights.demo import demo_config, random_model


def token_id(token: str) -> int:
    return 256 + SPECIALS.index(token)


def tiny_config(tie: bool = True, family: str = "qwen2") -> ModelConfig:
    config = demo_config(tiny_tokenizer())
    language = replace(
        config.language, family=family, qkv_bias=family == "qwen2", tie_embeddings=tie, max_positions=4096
    )
    return replace(config, language=language)


def tiny_model(config: ModelConfig | None = None, seed: int = 0) -> VideoLLaMA3:
    return random_model(config or tiny_config(), seed)


def tiny_checkpoint(seed: int = 0) -> Checkpoint:
    """The tiny model as if it had been loaded."""
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
