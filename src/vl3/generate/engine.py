"""The engine: sequences of tokens in, tokens out. It knows nothing of text, files or templates.

Sequences join and leave between steps: each has its own cache, and a step packs what is fed to all of them, the newest
token of an answer or the next stretch of a prompt, into one forward pass.
"""

from collections.abc import Sequence as Sequence_
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from vl3.config import GenerationConfig
from vl3.generate.prefixes import Prefix, fingerprints, text_fingerprints
from vl3.generate.sampling import Constraint, Sampler, TokenScores, token_scores
from vl3.generate.sight import VISION_CHUNK, VisionStore, VisualTokens
from vl3.model import KVCache, VideoLLaMA3
from vl3.model.videollama3 import splice
from vl3.processing import Inputs

PREFILL_CHUNK = 2048
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
    sights: list[VisualTokens]
    """The tokens of its visuals."""
    constraint: Constraint | None = None
    """What the answer may say."""
    generated: list[int] = field(default_factory=list)
    """The answer so far, without the token that ended it."""
    scores: list[TokenScores] = field(default_factory=list)
    """The same tokens' scores, if the config asks for them."""
    finish_reason: str | None = None
    """None while running, then "stop" or "length"."""

    def __post_init__(self) -> None:
        self._sampler = Sampler(self.config, self.constraint)
        self._num_seen = torch.cat([torch.zeros(1, dtype=torch.long), self.inputs.visual_mask.cumsum(0)])
        self.marks = fingerprints(self.inputs)
        """What each token of the prompt is."""

    @property
    def prompt_left(self) -> int:
        """Tokens of the prompt that still have to be fed; 0 once the answer has begun."""
        return max(0, self.inputs.num_tokens - self.cache.length)

    @property
    def most_tokens(self) -> int:
        """Tokens of the prompt and of the longest answer."""
        return self.inputs.num_tokens + self.config.max_new_tokens

    @property
    def known(self) -> Prefix:
        """What its cache holds."""
        return Prefix(torch.cat([self.marks, text_fingerprints(self.generated)]), self.cache)

    def visual_range(self, num_tokens: int) -> tuple[int, int]:
        """Which of the prompt's visual tokens are among the next `num_tokens`: (first, end)."""
        start = self.cache.length
        return int(self._num_seen[start]), int(self._num_seen[start + num_tokens])

    def accept(self, logits_V: Tensor) -> None:
        """Draws the next token and decides whether it ends the answer."""
        token = self._sampler.next(logits_V, self.inputs.input_ids, self.generated)
        if token in self.stop_ids:
            self.finish_reason = "stop"
            return
        self.generated.append(token)
        if self.config.logprobs is not None:
            self.scores.append(token_scores(logits_V, token, self.config.logprobs))
        if len(self.generated) >= self.config.max_new_tokens:
            self.finish_reason = "length"


class Engine:
    """Runs sequences on a model."""

    def __init__(self, model: VideoLLaMA3, eos_token_ids: Sequence_[int], vision: VisionStore | None = None) -> None:
        self.model = model.eval()
        self.eos_token_ids = frozenset(eos_token_ids)
        self.vision = vision or VisionStore()

    def sequence(
        self,
        inputs: Inputs,
        config: GenerationConfig,
        cache: KVCache | None = None,
        constraint: Constraint | None = None,
    ) -> Sequence:
        """A sequence whose prompt is to be fed; `cache` may hold a beginning of it."""
        longest = self.model.config.language.max_positions
        room = longest - inputs.num_tokens
        if config.max_new_tokens > room:  # the answer ends with finish_reason "length" where the model's range ends
            config = replace(config, max_new_tokens=max(1, room))
        # room for the longest answer: to grow means to hold two, and what is not written to takes no memory on a CPU
        cache = cache or self.model.new_cache(inputs.num_tokens + config.max_new_tokens)
        assert cache.length < inputs.num_tokens, "nothing left to feed: truncate the cache to leave the last token"
        sights = [self.vision.look_up(visual) for visual in inputs.visuals]
        return Sequence(inputs, config, self.eos_token_ids | set(config.stop_token_ids), cache, sights, constraint)

    @torch.inference_mode()
    def look(self, sequence: Sequence, num_tokens: int, max_patches: int = VISION_CHUNK) -> bool:
        """Encodes one portion of the frames that the next `num_tokens` of the prompt need; False if all are there."""
        first, end = sequence.visual_range(num_tokens)
        return any(
            sight.encode_some(self.model, start, stop, max_patches)
            for sight, start, stop in _parts(sequence.sights, first, end)
        )

    @torch.inference_mode()
    def feed(self, work: Sequence_[tuple[Sequence, int]]) -> list[Tensor | None]:
        """Feeds so many tokens of each sequence, in one pass: of its prompt, or the newest one of its answer.

        Gives the scores [V] of what may come next, or None where the prompt goes on.
        """
        model = self.model
        x_TD = torch.cat([self._embeddings(sequence, num_tokens) for sequence, num_tokens in work])
        lengths = [num_tokens for _, num_tokens in work]
        hidden_TD = model.language(x_TD, lengths, [sequence.cache for sequence, _ in work])
        ends = torch.tensor(lengths).cumsum(0) - 1
        whole = [index for index, (sequence, _) in enumerate(work) if not sequence.prompt_left]
        scores: list[Tensor | None] = [None] * len(work)
        if whole:
            for index, logits_V in zip(whole, model.logits(hidden_TD[ends[whole]]), strict=True):
                scores[index] = logits_V
        return scores

    def prefill(self, sequence: Sequence) -> None:
        """Feeds what of the prompt the cache does not hold yet, and draws the first token."""
        while num_tokens := min(sequence.prompt_left, PREFILL_CHUNK):
            while self.look(sequence, num_tokens):
                pass
            [logits_V] = self.feed([(sequence, num_tokens)])
        assert logits_V is not None
        sequence.accept(logits_V)

    def step(self, sequences: Sequence_[Sequence]) -> None:
        """Feeds the newest token of each unfinished sequence, together, and draws the next ones."""
        running = [sequence for sequence in sequences if sequence.finish_reason is None]
        if not running:
            return
        for sequence, logits_V in zip(running, self.feed([(sequence, 1) for sequence in running]), strict=True):
            assert logits_V is not None
            sequence.accept(logits_V)

    def _embeddings(self, sequence: Sequence, num_tokens: int) -> Tensor:
        embed = self.model.language.embed_tokens
        inputs, start = sequence.inputs, sequence.cache.length
        if not sequence.prompt_left:
            return embed(torch.tensor(sequence.generated[-1:], device=self.model.device))
        ids, mask = (
            x[start : start + num_tokens].to(self.model.device) for x in (inputs.input_ids, inputs.visual_mask)
        )
        features = [sight.get(a, b) for sight, a, b in _parts(sequence.sights, *sequence.visual_range(num_tokens))]
        return splice(embed(ids), mask, torch.cat(features)) if features else embed(ids)


def _parts(sights: list[VisualTokens], first: int, end: int) -> list[tuple[VisualTokens, int, int]]:
    """Which tokens of which visuals are those that count first..end over all: (visual, its own first, its own end)."""
    parts, before = [], 0
    for sight in sights:
        start, stop = max(first - before, 0), min(end - before, sight.num_tokens)
        if start < stop:
            parts.append((sight, start, stop))
        before += sight.num_tokens
    return parts
