"""Which weights learn, how fast, and when: optimiser groups, freezing, AdamW, the schedule."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from vl3.errors import UserError
from vl3.model import VideoLLaMA3
from vl3.train.config import OptimConfig, PartConfig


@dataclass(frozen=True, eq=False)
class Part:
    """One of the three modules with its settings."""

    name: str
    module: nn.Module
    config: PartConfig

    @property
    def trained(self) -> list[tuple[str, nn.Parameter]]:
        """Names and parameters that receive gradients."""
        return [(name, p) for name, p in self.module.named_parameters() if p.requires_grad]

    @property
    def num_parameters(self) -> int:
        """All of them, trained or not."""
        return sum(p.numel() for p in self.module.parameters())

    @property
    def num_trained(self) -> int:
        """Those that receive gradients."""
        return sum(p.numel() for _, p in self.trained)


def parts_of(model: VideoLLaMA3, configs: dict[str, PartConfig]) -> list[Part]:
    """The model's three modules, each with its settings."""
    modules = {"vision": model.vision, "projector": model.projector, "language": model.language}
    return [Part(name, module, configs[name]) for name, module in modules.items()]


def freeze(parts: Iterable[Part]) -> None:
    """Gradients on for modules with a learning rate, off for the others and for those that learn through adapters."""
    for part in parts:
        part.module.requires_grad_(part.config.lr > 0 and part.config.lora is None)
        for name in part.config.frozen:
            try:
                part.module.get_submodule(name).requires_grad_(False)
            except AttributeError as error:
                raise UserError(f"{part.name}.frozen: the {part.name} module has no {name!r}") from error


def make_optimizer(parts: Iterable[Part], config: OptimConfig, extra: Iterable[nn.Parameter] = ()) -> torch.optim.AdamW:
    """AdamW with two groups for each trained module: matrices, which decay, and vectors, which do not.

    `extra` parameters, of the loss, learn as fast as the projector and do not decay.

    Each group keeps its module's name and peak learning rate under "name" and "peak", from which
    `set_learning_rates` makes the rates of a step.
    """
    groups = []
    for part in parts:
        for decays in (True, False):
            chosen = [p for _, p in part.trained if (p.ndim > 1) == decays]
            decay = part.config.weight_decay if decays else 0.0
            if chosen:
                rates = {"lr": part.config.lr, "peak": part.config.lr, "weight_decay": decay}
                groups.append({"params": chosen, "name": part.name, **rates})
    if extra := list(extra):
        rate = max(part.config.lr for part in parts if part.name == "projector")
        groups.append({"params": extra, "name": "align", "lr": rate, "peak": rate, "weight_decay": 0.0})
    return torch.optim.AdamW(groups, betas=config.betas, eps=config.eps, fused=True)


def schedule(step: int, num_steps: int, config: OptimConfig) -> float:
    """The share of the peak learning rates to use in step 0, 1, ..., num_steps - 1.

    It depends on the step alone, so that nothing of it need be saved.
    """
    warmup = math.ceil(config.warmup_ratio * num_steps)
    if step < warmup:
        return (step + 1) / warmup
    if config.schedule == "constant":
        return 1.0
    progress = (step - warmup) / max(1, num_steps - warmup)
    return config.min_ratio + (1 - config.min_ratio) * 0.5 * (1 + math.cos(math.pi * progress))


def set_learning_rates(optimizer: torch.optim.Optimizer, share: float) -> None:
    """Every group's rate becomes `share` of its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * share


def table(parts: Iterable[Part]) -> list[tuple[str, ...]]:
    """Rows (module, parameters, trained, how, learning rate) of the table printed before the first step."""
    rows: list[tuple[str, ...]] = [("module", "parameters", "trained", "how", "learning rate")]
    for part in parts:
        how = "frozen" if not part.config.lr else "weights" if part.config.lora is None else "adapters"
        if part.config.lora is not None:
            how += f" of rank {part.config.lora.rank}"
        if part.config.bits is not None:
            how += f" on {part.config.bits}-bit weights"
        rate = f"{part.config.lr:g}" if part.config.lr else "-"
        rows.append((part.name, f"{part.num_parameters:,}", f"{part.num_trained:,}", how, rate))
    return rows
