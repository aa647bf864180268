"""Adapters (through `peft`) and weights held in 4 or 8 bits (through bitsandbytes)."""

from collections.abc import Mapping

from torch import nn

from vl3.errors import UserError
from vl3.train.config import LoraConfig, PartConfig
from vl3.train.optim import Part


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


def scales_of(parts: Mapping[str, PartConfig]) -> dict[str, float]:
    """alpha / rank of each module with adapters."""
    return {name: part.lora.alpha / part.lora.rank for name, part in parts.items() if part.lora is not None}
