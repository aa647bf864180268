"""A tiny random model made and saved by `transformers` itself, with the files of a published checkpoint."""

from pathlib import Path

import pytest
import torch
from transformers import (
    PreTrainedTokenizerFast,
    VideoLlama3Config,
    VideoLlama3ForConditionalGeneration,
)
from transformers.models.video_llama_3.image_processing_pil_video_llama_3 import VideoLlama3ImageProcessorPil

from tests.tiny import tiny_tokenizer, token_id


def published_model(tie: bool = True, text: str = "qwen2") -> VideoLlama3ForConditionalGeneration:
    """The oracle: `transformers`' own model with random weights of a visible size."""
    torch.manual_seed(1)
    config = VideoLlama3Config(
        text_config={
            "model_type": text,
            "vocab_size": 272,
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "intermediate_size": 96,
            "max_position_embeddings": 4096,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
            "tie_word_embeddings": tie,
            "eos_token_id": token_id("<|im_end|>"),
            "bos_token_id": None,
        },
        vision_config={
            "hidden_size": 48,
            "intermediate_size": 80,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "patch_size": 14,
        },
        image_token_id=token_id("<|image_pad|>"),
        video_token_id=token_id("<|video_pad|>"),
        tie_word_embeddings=tie,
    )
    model = VideoLlama3ForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.15)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    model.generation_config.eos_token_id = token_id("<|im_end|>")
    return model


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[VideoLlama3ForConditionalGeneration, Path]:
    """(the oracle, the folder that it saved)."""
    folder = tmp_path_factory.mktemp("published")
    model = published_model()
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tiny_tokenizer(), eos_token="<|im_end|>").save_pretrained(folder)
    VideoLlama3ImageProcessorPil().save_pretrained(folder)
    return model, folder
