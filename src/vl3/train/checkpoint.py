"""Resumable checkpoints: torch's distributed checkpoint (DCP), whole or not there at all.

A checkpoint holds what training changes: the trained weights and their optimiser state, the step, the data position
and the resolved config. Frozen weights are not repeated, they come from `init_from`. The schedule and all random
numbers are functions of the step and the seed. Every rank writes its share, and any number of ranks can read them.
"""

import json
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch.distributed.checkpoint import state_dict_loader, state_dict_saver
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.tensor import DTensor

from vl3.config import encode
from vl3.errors import UserError
from vl3.train.config import TrainConfig
from vl3.train.distributed import World, barrier
from vl3.train.objective import Objective

TRAINED_ONLY = StateDictOptions(ignore_frozen_params=True, strict=False)


@dataclass(frozen=True)
class Position:
    """How far a run has come."""

    step: int
    """Optimiser steps done."""
    data: dict[str, Any]
    """The data loader's state."""


def folder_of(config: TrainConfig) -> Path:
    """Where a run keeps its checkpoints."""
    return Path(config.output) / "checkpoints"


def latest(config: TrainConfig) -> Path | None:
    """The newest complete checkpoint of a run. Unfinished ones have a name that begins with a dot."""
    return max(folder_of(config).glob("step-*"), default=None)


def save(
    objective: Objective, optimizer: torch.optim.Optimizer, position: Position, config: TrainConfig, world: World
) -> Path:
    """Writes a checkpoint; its folder gets its name when all of it is on the disk."""
    folder = folder_of(config)
    final = folder / f"step-{position.step:08d}"
    staging = folder / f".{final.name}"
    if world.is_main:
        for stale in folder.glob(".step-*"):  # of a run that was killed while it wrote
            shutil.rmtree(stale)
        staging.mkdir(parents=True)
    barrier(world)
    with _alone_is_fine():
        state_dict_saver.save(_tensors(objective, optimizer), checkpoint_id=staging, no_dist=world.size == 1)
    if world.is_main:
        _write(staging / "position.json", json.dumps({"step": position.step, "data": position.data}))
        _write(staging / "config.yaml", yaml.safe_dump(encode(config), sort_keys=False))
        if final.exists():
            shutil.rmtree(final)
        staging.rename(final)
        _sync(folder)
        for old in sorted(folder.glob("step-*"))[: -config.save.keep]:
            shutil.rmtree(old)
    barrier(world)
    return final


def load(objective: Objective, optimizer: torch.optim.Optimizer, path: Path, world: World) -> Position:
    """Puts a checkpoint's weights and optimiser state in place and returns the run's position."""
    state = _tensors(objective, optimizer)
    try:
        with _alone_is_fine():
            state_dict_loader.load(state, checkpoint_id=path, no_dist=world.size == 1)
    except (CheckpointException, RuntimeError) as error:
        raise UserError(f"{path}: does not fit the recipe: resume with the settings it was made with") from error
    set_optimizer_state_dict(objective, optimizer, state["optimizer"], options=TRAINED_ONLY)
    data = json.loads((path / "position.json").read_text(encoding="utf-8"))
    return Position(step=int(data["step"]), data=data["data"])


@contextmanager
def _alone_is_fine() -> Iterator[None]:
    """Without the warning that torch.distributed is disabled: so it is, for one process."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)
        yield


def trained_weights(objective: Objective) -> dict[str, torch.Tensor]:
    """All that training changes, whole, on the CPU, under the model's own names. All ranks take part."""
    whole = {}
    for name, tensor in _trained(objective).items():
        if not name.startswith("model."):  # what a loss has learnt for itself is no part of the model
            continue
        tensor = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        whole[name.removeprefix("model.")] = tensor.cpu()
    return whole


def _trained(objective: Objective) -> dict[str, torch.Tensor]:
    """This rank's share of the trained weights: views, so that loading into them changes the model."""
    return {name: p.detach() for name, p in objective.named_parameters() if p.requires_grad}


def _tensors(objective: Objective, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    return {
        "model": _trained(objective),
        "optimizer": get_optimizer_state_dict(objective, optimizer, options=TRAINED_ONLY),
    }


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
