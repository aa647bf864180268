"""The beginning of a run: starting weights, what of them is trained, and in which number types."""

from dataclasses import replace

import torch

from vl3.config import ProcessorConfig
from vl3.log import logger
from vl3.model import VideoLLaMA3
from vl3.train.config import TrainConfig
from vl3.train.lora import adapt
from vl3.train.optim import Part, freeze, parts_of
from vl3.weights import Checkpoint
from vl3.weights.adapter import is_adapter


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
    if half and device.type == "cpu" and not torch.cpu._is_avx512_bf16_supported():
        logger.warning("this CPU has no bfloat16 arithmetic, which makes steps many times slower: add precision=fp32")
    parts = parts_of(model, config.parts)
    freeze(parts)
    for parameter in model.parameters():
        parameter.data = parameter.data.to(torch.bfloat16 if half and not parameter.requires_grad else torch.float32)
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
