"""A tiny random model, saved as real ones are: for trying commands and for tests. Plainly marked as untrained."""

from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from vl3.config import LanguageConfig, ModelConfig, ProcessorConfig, VisionConfig
from vl3.model import VideoLLaMA3
from vl3.weights.load import Checkpoint
from vl3.weights.save import UNTRAINED, save_checkpoint
from vl3.weights.tokenizer import token_id

SPECIAL_TOKENS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<image>",
    "<|stream_start|>",
    "<|stream_end|>",
]


def is_untrained(folder: Path) -> bool:
    """Whether a checkpoint's weights are random."""
    return (folder / UNTRAINED).exists()


def save_demo_model(path: str | Path, *, seed: int = 0, overwrite: bool = False) -> Checkpoint:
    """Saves a random model of 0.2 million parameters with a byte-level tokenizer, in the vl3 layout."""
    tokenizer = byte_tokenizer()
    config = demo_config(tokenizer)
    checkpoint = Checkpoint(
        model=random_model(config, seed),
        config=config,
        processor=ProcessorConfig(max_tokens=1024),
        tokenizer=tokenizer,
        layout="vl3",
        path=Path(path),
        eos_token_ids=(token_id(tokenizer, "<|im_end|>"),),
    )
    save_checkpoint(checkpoint, path, "vl3", overwrite=overwrite)
    (Path(path) / UNTRAINED).write_text("The weights of this model are random; its answers mean nothing.\n")
    return checkpoint


def byte_tokenizer() -> Tokenizer:
    """One token a byte; the special tokens follow the 256 bytes."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return tokenizer


def demo_config(tokenizer: Tokenizer) -> ModelConfig:
    """Every part of the real thing, two layers deep."""
    return ModelConfig(
        vision=VisionConfig(hidden_size=48, num_layers=2, num_heads=4, intermediate_size=80),
        language=LanguageConfig(
            vocab_size=272,
            hidden_size=64,
            num_layers=2,
            num_heads=4,
            num_kv_heads=2,
            head_dim=16,
            intermediate_size=96,
            max_positions=8192,
        ),
        image_token_id=token_id(tokenizer, "<|image_pad|>"),
        video_token_id=token_id(tokenizer, "<|video_pad|>"),
    )


def random_model(config: ModelConfig, seed: int) -> VideoLLaMA3:
    """Random weights, large enough that answers differ from input to input."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = VideoLLaMA3(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.normal_(0, 0.15)
                else:
                    parameter.add_(torch.randn_like(parameter) * 0.1)
    return model
