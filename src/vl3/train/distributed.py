"""Several processes as one, as `torchrun` starts them: torch's own collectives."""

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from vl3.errors import UserError


@dataclass(frozen=True)
class World:
    """Where this process stands among all."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes and prints."""
        return self.rank == 0


def join_world(device: str) -> World:
    """Joins the processes that `torchrun` has started; a process started alone is a world of one."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"device={device}: no CUDA device here; use device=cpu or device=auto")
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return World(0, 1, torch.device(device))
    chosen = torch.device(device)
    if chosen.type == "cuda":
        chosen = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(chosen)
    if not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=timedelta(minutes=30))
    return World(dist.get_rank(), size, chosen)


def leave_world(world: World) -> None:
    """The counterpart of `join_world`."""
    if world.size > 1:
        dist.destroy_process_group()


def sum_over_ranks(values: list[float], world: World) -> list[float]:
    """Elementwise sums, the same on every rank."""
    if world.size == 1:
        return values
    tensor = torch.tensor(values, dtype=torch.float64, device="cpu")
    if world.device.type == "cuda":
        tensor = tensor.to(world.device)
    dist.all_reduce(tensor)
    summed: list[float] = tensor.tolist()
    return summed


def gather_objects(value: Any, world: World) -> list[Any]:
    """Every rank's value, in the order of ranks, on every rank."""
    if world.size == 1:
        return [value]
    values: list[Any] = [None] * world.size
    dist.all_gather_object(values, value)
    return values


def barrier(world: World) -> None:
    """Waits until every rank is here."""
    if world.size > 1:
        dist.barrier()
