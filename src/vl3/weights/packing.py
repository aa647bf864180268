"""Filling a model with packed weights: the decoder's linear layers in 8 or 4 bits; the vision encoder's, the embedding
and the output head in 8; all else (norms, biases, projector, convolutions) in the model's own type.
"""

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from vl3.config import ModelConfig
from vl3.errors import UserError
from vl3.model import VideoLLaMA3
from vl3.model.language import CausalAttention, GatedMLP
from vl3.model.vision import VisionAttention, VisionMLP
from vl3.weights.linear_int4 import GROUP, Int4GatedMLP, Int4Linear, require_openvino
from vl3.weights.linear_int8 import Int8Embedding, Int8Linear

Quantize = Literal["int8", "int4"]
"""How the decoder's linear layers are packed."""
_DECODER = "language.layers."
_TABLES = ("language.embed_tokens.weight", "language.lm_head.weight")


def check_quantize(quantize: str | None, device: str) -> None:
    """UserError for what cannot be done here, before anything is loaded."""
    known = get_args(Quantize)
    if quantize is not None and quantize not in known:
        raise UserError(f"unknown way to quantise {quantize!r}: use {' or '.join(known)}")
    if quantize is not None and torch.device(device).type != "cpu":
        raise UserError(f"quantised models run on CPUs, and the device is {device}: use --device cpu, or no --quantize")
    if quantize == "int4":
        require_openvino()


def fill_packed(model: VideoLLaMA3, get: Callable[[str], Tensor], quantize: Quantize) -> None:
    """Fills a model whose tensors are still on the meta device. get: a tensor by our name, asked for once.

    Each is packed as it comes, so that the model is never in memory twice. A layer whose rows do not fit int4's groups
    gets int8.
    """

    def linear(*layers: str) -> nn.Module:
        weights = [get(f"{layer}.weight") for layer in layers]
        biases = [get(f"{layer}.bias") for layer in layers if f"{layer}.bias" in shapes]
        if quantize == "int4" and layers[0].startswith(_DECODER) and in_groups(layers[0]):
            return Int4Linear(weights, biases)
        return Int8Linear(weights, biases)

    def in_groups(layer: str) -> bool:
        return shapes[f"{layer}.weight"][1] % GROUP == 0

    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    for path, module in list(model.named_modules()):
        if isinstance(module, CausalAttention | VisionAttention):
            module.fuse(linear(f"{path}.q_proj", f"{path}.k_proj", f"{path}.v_proj"))
            out = "o_proj" if isinstance(module, CausalAttention) else "out_proj"
            module.add_module(out, linear(f"{path}.{out}"))
        elif isinstance(module, GatedMLP):
            gate, up, down = (f"{path}.{name}_proj" for name in ("gate", "up", "down"))
            if quantize == "int4" and in_groups(gate) and in_groups(down):
                whole = Int4GatedMLP(*(get(f"{layer}.weight") for layer in (gate, up, down)))
                model.get_submodule(path.rpartition(".")[0]).add_module("mlp", whole)
            else:
                module.fuse(linear(gate, up))
                module.add_module("down_proj", linear(down))
        elif isinstance(module, VisionMLP):
            module.add_module("fc1", linear(f"{path}.fc1"))
            module.add_module("fc2", linear(f"{path}.fc2"))
    table = Int8Embedding(get(_TABLES[0]))
    model.language.lm_head = Int8Linear.tied(table) if model.language.lm_head is None else linear("language.lm_head")
    model.language.add_module("embed_tokens", table)
    # copies, for a tensor that lies in a mapped file keeps all of that file in memory
    model.load_state_dict({name: get(name).clone() for name in model.state_dict()}, strict=True, assign=True)


def weight_bytes(config: ModelConfig, quantize: Quantize | None, dtype: torch.dtype, part: str = "") -> int:
    """Memory that the weights of a model take once they are loaded; dtype is that of what is not packed.

    part: what our names of the weights that count begin with, such as "vision."; empty for all.
    """
    with torch.device("meta"):
        tensors = VideoLLaMA3(config).state_dict()
    return sum(
        _tensor_bytes(name, tensor, config, quantize, dtype)
        for name, tensor in tensors.items()
        if name.startswith(part)
    )


def _tensor_bytes(name: str, tensor: Tensor, config: ModelConfig, quantize: Quantize | None, dtype: torch.dtype) -> int:
    plain = tensor.numel() * dtype.itemsize
    if quantize is None or tensor.ndim != 2 or not is_packed(name):
        return plain
    rows, columns = tensor.shape
    if name == _TABLES[0]:
        looked_up = rows * (columns + 4)
        return looked_up + (_int8_bytes(rows, columns) if config.language.tie_embeddings else 0)
    if quantize == "int4" and name.startswith(_DECODER) and columns % GROUP == 0:
        return rows * columns // 2 + 6 * rows * columns // GROUP  # a scale as given, and as the kernels want it
    return _int8_bytes(rows, columns)


def is_packed(name: str) -> bool:
    """Whether a matrix of our name is packed."""
    return name in _TABLES or name.startswith((_DECODER, "vision.blocks."))


def _int8_bytes(rows: int, columns: int) -> int:
    # the kernel stores whole blocks of 64 rows and 4 columns, and of each row its sum; beside them scale and zero point
    return -(-rows // 64) * 64 * (-(-columns // 4) * 4 + 4) + rows * (4 + 8)
