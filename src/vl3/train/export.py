"""The end of a run: the starting weights with what was trained put in their place, saved and read back."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from vl3.config import ProcessorConfig
from vl3.train.checkpoint import trained_weights
from vl3.train.config import TrainConfig
from vl3.train.distributed import World, barrier
from vl3.train.lora import scales_of
from vl3.train.objective import Objective
from vl3.weights import Checkpoint, load_checkpoint, save_checkpoint
from vl3.weights.adapter import Adapter, merged, save_adapter
from vl3.weights.save import check_saved


def export(
    objective: Objective,
    config: TrainConfig,
    processor: ProcessorConfig,
    world: World,
    check: Callable[[Checkpoint], None] = lambda _: None,
) -> Path:
    """Writes the finished weights, or the adapter, and returns their folder. `check` is given what was read back."""
    trained = trained_weights(objective)
    output, scales = Path(config.output), scales_of(config.parts)
    folder = output / ("final" if config.save.merge_lora or not scales else "adapter")
    if world.is_main and folder.name == "adapter":
        save_adapter(folder, Adapter(config.init_from, trained, scales, processor))
    elif world.is_main:
        check(_save_weights(trained, config, processor))
    barrier(world)
    return folder


def _save_weights(trained: Mapping[str, Tensor], config: TrainConfig, processor: ProcessorConfig) -> Checkpoint:
    start = load_checkpoint(config.init_from)
    stored = start.model.state_dict()
    names = {"bfloat16": torch.bfloat16, "float32": torch.float32, "float16": torch.float16}
    if config.save.dtype == "auto":
        weights = merged(stored, trained, scales_of(config.parts))
        weights = {name: tensor.to(stored[name].dtype) for name, tensor in weights.items()}
    else:
        wide = {name: tensor.float() for name, tensor in stored.items()}
        weights = merged(wide, trained, scales_of(config.parts))
        weights = {name: tensor.to(names[config.save.dtype]) for name, tensor in weights.items()}
    start.model.load_state_dict(weights, strict=True, assign=True)
    finished = replace(start, processor=processor)
    for index, layout in enumerate(config.save.layouts):
        folder = Path(config.output) / ("final" if index == 0 else f"final-{layout}")
        save_checkpoint(finished, folder, layout, overwrite=True)
        check_saved(finished, folder, layout)
    return load_checkpoint(Path(config.output) / "final")
