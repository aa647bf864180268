"""What fine-tuning changed, without the weights that it started from: low-rank adapters and whole trained tensors."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from vl3.config import ProcessorConfig, decode, encode, read_json
from vl3.errors import UserError
from vl3.weights.files import NANO, write_tensors

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


@dataclass(frozen=True, eq=False)
class Adapter:
    """A fine-tuned model, less its base."""

    base: str
    """The checkpoint that it changes: a folder or hub id."""
    trained: Mapping[str, Tensor]
    """What training changed, as the adapted model names it: whole tensors, and A and B of adapters."""
    scales: Mapping[str, float]
    """alpha / rank for each module (vision, projector, language) with adapters."""
    processor: ProcessorConfig
    """The settings that it was trained with."""


def is_adapter(name: str) -> bool:
    """Whether a parameter's name is that of an adapter's matrix."""
    return ".lora_A." in name or ".lora_B." in name


def merged(
    weights: Mapping[str, Tensor], trained: Mapping[str, Tensor], scales: Mapping[str, float]
) -> dict[str, Tensor]:
    """Weights with what was trained put in their place, and adapters added: W + alpha / rank * B A.

    weights: all of the model, under its plain names; the others as in `Adapter`. Weights that were not trained are
    returned as they are, to the bit.
    """
    result = dict(weights)
    for name, tensor in trained.items():
        if not is_adapter(name):
            result[name] = tensor.to(weights[name].device, weights[name].dtype)
    for name, a_RI in trained.items():
        if ".lora_A." not in name:
            continue
        layer = name[: name.index(".lora_A.")]
        b_OR = trained[name.replace(".lora_A.", ".lora_B.")]
        weight = result[f"{layer}.weight"]
        change = (b_OR.float() @ a_RI.float()) * scales[name.partition(".")[0]]
        result[f"{layer}.weight"] = (weight.float() + change.to(weight.device)).to(weight.dtype)
    return result


def save_adapter(folder: Path, adapter: Adapter) -> None:
    """Writes the folder that `load_adapter` reads; a base on this disk is named by its absolute path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(adapter.trained, folder / ADAPTER_WEIGHTS)
    here = adapter.base != NANO and Path(adapter.base).exists()
    base = str(Path(adapter.base).absolute()) if here else adapter.base
    content = {"base": base, "scales": dict(adapter.scales), "processor": encode(adapter.processor)}
    (folder / ADAPTER_CONFIG).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def load_adapter(folder: Path) -> Adapter:
    """Reads what `save_adapter` wrote. UserError for anything else, such as an adapter that another library saved."""
    data = read_json(folder / ADAPTER_CONFIG)
    if not isinstance(data, dict) or not {"base", "scales", "processor"} <= set(data):
        raise UserError(f"{folder}: not an adapter that vl3 saved; merge it with the library that did")
    try:
        trained = load_file(folder / ADAPTER_WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{folder / ADAPTER_WEIGHTS}: cannot be read: {error}") from error
    processor = decode(ProcessorConfig, data["processor"], str(folder / ADAPTER_CONFIG))
    return Adapter(str(data["base"]), trained, dict(data["scales"]), processor)
