"""The data of one optimiser step, shared out among the ranks."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vl3.data import DataConfig, Loader, Pack
from vl3.errors import UserError
from vl3.processing import Processor
from vl3.train.distributed import World, gather_objects, sum_over_ranks
from vl3.train.loss import IGNORE, next_token_targets


class Batches:
    """Steps of micro-batches; every rank gets as many as any other."""

    def __init__(self, config: DataConfig, processor: Processor, world: World, quarantine: str | None) -> None:
        """Samples that fail are named in `quarantine`, or in the config's own file; None names them nowhere."""
        self._loader = Loader(_named_in(quarantine, config), processor, world.rank, world.size)
        self._world = world

    def next_step(self) -> list[Pack]:
        """This rank's micro-batches of one step, filled up with blank ones where others have more."""
        packs = self._loader.next_step()
        most = max(gather_objects(len(packs), self._world))
        return packs + [blank_pack()] * (most - len(packs))

    def state_dict(self) -> dict[str, Any]:
        """Where the next step begins, with the failures of all ranks. All take part."""
        state = self._loader.state_dict()
        seen, failed = sum_over_ranks([state["num_seen"], state["num_failed"]], self._world)
        return {**state, "num_seen": int(seen), "num_failed": int(failed)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from there, on any number of ranks; the first takes over what all have met."""
        self._loader.load_state_dict(state if self._world.is_main else {**state, "num_seen": 0, "num_failed": 0})


def held_out_packs(
    config: DataConfig, processor: Processor, world: World, max_packs: int, quarantine: str | None
) -> list[Pack]:
    """This rank's share of at most `max_packs` held-out samples, in file order. UserError where all of them fail."""
    packs = Loader(_named_in(quarantine, config), processor, world.rank, world.size).first(max_packs)
    if not any(gather_objects(len(packs), world)):
        raise UserError(f"none of the first {max_packs} held-out samples can be used; `vl3 data check` says why")
    return packs


def _named_in(quarantine: str | None, config: DataConfig) -> DataConfig:
    return replace(config, quarantine=quarantine and (config.quarantine or quarantine))


def blank_pack() -> Pack:
    """One token that nothing is learnt from: what a rank does while others have a micro-batch more."""
    return Pack(
        input_ids=torch.zeros(1, dtype=torch.long),
        labels=torch.full((1,), IGNORE),
        visual_mask=torch.zeros(1, dtype=torch.bool),
        lengths=[1],
        sources=["(blank)"],
    )


def sample_of_supervised(pack: Pack) -> Tensor:
    """int64 [n]: which sample each supervised token belongs to, in the order of the losses."""
    samples = torch.arange(len(pack.lengths)).repeat_interleave(torch.tensor(pack.lengths))
    return samples[next_token_targets(pack.labels, pack.lengths) != IGNORE]


def to_device(pack: Pack, device: torch.device) -> Pack:
    """The same pack with its tensors on `device`."""
    return replace(
        pack,
        input_ids=pack.input_ids.to(device, non_blocking=True),
        labels=pack.labels.to(device, non_blocking=True),
        visual_mask=pack.visual_mask.to(device, non_blocking=True),
        visuals=[visual.to(device) for visual in pack.visuals],
    )
