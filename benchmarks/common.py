"""What the measurements share: models of the 2B's shapes on both sides, and timing in turns."""

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from vl3.config import LanguageConfig, ModelConfig, VisionConfig
from vl3.model import VideoLLaMA3
from vl3.weights.names import name_table
from vl3.weights.packing import Quantize, fill_packed

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def in_turns(sides: dict[str, Callable[[], Any]], runs: int) -> dict[str, list[float]]:
    """Seconds of each side, measured A B A B ... after one warm-up each, so that a drifting machine favours none."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for run in range(runs + 1):
        for name, side in sides.items():
            progress(f"{name}: run {run} of {runs}")
            start = time.perf_counter()
            side()
            if run:
                seconds[name].append(time.perf_counter() - start)
    progress("")
    return seconds


def progress(text: str) -> None:
    """One changing line on a terminal's standard error."""
    if sys.stderr.isatty():
        print(f"\r{text:<40}\r", end="", file=sys.stderr, flush=True)


def ratio(seconds: dict[str, list[float]], peer: str = "transformers", ours: str = "vl3") -> dict[str, float]:
    """How many times faster `ours` is than `peer`: pair by pair, then the median, least and most."""
    pairs = [a / b for a, b in zip(seconds[peer], seconds[ours], strict=True)]
    return {"median": statistics.median(pairs), "min": min(pairs), "max": max(pairs)}


def say(result: dict[str, Any], as_json: bool) -> None:
    """Prints a result, as JSON or a line for each figure."""
    if as_json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {number:.3g}" for key, number in value.items())
        print(f"{name}: {value:.3g}" if isinstance(value, float) else f"{name}: {value}")


def shapes_of_2b(vision_layers: int, language_layers: int, tiny: bool = False) -> ModelConfig:
    """VideoLLaMA3-2B's shapes with fewer layers; `tiny` is for trying a script."""
    if tiny:
        return ModelConfig(
            vision=VisionConfig(hidden_size=48, num_layers=1, num_heads=4, intermediate_size=80),
            language=LanguageConfig(
                vocab_size=300,
                hidden_size=64,
                num_layers=1,
                num_heads=4,
                num_kv_heads=2,
                head_dim=16,
                intermediate_size=96,
            ),
            image_token_id=290,
            video_token_id=291,
        )
    return ModelConfig(
        vision=VisionConfig(num_layers=vision_layers),
        language=LanguageConfig(num_layers=language_layers),
        image_token_id=151655,
        video_token_id=151656,
    )


def both_models(config: ModelConfig, dtype: torch.dtype) -> tuple[VideoLLaMA3, Any]:
    """(our model, transformers' model) with the very same random weights, which share memory."""
    from transformers import VideoLlama3Config, VideoLlama3ForConditionalGeneration

    torch.manual_seed(0)
    ours = VideoLLaMA3(config).to(dtype).eval()
    vision, text = config.vision, config.language
    theirs_config = VideoLlama3Config(
        vision_config={
            "hidden_size": vision.hidden_size,
            "num_hidden_layers": vision.num_layers,
            "num_attention_heads": vision.num_heads,
            "intermediate_size": vision.intermediate_size,
            "patch_size": vision.patch_size,
        },
        text_config={
            "model_type": "qwen2",
            "vocab_size": text.vocab_size,
            "hidden_size": text.hidden_size,
            "num_hidden_layers": text.num_layers,
            "num_attention_heads": text.num_heads,
            "num_key_value_heads": text.num_kv_heads,
            "intermediate_size": text.intermediate_size,
            "rope_parameters": {"rope_type": "default", "rope_theta": text.rope_theta},
            "tie_word_embeddings": text.tie_embeddings,
            "max_position_embeddings": text.max_positions,
        },
        image_token_id=config.image_token_id,
        video_token_id=config.video_token_id,
        tie_word_embeddings=text.tie_embeddings,
    )
    with torch.device("meta"):
        theirs = VideoLlama3ForConditionalGeneration(theirs_config)
    theirs = theirs.to_empty(device="cpu").to(dtype).eval()
    tensors = ours.state_dict()
    named = {published: tensors[name] for published, name in name_table(tensors, "transformers").items()}
    theirs.load_state_dict(named, strict=False, assign=True)
    theirs.tie_weights()
    for module in theirs.modules():  # rotary frequencies are buffers that no file holds
        if hasattr(module, "inv_freq"):
            fresh = type(module)(module.config)
            module.inv_freq = fresh.inv_freq
            module.original_inv_freq = fresh.inv_freq.clone()
    return ours, theirs


def packed(plain: VideoLLaMA3, way: Quantize) -> VideoLLaMA3:
    """The same model with packed weights."""
    weights = plain.state_dict()
    with torch.device("meta"):
        model = VideoLLaMA3(plain.config)
    fill_packed(model, weights.__getitem__, way)
    return model.eval()
