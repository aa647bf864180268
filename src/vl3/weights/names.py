"""One table of tensor names, read both ways: our module names <-> those of every published layout."""

import re
from collections.abc import Iterable
from typing import Literal

Layout = Literal["vl3", "transformers", "authors"]
"""The layouts of a whole checkpoint: ours, `video_llama_3` of transformers, and `videollama3_qwen2` of the authors."""

_PREFIXES: dict[str, dict[str, str]] = {
    # what our `vision.`, `projector.`, `language.` and `language.lm_head.` are called
    "vl3": {
        "vision": "vision.",
        "projector": "projector.",
        "language": "language.",
        "lm_head": "language.lm_head.",
    },
    "transformers": {
        "vision": "model.vision_model.",
        "projector": "model.projector.",
        "language": "model.language_model.",
        "lm_head": "lm_head.",
    },
    "authors": {
        "vision": "model.vision_encoder.",
        "projector": "model.mm_projector.",
        "language": "model.",
        "lm_head": "lm_head.",
    },
    # the authors' training code nested the encoder once more; loaders that do not know it leave it random
    "authors-nested": {
        "vision": "model.vision_encoder.vision_encoder.",
        "projector": "model.mm_projector.",
        "language": "model.",
        "lm_head": "lm_head.",
    },
    # single parts, from which a model is assembled
    "encoder": {"vision": ""},
    "siglip": {"vision": "vision_model."},
    "causal_lm": {"language": "model.", "lm_head": "lm_head."},
    "gguf": {"language": "", "lm_head": "output."},
}

_VISION = {  # ours -> all others'; the rest of a name is the same
    "patch_embedding.": "embeddings.patch_embedding.",
    "norm.": "post_layernorm.",
}
_BLOCK = {"norm1.": "layer_norm1.", "norm2.": "layer_norm2.", "attn.": "self_attn.", "mlp.": "mlp."}
_PROJECTOR = {"fc1.": "readout.0.", "fc2.": "readout.2."}
_GGUF = {"embed_tokens.": "token_embd.", "norm.": "output_norm."}
_GGUF_LAYER = {
    "input_layernorm.": "attn_norm.",
    "self_attn.q_proj.": "attn_q.",
    "self_attn.k_proj.": "attn_k.",
    "self_attn.v_proj.": "attn_v.",
    "self_attn.o_proj.": "attn_output.",
    "post_attention_layernorm.": "ffn_norm.",
    "mlp.gate_proj.": "ffn_gate.",
    "mlp.up_proj.": "ffn_up.",
    "mlp.down_proj.": "ffn_down.",
}


def published_name(name: str, layout: str) -> str | None:
    """What the tensor that we call `name` is called in `layout`; None when that layout does not hold it."""
    part, _, rest = name.partition(".")
    if rest.startswith("lm_head."):
        part, rest = "lm_head", rest.removeprefix("lm_head.")
    prefix = _PREFIXES[layout].get(part)
    if prefix is None:
        return None
    if layout == "gguf":
        rest = _gguf_name(rest) if part == "language" else rest
    elif layout != "vl3":
        rest = {"vision": _vision_name, "projector": _projector_name}.get(part, str)(rest)
    return prefix + rest


def name_table(names: Iterable[str], layout: str) -> dict[str, str]:
    """{published name: our name} for those of our tensor names that `layout` holds."""
    return {published: name for name in names if (published := published_name(name, layout)) is not None}


def variant_of(layout: Layout, names: Iterable[str]) -> str:
    """The row of the table that a file's tensor names follow."""
    nested = layout == "authors" and any(name.startswith("model.vision_encoder.vision_encoder.") for name in names)
    return "authors-nested" if nested else layout


def _vision_name(rest: str) -> str:
    if found := re.fullmatch(r"blocks\.(\d+)\.(\w+\.)(.*)", rest):
        index, module, leaf = found.groups()
        return f"encoder.layers.{index}.{_BLOCK[module]}{leaf}"
    return _replaced(rest, _VISION)


def _projector_name(rest: str) -> str:
    return _replaced(rest, _PROJECTOR)


def _gguf_name(rest: str) -> str:
    if found := re.fullmatch(r"layers\.(\d+)\.(.*\.)(\w+)", rest):
        index, module, leaf = found.groups()
        return f"blk.{index}.{_GGUF_LAYER[module]}{leaf}"
    return _replaced(rest, _GGUF)


def _replaced(rest: str, table: dict[str, str]) -> str:
    module, dot, leaf = rest.partition(".")
    return table[module + dot] + leaf
