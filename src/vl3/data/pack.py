"""Packing: samples back to back in as few sequences of bounded length as best-fit finds."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vl3.model import Visual
from vl3.processing import Inputs


@dataclass(frozen=True, eq=False)
class Pack:
    """Samples back to back, as `VideoLLaMA3.forward` takes them; nothing passes between them."""

    input_ids: Tensor
    """int64 [T]."""
    labels: Tensor
    """int64 [T]: the token itself where it is trained on, else -100. Not shifted."""
    visual_mask: Tensor
    """bool [T]: the placeholders that visual tokens replace."""
    lengths: list[int]
    """Tokens of each sample; their sum is T."""
    visuals: list[Visual] = field(default_factory=list)
    """Images and clips of all samples, in order."""
    sources: list[str] = field(default_factory=list)
    """The source of each sample."""
    branches: list[tuple[int, ...]] | None = None
    """Of each sample as in `Inputs`; None where no sample branches."""
    visual_texts: list[str | None] | None = None
    """What each visual token should mean ("": background; None: not known); None where no sample says so."""


def best_fit(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Indices of the items of each pack: longest first, each into the fullest pack that still has room.

    Items longer than `capacity` are the caller's mistake. The order of equals is that of their indices.
    """
    packs: list[list[int]] = []
    room: list[int] = []
    for item in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        assert lengths[item] <= capacity, f"an item of {lengths[item]} tokens for packs of {capacity}"
        fitting = [p for p in range(len(packs)) if room[p] >= lengths[item]]
        if not fitting:
            packs.append([])
            room.append(capacity)
            fitting = [len(packs) - 1]
        chosen = min(fitting, key=lambda p: (room[p], p))
        packs[chosen].append(item)
        room[chosen] -= lengths[item]
    return packs


def pack_samples(samples: Sequence[tuple[str, Inputs]], capacity: int) -> list[Pack]:
    """Packs (source name, inputs) into sequences of at most `capacity` tokens."""
    packs = best_fit([inputs.num_tokens for _, inputs in samples], capacity)
    return [join([samples[i] for i in sorted(members)]) for members in packs]


def join(samples: Sequence[tuple[str, Inputs]]) -> Pack:
    """One pack of the samples, in order."""
    return Pack(
        input_ids=torch.cat([inputs.input_ids for _, inputs in samples]),
        labels=torch.cat([inputs.labels for _, inputs in samples]),
        visual_mask=torch.cat([inputs.visual_mask for _, inputs in samples]),
        lengths=[inputs.num_tokens for _, inputs in samples],
        visuals=[visual for _, inputs in samples for visual in inputs.visuals],
        sources=[source for source, _ in samples],
        branches=[inputs.branches for _, inputs in samples] if any(inputs.branches for _, inputs in samples) else None,
        visual_texts=_visual_texts([inputs for _, inputs in samples]),
    )


def _visual_texts(samples: Sequence[Inputs]) -> list[str | None] | None:
    if all(inputs.visual_texts is None for inputs in samples):
        return None
    texts: list[str | None] = []
    for inputs in samples:
        texts += inputs.visual_texts or [None] * int(inputs.visual_mask.sum())
    return texts
