"""The beginning of a run: starting weights, what of them is trained, and in which number types."""

from dataclasses import replace
from pathlib import Path

import torch

from vl3.config import ModelConfig, ProcessorConfig
from vl3.model import VideoLLaMA3
from vl3.train.config import TrainConfig
from vl3.train.lora import ADAPTER_CONFIG, adapt, is_adapter, load_adapter, merged
from vl3.train.optim import Part, freeze, parts_of
from vl3.weights import Checkpoint, load_checkpoint
from vl3.weights.files import locate
from vl3.weights.read_config import model_config, read_config_file


def load_start(init_from: str) -> Checkpoint:
    """The checkpoint that a run starts from, on the CPU, as it is stored.

    init_from: a hub id or folder in any layout, the output folder of an earlier run, or an adapter that one saved.
    """
    folder = Path(init_from)
    for inside in ("final", "adapter"):
        if (folder / inside).is_dir():
            folder = folder / inside
            break
    if not (folder / ADAPTER_CONFIG).is_file():
        return load_checkpoint(str(folder) if folder.is_dir() else init_from)
    base, trained, scales = load_adapter(folder)
    start = load_start(base)
    start.model.load_state_dict(merged(start.model.state_dict(), trained, scales), strict=True, assign=True)
    return start


def model_config_of(init_from: str) -> ModelConfig:
    """The shape of the model that a run starts from, without reading its weights."""
    folder = Path(init_from)
    folder = folder / "final" if (folder / "final").is_dir() else folder
    found = locate(folder if folder.is_dir() else init_from)
    return model_config(read_config_file(found), found)


def processor_of(config: TrainConfig, start: Checkpoint) -> ProcessorConfig:
    """The recipe's settings with what the weights themselves demand."""
    stored = start.processor
    return replace(
        config.processor,
        patch_size=stored.patch_size,
        image_mean=stored.image_mean,
        image_std=stored.image_std,
    )


def prepare(model: VideoLLaMA3, config: TrainConfig, device: torch.device) -> list[Part]:
    """Number types, freezing, adapters and checkpointing flags, in place; then the model moves to its device."""
    half = config.precision == "bf16"
    parts = parts_of(model, config.parts)
    for part in parts:
        trained = part.config.lr > 0 and part.config.lora is None
        for parameter in part.module.parameters():
            # norms and biases are small: they stay in float32
            parameter.data = parameter.data.to(
                torch.bfloat16 if half and not trained and parameter.ndim > 1 else torch.float32
            )
    freeze(parts)
    torch.manual_seed(config.seed)
    for part in parts:
        adapt(part)
        for name, parameter in part.module.named_parameters():
            if is_adapter(name):
                parameter.data = parameter.data.float()
    model.vision.checkpointing = config.checkpointing and config.vision.lr > 0
    model.language.checkpointing = config.checkpointing
    model.to(device).train()
    return parts
