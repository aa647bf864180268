"""config.json and its companions -> our configs, for every layout.

Published files leave out what equals their library's defaults, so those defaults are spelt out here.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tokenizers import Tokenizer

from vl3.config import (
    LanguageConfig,
    ModelConfig,
    ProcessorConfig,
    PruneConfig,
    RopeScaling,
    VisionConfig,
    decode,
    encode,
    read_json,
)
from vl3.errors import UserError
from vl3.weights.names import Layout

Json = dict[str, Any]
Config = TypeVar("Config")
Where = TypeVar("Where", str, Path)

_LAYOUTS: dict[str, Layout] = {"vl3": "vl3", "video_llama_3": "transformers", "videollama3_qwen2": "authors"}
_QWEN2: Json = {
    "vocab_size": 151936,
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "intermediate_size": 22016,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
}
_LLAMA: Json = {
    **_QWEN2,
    "vocab_size": 32000,
    "intermediate_size": 11008,
    "num_key_value_heads": None,
    "max_position_embeddings": 2048,
}
_VISION: Json = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "patch_size": 16,
    "num_channels": 3,
    "layer_norm_eps": 1e-6,
    "hidden_act": "gelu_pytorch_tanh",
}


def read_config_file(folder: Path) -> Json:
    """config.json of a checkpoint or of one of its parts."""
    data = read_json(folder / "config.json")
    if not isinstance(data, dict):
        raise UserError(f"{folder / 'config.json'}: not a JSON object")
    return data


def layout_of(config: Json, folder: Path) -> Layout:
    """Which layout a config.json belongs to."""
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in _LAYOUTS:
        raise UserError(
            f"{folder / 'config.json'}: model_type {kind!r} is not a VideoLLaMA3 checkpoint ({', '.join(_LAYOUTS)}); "
            "to build one from a vision tower and a language model use `vl3 assemble`"
        )
    return _LAYOUTS[kind]


def _of_known_form(read: Callable[[Json, Where], Config]) -> Callable[[Json, Where], Config]:
    """Makes values of another form than any published file has (a list for a number) a UserError."""

    @functools.wraps(read)
    def checked(config: Json, where: Where) -> Config:
        try:
            return read(config, where)
        except (TypeError, AttributeError, KeyError, ValueError, ZeroDivisionError) as error:
            raise UserError(f"{where}: a value of the configuration has a wrong form ({error!r})") from error

    return checked


@_of_known_form
def model_config(config: Json, folder: Path) -> ModelConfig:
    """The model's shape, from any layout's config.json."""
    where = str(folder / "config.json")
    layout = layout_of(config, folder)
    if layout == "vl3":
        return decode(ModelConfig, config.get("model", {}), where)
    if layout == "transformers":
        text = dict(config.get("text_config") or {})
        text.setdefault("tie_word_embeddings", config.get("tie_word_embeddings", False))
        vision = config.get("vision_config") or {}
        image, video = config.get("image_token_id", 151655), config.get("video_token_id", 151656)
    else:
        text, vision = {**config, "model_type": "qwen2"}, config.get("vision_encoder_config") or {}
        image = video = config.get("image_token_index", 151665)
        projector = config.get("mm_projector_type", "mlp2x_gelu")
        if projector != "mlp2x_gelu":
            raise UserError(f"{where}: mm_projector_type {projector!r} is not supported, only mlp2x_gelu")
    shape = {"vision": vision_config(vision, where), "language": language_config(text, where)}
    return decode(ModelConfig, {**shape, "image_token_id": image, "video_token_id": video}, where)


@_of_known_form
def vision_config(data: Json, where: str) -> VisionConfig:
    """A SigLIP-shaped vision config."""
    data = {**_VISION, **data}
    ours = {
        "hidden_size": data["hidden_size"],
        "num_layers": data["num_hidden_layers"],
        "num_heads": data["num_attention_heads"],
        "intermediate_size": data["intermediate_size"],
        "patch_size": data["patch_size"],
        "num_channels": data["num_channels"],
        "layer_norm_eps": data["layer_norm_eps"],
        "hidden_act": data["hidden_act"],
        "rope_theta": (data.get("rope_parameters") or {}).get("rope_theta", 10000.0),
    }
    return decode(VisionConfig, ours, f"{where} (vision)")


@_of_known_form
def language_config(data: Json, where: str) -> LanguageConfig:
    """A Qwen2 or Llama config. UserError for what our decoder does not do."""
    family = data.get("model_type", "qwen2")
    if family not in ("qwen2", "llama"):
        raise UserError(f"{where}: language model {family!r} is not supported, only qwen2 (Qwen2, Qwen2.5) and llama")
    data = {**(_QWEN2 if family == "qwen2" else _LLAMA), **data}
    for key, plain in {
        "hidden_act": "silu",
        "use_sliding_window": False,
        "mlp_bias": False,
        "attention_bias": False,
    }.items():
        if data.get(key, plain) != plain and not (key == "attention_bias" and family == "qwen2"):
            raise UserError(f"{where}: {key} = {data[key]!r} is not supported, only {plain!r}")
    theta, scaling = _rope(data, where)
    heads = data["num_attention_heads"]
    ours = {
        "family": family,
        "vocab_size": data["vocab_size"],
        "hidden_size": data["hidden_size"],
        "num_layers": data["num_hidden_layers"],
        "num_heads": heads,
        "num_kv_heads": data["num_key_value_heads"] or heads,
        "head_dim": data.get("head_dim") or data["hidden_size"] // heads,
        "intermediate_size": data["intermediate_size"],
        "rope_theta": theta,
        "rope_scaling": None if scaling is None else encode(scaling),
        "rms_norm_eps": data["rms_norm_eps"],
        "qkv_bias": family == "qwen2",
        "tie_embeddings": data["tie_word_embeddings"],
        "max_positions": data["max_position_embeddings"],
    }
    return decode(LanguageConfig, ours, f"{where} (language model)")


def _rope(data: Json, where: str) -> tuple[float, RopeScaling | None]:
    """Base and stretching, as transformers 4 (`rope_theta`, `rope_scaling`) or 5 (`rope_parameters`) writes them."""
    parameters = data.get("rope_parameters") or data.get("rope_scaling") or {}
    theta = float(parameters.get("rope_theta") or data["rope_theta"])
    kind = parameters.get("rope_type", parameters.get("type", "default"))
    if kind == "default":
        return theta, None
    if kind != "llama3":
        raise UserError(f"{where}: rope scaling {kind!r} is not supported, only llama3")
    scaling = RopeScaling(
        factor=parameters["factor"],
        low_freq_factor=parameters["low_freq_factor"],
        high_freq_factor=parameters["high_freq_factor"],
        original_max_positions=parameters["original_max_position_embeddings"],
    )
    return theta, scaling


# ---------------------------------------------------------------------------------------------------- preprocessing


@_of_known_form
def processor_config(config: Json, folder: Path) -> ProcessorConfig:
    """How a checkpoint wants its pictures, from its processor files (all optional)."""
    layout = layout_of(config, folder)
    if layout == "vl3":
        return decode(ProcessorConfig, config.get("processor", {}), str(folder / "config.json"))
    image, joint = _optional(folder / "preprocessor_config.json"), _optional(folder / "processor_config.json")
    ours: Json = {"resize": layout}
    if layout == "authors":
        both = {**joint, **image}
        keys = (
            "patch_size",
            "image_mean",
            "image_std",
            "image_merge_size",
            "video_merge_size",
            "min_tokens",
            "max_tokens",
        )
        ours |= {key: both[key] for key in keys if both.get(key) is not None}
        ours["sampling"] = {key: both[key] for key in ("fps", "max_frames") if both.get(key) is not None}
        prunes = config.get("use_token_compression", True)
    else:
        image = image or joint.get("image_processor", {})
        video = _optional(folder / "video_preprocessor_config.json") or joint.get("video_processor", {})
        ours |= {key: image[key] for key in ("patch_size", "image_mean", "image_std") if image.get(key) is not None}
        for kind, data in (("image", image), ("video", video)):
            size = data.get("size") or {}
            limits = {
                f"{kind}_merge_size": data.get("merge_size"),
                f"{kind}_min_pixels": data.get("min_pixels") or size.get("shortest_edge"),
                f"{kind}_max_pixels": data.get("max_pixels") or size.get("longest_edge"),
            }
            ours |= {key: value for key, value in limits.items() if value is not None}
        ours["sampling"] = {key: video[key] for key in ("fps", "max_frames") if video.get(key) is not None}
        prunes = video.get("use_token_compression", True)
    if prunes is False:
        ours["prune"] = encode(PruneConfig(mode="off"))
    return decode(ProcessorConfig, ours, f"{folder} (processor files)")


def eos_token_ids(config: Json, folder: Path, tokenizer: Tokenizer) -> tuple[int, ...]:
    """Tokens that end an answer: what the generation config and config name, and the chat template's end mark."""
    text = config.get("text_config")
    named = [_optional(folder / "generation_config.json"), config, text if isinstance(text, dict) else {}]
    found: set[int] = set()
    for data in named:
        value = data.get("eos_token_id")
        found |= {token for token in (value if isinstance(value, list) else [value]) if isinstance(token, int)}
    mark = tokenizer.token_to_id("<|im_end|>")
    return tuple(sorted(found | ({mark} if mark is not None else set())))


def _optional(path: Path) -> Json:
    data = read_json(path) if path.exists() else {}
    if not isinstance(data, dict):
        raise UserError(f"{path}: not a JSON object")
    return data
