"""`--max-memory`: the largest portions, pictures and caches with which a process stays within a limit.

What changes no answer gives way first: portions, then requests side by side and what is kept for later ones; then
frames and their resolution together, so that a frame keeps at least `LEAST_PER_FRAME` tokens while there are several.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeVar

from vl3.config import ProcessorConfig
from vl3.errors import UserError
from vl3.generate.memory import Memory, Portions, Seen, memory_of
from vl3.generate.scheduler import SchedulerConfig
from vl3.weights.footprint import Footprint

MARGIN = 1.1
"""What is predicted beside the weights is taken so many times: it may be too low by a little."""
TEXT_TOKENS = 1024
"""Of a question, beside what is said of each frame."""
PER_FRAME_TEXT = 12
LEAST_PER_FRAME = 48
"""Visual tokens, before pruning; fewer where the model itself gives a frame fewer."""
_PORTIONS = [Portions(16384 >> k, 2048 >> k) for k in range(5)]
_DECODER_BASE, _FRAME = 78 << 20, 1.5
"""The decoding process without pictures, and bytes of a decoded pixel (YUV 4:2:0); measured."""
FULL_HD = (1080, 1920)
"""Taken where the size of pictures is not known."""


C = TypeVar("C", bound=SchedulerConfig)


@dataclass(frozen=True)
class Budget:
    """What keeps a process within its limit."""

    limit: int
    """Bytes."""
    predicted: int
    """The peak, at worst."""
    portions: Portions
    max_tokens: int
    """Visual tokens of a request, before pruning."""
    max_frames: int
    """Of a video."""
    max_running: int
    """Requests side by side."""
    kv_bytes: int
    """Keys and values of running requests."""
    kept_bytes: int
    """Each: visual tokens, and keys and values, kept for later requests."""

    def says(self, asked: "Demand", default: ProcessorConfig) -> str:
        """In one line what was chosen."""
        full = self.max_tokens == default.max_tokens and self.max_frames == default.sampling.max_frames
        parts = [
            f"{self.max_tokens} visual tokens and {self.max_frames} frames at most" + (" (as ever)" if full else ""),
            f"portions of {self.portions.vision} patches and {self.portions.prefill} tokens",
        ]
        if asked.max_running > 1:
            parts.append(f"{self.max_running} at a time")
        if asked.kept_bytes:
            parts.append(f"{2 * self.kept_bytes / 1e6:.0f} MB kept for later questions")
        return f"within {size_text(self.limit)}: {', '.join(parts)}; {size_text(self.predicted)} at worst"


@dataclass(frozen=True)
class Demand:
    """What a command would like, at most."""

    max_new_tokens: int = 512
    max_running: int = 1
    num_decoders: int = 1
    kept_bytes: int = 0
    conversation: bool = False
    """Whether turns pile up, as far as the model's positions reach."""


def fit(limit: int, model: Footprint, config: ProcessorConfig, demand: Demand) -> Budget:
    """The best that stays within `limit` bytes, whatever is asked. UserError says the least limit that would do."""
    least: int | None = None
    for budget in _candidates(limit, model, config, demand):
        if budget.predicted <= limit:
            spare = min(demand.kept_bytes, (limit - budget.predicted) // 2)
            return replace(budget, kept_bytes=spare, predicted=budget.predicted + 2 * spare)
        least = budget.predicted if least is None else min(least, budget.predicted)
    assert least is not None
    raise UserError(
        f"--max-memory {size_text(limit)} is too little: weights of {size_text(model.weights)} and the smallest "
        f"question need {size_text(least)}; give more, or a smaller model, --dtype bfloat16 or --quantize"
    )


def scheduling(config: C, budget: Budget | None) -> C:
    """The config with portions no larger than the budget's."""
    if budget is None:
        return config
    portions = budget.portions
    return replace(
        config,
        prefill_chunk=min(config.prefill_chunk, portions.prefill),
        vision_chunk=min(config.vision_chunk, portions.vision),
        prefill_alone=min(config.prefill_alone, portions.prefill),
        vision_alone=min(config.vision_alone, portions.vision),
    )


def _candidates(limit: int, model: Footprint, config: ProcessorConfig, demand: Demand) -> Iterator[Budget]:
    """From the best to the least."""
    running = sorted({max(1, demand.max_running >> k) for k in range(8)}, reverse=True)
    for tokens, frames in _sizes(config):
        for side_by_side, portions in product(running, _PORTIONS):
            worst = _worst(model, config, demand, tokens, frames, portions)
            ahead = 0 if demand.max_running == 1 else max(side_by_side, 2 * demand.num_decoders)
            cache = worst.cache * (2 if demand.conversation else 1)  # a cache that grows is there twice
            more = (
                cache
                - worst.cache
                + (side_by_side - 1) * (worst.tokens + cache)
                + max(side_by_side - 1, ahead) * worst.pixels
            )
            predicted = worst.weights + MARGIN * (worst.peak - worst.weights + more) + model.base
            predicted += demand.num_decoders * decoder_bytes(*FULL_HD)
            yield Budget(
                limit=limit,
                predicted=int(predicted),
                portions=portions,
                max_tokens=tokens,
                max_frames=frames,
                max_running=side_by_side,
                kv_bytes=max(1, side_by_side * worst.cache),
                kept_bytes=0,
            )


def _sizes(config: ProcessorConfig) -> Iterator[tuple[int, int]]:
    """(visual tokens, frames): the model's own, then each pair about 0.7 times the one before."""
    tokens, frames = config.max_tokens, config.sampling.max_frames
    least = max(1, min(LEAST_PER_FRAME, tokens // frames))
    while tokens >= 16:
        yield tokens, max(1, min(frames, tokens // least))
        tokens = int(tokens * 0.71)


def _worst(
    model: Footprint, config: ProcessorConfig, demand: Demand, tokens: int, frames: int, portions: Portions
) -> Memory:
    """The larger of: one picture of all tokens, and a clip of all frames."""
    longest = model.config.language.max_positions
    prompt = longest if demand.conversation else min(longest, tokens + PER_FRAME_TEXT * frames + TEXT_TOKENS)
    merge = max(config.image_merge_size, config.video_merge_size)
    turns = prompt // tokens if demand.conversation else 1
    shapes = [(1, tokens, config.image_merge_size), (frames, max(1, tokens // frames), merge)]
    found = [
        memory_of(
            model.config,
            weights=model.weights,
            loading=model.loading,
            width=model.dtype.itemsize,
            seen=[Seen((t, per_frame, merge**2), merge, t * per_frame, t)] * max(1, turns),
            prompt_tokens=prompt,
            max_new_tokens=min(demand.max_new_tokens, max(1, longest - prompt)),
            portions=portions,
        )
        for t, per_frame, merge in shapes
    ]
    return max(found, key=lambda memory: memory.peak)


def decoder_bytes(height: int, width: int) -> int:
    """Memory of the process that decodes a video of that size: the pictures that its codec and threads hold."""
    held = 12 + (os.cpu_count() or 1)
    return _DECODER_BASE + int(held * _FRAME * height * width)


def size_text(num_bytes: float) -> str:
    """For people."""
    return f"{num_bytes / 1e9:.2f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.0f} MB"
