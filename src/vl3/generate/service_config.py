"""What a service may take, and what it tells of itself."""

from dataclasses import dataclass, replace

from vl3.config import configclass
from vl3.errors import UserError
from vl3.generate.budget import Budget, scheduling
from vl3.generate.scheduler import SchedulerConfig


@configclass
class ServiceConfig(SchedulerConfig):
    """The limits of a service."""

    max_waiting: int = 64
    """Requests that may wait to be read; more are refused."""
    num_decoders: int = 2
    """Media that are decoded at once, each in a process of its own."""
    vision_bytes: int = 0
    """Most memory for visual tokens of media that were asked about before."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_decoders < 1 or self.max_waiting < 1:
            raise UserError("num_decoders and max_waiting must be at least 1")


DEFAULTS = ServiceConfig()


def within(config: ServiceConfig, budget: Budget | None) -> ServiceConfig:
    """The config with nothing larger than the budget has it."""
    if budget is None:
        return config
    return replace(
        scheduling(config, budget),
        max_running=min(config.max_running, budget.max_running),
        kv_bytes=min(config.kv_bytes, budget.kv_bytes),
        prefix_bytes=min(config.prefix_bytes, budget.kept_bytes),
        vision_bytes=min(config.vision_bytes, budget.kept_bytes),
    )


@dataclass(frozen=True)
class Stats:
    """What a service is doing and has done."""

    running: int
    """Requests that are read or answered."""
    waiting: int
    """Requests before that."""
    finished: int
    failed: int
    cancelled: int
    prompt_tokens: int
    """Of finished requests."""
    cached_tokens: int
    """Those of them that had been read before."""
    generated_tokens: int
    """Of finished requests."""
    kv_bytes: int
    """Keys and values of running requests."""
    prefix_bytes: int
    """Keys and values of finished requests, kept for later ones."""
    vision_bytes: int
    """Visual tokens, kept for later requests."""
    vision_hits: int
    """Images and clips that were known already."""
