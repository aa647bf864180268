"""Our configs -> the files of every layout: config.json, processor files, chat template."""

from typing import Any

from tokenizers import Tokenizer

from vl3.chat import jinja_template
from vl3.config import LanguageConfig, ModelConfig, ProcessorConfig, VisionConfig, encode
from vl3.errors import UserError
from vl3.weights.names import Layout

Json = dict[str, Any]

PLACEHOLDERS: dict[Layout, tuple[str, str]] = {
    "vl3": ("<image>", "<image>"),
    "authors": ("<image>", "<image>"),
    "transformers": ("<|image_pad|>", "<|video_pad|>"),
}
"""The tokens that stand for an image's and a video's visual tokens."""


def config_files(
    config: ModelConfig,
    processor: ProcessorConfig,
    tokenizer: Tokenizer,
    eos_token_ids: tuple[int, ...],
    layout: Layout,
    dtype: str,
) -> dict[str, Json | str]:
    """{file name: content} of all but the tensors and tokenizer.json."""
    eos = eos_token_ids[0] if len(eos_token_ids) == 1 else list(eos_token_ids)
    generation = {"eos_token_id": eos, "do_sample": False}
    if layout == "vl3":
        model = {"model_type": "vl3", "model": encode(config), "processor": encode(processor), "eos_token_id": eos}
        return {"config.json": model, "generation_config.json": generation}
    end = next((token for i in eos_token_ids if (token := tokenizer.id_to_token(i))), None)
    files: dict[str, Json | str] = {
        "generation_config.json": generation,
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": end,
            "pad_token": "<|endoftext|>" if tokenizer.token_to_id("<|endoftext|>") is not None else end,
            "model_max_length": config.language.max_positions,
            "clean_up_tokenization_spaces": False,
        },
        "chat_template.jinja": jinja_template(layout),
    }
    write = _transformers if layout == "transformers" else _authors
    return files | write(config, processor, eos, dtype)


def _transformers(config: ModelConfig, processor: ProcessorConfig, eos: Any, dtype: str) -> Json:
    vision = _vision(config.vision) | {"model_type": "video_llama_3_vision"}
    vision["rope_parameters"] = {"rope_type": "axial", "rope_theta": config.vision.rope_theta}
    shared = {
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": list(processor.image_mean),
        "image_std": list(processor.image_std),
        "patch_size": processor.patch_size,
        "temporal_patch_size": 1,
        "resample": 3,
        "rescale_factor": 1 / 255,
        "processor_class": "VideoLlama3Processor",
    }
    return {
        "config.json": {
            "architectures": ["VideoLlama3ForConditionalGeneration"],
            "model_type": "video_llama_3",
            "dtype": dtype,
            "text_config": _language(config.language) | {"eos_token_id": eos, "dtype": dtype},
            "vision_config": vision | {"dtype": dtype},
            "image_token_id": config.image_token_id,
            "video_token_id": config.video_token_id,
            "tie_word_embeddings": config.language.tie_embeddings,
        },
        "preprocessor_config.json": {
            **shared,
            "image_processor_type": "VideoLlama3ImageProcessor",
            "merge_size": processor.image_merge_size,
            "size": {"shortest_edge": processor.image_min_pixels, "longest_edge": processor.image_max_pixels},
        },
        "video_preprocessor_config.json": {
            **shared,
            "video_processor_type": "VideoLlama3VideoProcessor",
            "merge_size": processor.video_merge_size,
            "size": {"shortest_edge": processor.video_min_pixels, "longest_edge": processor.video_max_pixels},
            "fps": processor.sampling.fps,
            "max_frames": processor.sampling.max_frames,
            "min_frames": 4,
            "do_sample_frames": True,
            "return_metadata": True,
            "use_token_compression": processor.prune.mode != "off",
        },
    }


def _authors(config: ModelConfig, processor: ProcessorConfig, eos: Any, dtype: str) -> Json:
    if config.language.family != "qwen2":
        raise UserError("the authors' layout holds Qwen2 language models only; use --layout transformers or vl3")
    pictures = {
        "image_processor_type": "Videollama3ImageProcessor",
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": list(processor.image_mean),
        "image_std": list(processor.image_std),
        "min_tokens": processor.min_tokens,
        "max_tokens": processor.max_tokens,
        "patch_size": processor.patch_size,
        "resample": 3,
        "rescale_factor": 1 / 255,
    }
    return {
        "config.json": {
            **_language(config.language),
            "architectures": ["Videollama3Qwen2ForCausalLM"],
            "model_type": "videollama3_qwen2",
            "torch_dtype": dtype,
            "eos_token_id": eos,
            "vision_encoder_config": _vision(config.vision) | {"model_type": "videollama3_vision_encoder"},
            "mm_projector_type": "mlp2x_gelu",
            "use_token_compression": processor.prune.mode != "off",
            "image_token_index": config.image_token_id,
        },
        "preprocessor_config.json": pictures,
        "processor_config.json": {
            "processor_class": "Videollama3Qwen2Processor",
            "fps": processor.sampling.fps,
            "max_frames": processor.sampling.max_frames,
            "image_merge_size": processor.image_merge_size,
            "video_merge_size": processor.video_merge_size,
        },
    }


def _vision(config: VisionConfig) -> Json:
    return {
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "intermediate_size": config.intermediate_size,
        "patch_size": config.patch_size,
        "num_channels": config.num_channels,
        "layer_norm_eps": config.layer_norm_eps,
        "hidden_act": config.hidden_act,
        "attention_dropout": 0.0,
    }


def _language(config: LanguageConfig) -> Json:
    """As both transformers 4 (`rope_theta`) and 5 (`rope_parameters`) read it."""
    rope: Json = {"rope_type": "default", "rope_theta": config.rope_theta}
    if config.rope_scaling is not None:
        rope |= {
            "rope_type": "llama3",
            "factor": config.rope_scaling.factor,
            "low_freq_factor": config.rope_scaling.low_freq_factor,
            "high_freq_factor": config.rope_scaling.high_freq_factor,
            "original_max_position_embeddings": config.rope_scaling.original_max_positions,
        }
    data: Json = {
        "model_type": config.family,
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.intermediate_size,
        "hidden_act": "silu",
        "rms_norm_eps": config.rms_norm_eps,
        "rope_theta": config.rope_theta,
        "rope_parameters": rope,
        "max_position_embeddings": config.max_positions,
        "tie_word_embeddings": config.tie_embeddings,
        "attention_dropout": 0.0,
        "use_cache": True,
    }
    if config.family == "qwen2":
        return data | {"use_sliding_window": False}
    return data | {
        "attention_bias": False,
        "mlp_bias": False,
        "rope_scaling": None if config.rope_scaling is None else rope,
    }
