"""The engine: sequences of tokens in, tokens out. It knows nothing of text, files or templates.

Sequences join and leave between steps: each has its own cache, and a step packs the newest token of all of them into
one forward pass.
"""

from collections.abc import Sequence as Sequence_
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from vl3.config import GenerationConfig
from vl3.generate.sampling import Sampler
from vl3.model import KVCache, VideoLLaMA3, Visual
from vl3.model.videollama3 import splice
from vl3.processing import Inputs

PREFILL_CHUNK = 4096
"""Prompt tokens in one pass of the decoder: bounds the memory of activations."""


@dataclass(eq=False)
class Sequence:
    """One request on its way."""

    inputs: Inputs
    """The whole prompt."""
    config: GenerationConfig
    """How to decode."""
    stop_ids: frozenset[int]
    """Tokens that end the answer; they are not part of it."""
    cache: KVCache
    """Keys and values; may already hold a prefix of the prompt."""
    generated: list[int] = field(default_factory=list)
    """The answer so far, without the token that ended it."""
    finish_reason: str | None = None
    """None while running, then "stop" or "length"."""

    def __post_init__(self) -> None:
        self._sampler = Sampler(self.config)

    def accept(self, logits_V: Tensor) -> None:
        """Draws the next token and decides whether it ends the answer."""
        ids = self.inputs.input_ids
        token = self._sampler.next(logits_V, torch.cat([ids, torch.tensor(self.generated, dtype=ids.dtype)]))
        if token in self.stop_ids:
            self.finish_reason = "stop"
            return
        self.generated.append(token)
        if len(self.generated) >= self.config.max_new_tokens:
            self.finish_reason = "length"


class Engine:
    """Runs sequences on a model."""

    def __init__(self, model: VideoLLaMA3, eos_token_ids: Sequence_[int]) -> None:
        self.model = model.eval()
        self.eos_token_ids = frozenset(eos_token_ids)

    def sequence(self, inputs: Inputs, config: GenerationConfig, cache: KVCache | None = None) -> Sequence:
        """A sequence ready for `prefill`."""
        longest = self.model.config.language.max_positions
        room = longest - inputs.num_tokens
        if config.max_new_tokens > room:  # the answer ends with finish_reason "length" where the model's range ends
            config = replace(config, max_new_tokens=max(1, room))
        cache = cache or self.model.new_cache(inputs.num_tokens + min(config.max_new_tokens, 256))
        return Sequence(inputs, config, self.eos_token_ids | set(config.stop_token_ids), cache)

    @torch.inference_mode()
    def prefill(self, sequence: Sequence) -> None:
        """Feeds what of the prompt the cache does not hold yet, and draws the first token."""
        model, inputs, cache = self.model, sequence.inputs, sequence.cache
        start = cache.length
        assert start < inputs.num_tokens, "nothing left to feed: truncate the cache to leave the last token"
        device = model.language.embed_tokens.weight.device
        x_TD = model.language.embed_tokens(inputs.input_ids[start:].to(device))
        seen_tokens = int(inputs.visual_mask[:start].sum())
        visuals = _visuals_after(inputs, seen_tokens)
        if visuals:
            features = model.see([visual.to(device) for visual in visuals])
            x_TD = splice(x_TD, inputs.visual_mask[start:].to(device), features)
        for chunk in x_TD.split(PREFILL_CHUNK):
            hidden = model.language(chunk, [chunk.shape[0]], [cache])
        sequence.accept(model.logits(hidden[-1:])[0])

    @torch.inference_mode()
    def step(self, sequences: list[Sequence]) -> None:
        """Feeds the newest token of each unfinished sequence, together, and draws the next ones."""
        running = [sequence for sequence in sequences if sequence.finish_reason is None]
        if not running:
            return
        model = self.model
        device = model.language.embed_tokens.weight.device
        newest = torch.tensor([sequence.generated[-1] for sequence in running], device=device)
        hidden = model(newest, [1] * len(running), caches=[sequence.cache for sequence in running])
        for sequence, logits_V in zip(running, model.logits(hidden), strict=True):
            sequence.accept(logits_V)


def common_prefix(cached_ids: list[int], cached_visuals: Sequence_[Visual], inputs: Inputs) -> int:
    """How many tokens of `inputs` a cache already holds, when it was filled from `cached_ids` and `cached_visuals`.

    Visuals are compared by identity, and a visual counts only whole: the prefix never ends inside one. The last token
    of the prompt is left out, since its hidden state is needed.
    """
    new_ids = inputs.input_ids.tolist()
    limit = min(len(cached_ids), len(new_ids) - 1)
    length = next((i for i in range(limit) if cached_ids[i] != new_ids[i]), limit)
    ends = [0]  # visual tokens up to the end of each visual that is the same
    for old, new in zip(cached_visuals, inputs.visuals, strict=False):
        if old is not new:
            break
        ends.append(ends[-1] + new.num_tokens)
    seen = inputs.visual_mask.cumsum(0).tolist()
    while length and seen[length - 1] not in ends:
        length -= 1
    return length


def _visuals_after(inputs: Inputs, num_visual_tokens: int) -> list[Visual]:
    """The visuals that remain when the first `num_visual_tokens` are in the cache already."""
    visuals = list(inputs.visuals)
    while num_visual_tokens > 0:
        num_visual_tokens -= visuals.pop(0).num_tokens
    assert num_visual_tokens == 0, "a cached prefix ends inside a visual"
    return visuals
