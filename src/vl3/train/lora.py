"""Adapters (through `peft`) and weights held in 4 or 8 bits (through bitsandbytes)."""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vl3.errors import UserError
from vl3.train.config import LoraConfig, PartConfig
from vl3.train.optim import Part

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def adapt(part: Part) -> None:
    """Quantises a module's linear layers and gives them adapters, as its settings say, in place.

    New adapters draw from torch's random state; they begin as no change at all.
    """
    if part.config.bits is not None:
        quantise(part.module, part.config.bits)
    if part.config.lora is not None:
        _add_adapters(part, part.config.lora)


def _add_adapters(part: Part, config: LoraConfig) -> None:
    try:
        import peft
    except ImportError as error:
        raise UserError("lora needs the `peft` package: pip install 'vl3[train]'") from error
    names = {name.rpartition(".")[2] for name, m in part.module.named_modules() if isinstance(m, nn.Linear)}
    chosen = sorted(names & set(config.layers))
    if not chosen:
        raise UserError(f"{part.name}.lora.layers: none of {', '.join(config.layers)} is in the {part.name} module")
    part.module.is_loaded_in_4bit = part.config.bits == 4  # type: ignore[assignment]  # how peft picks its layer class
    part.module.is_loaded_in_8bit = part.config.bits == 8  # type: ignore[assignment]
    settings = peft.LoraConfig(
        r=config.rank, lora_alpha=config.alpha, lora_dropout=config.dropout, target_modules=chosen
    )
    peft.inject_adapter_in_model(settings, part.module)


def quantise(module: nn.Module, bits: int) -> None:
    """Replaces every linear layer but the output head by one of 4 (NF4, arXiv 2305.14314) or 8 bits, in place.

    The weights are packed when the module is next moved to a device.
    """
    try:
        from bitsandbytes.nn.modules import Linear4bit, Linear8bitLt
    except ImportError as error:
        raise UserError(f"bits={bits} needs the `bitsandbytes` package: pip install bitsandbytes") from error
    for name, layer in list(module.named_modules()):
        if not isinstance(layer, nn.Linear) or name == "lm_head":
            continue
        bias, dtype = layer.bias is not None, layer.weight.dtype
        new: nn.Module
        if bits == 4:
            new = Linear4bit(layer.in_features, layer.out_features, bias, dtype, quant_type="nf4")
        else:
            new = Linear8bitLt(layer.in_features, layer.out_features, bias, has_fp16_weights=False)
        new.load_state_dict(layer.state_dict())
        new.requires_grad_(False)
        parent, _, leaf = name.rpartition(".")
        setattr(module.get_submodule(parent), leaf, new)


def is_adapter(name: str) -> bool:
    """Whether a parameter's name is that of an adapter's matrix."""
    return ".lora_A." in name or ".lora_B." in name


def merged(
    weights: Mapping[str, Tensor], trained: Mapping[str, Tensor], scales: Mapping[str, float]
) -> dict[str, Tensor]:
    """The starting weights with what was trained put in their place, and adapters added: W + alpha / rank * B A.

    weights: all of the model, under its plain names; trained: what training changed, as the adapted model names it;
    scales: alpha / rank for each module with adapters.
    Weights that were not trained are returned as they are, to the bit.
    """
    result = dict(weights)
    for name, tensor in trained.items():
        if not is_adapter(name):
            result[name] = tensor
    for name, a_RI in trained.items():
        if ".lora_A." not in name:
            continue
        layer = name[: name.index(".lora_A.")]
        b_OR = trained[name.replace(".lora_A.", ".lora_B.")]
        change = (b_OR.float() @ a_RI.float()) * scales[name.partition(".")[0]]
        weight = result[f"{layer}.weight"]
        result[f"{layer}.weight"] = (weight.float() + change).to(weight.dtype)
    return result


def scales_of(parts: Mapping[str, PartConfig]) -> dict[str, float]:
    """alpha / rank of each module with adapters."""
    return {name: part.lora.alpha / part.lora.rank for name, part in parts.items() if part.lora is not None}


def save_adapter(folder: Path, trained: Mapping[str, Tensor], scales: Mapping[str, float], base: str) -> None:
    """Everything that was trained, without the base weights, which `base` names."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in trained.items()}, folder / ADAPTER_WEIGHTS)
    (folder / ADAPTER_CONFIG).write_text(json.dumps({"base": base, "scales": dict(scales)}, indent=2) + "\n")


def load_adapter(folder: Path) -> tuple[str, dict[str, Tensor], dict[str, float]]:
    """(base checkpoint, trained tensors, scale of each module's adapters) of a folder that `save_adapter` wrote."""
    try:
        data = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
        return str(data["base"]), load_file(folder / ADAPTER_WEIGHTS), dict(data["scales"])
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"{folder}: not an adapter that vl3 saved ({error})") from error
