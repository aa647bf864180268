"""Scores -> the next token, one request at a time, so that a request's luck never depends on its neighbours."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from vl3.config import GenerationConfig
from vl3.errors import UserError


class Constraint(Protocol):
    """What an answer may say: JSON of a schema, say. One object serves one request."""

    def allowed(self, generated: list[int]) -> Tensor:
        """bool [V] on the CPU: which tokens may follow those generated. Rows past its end may not."""
        ...


@dataclass(frozen=True)
class TokenScores:
    """A token that was drawn, and what the model thought of it and of others: natural logarithms of probabilities,
    before temperature, penalties and constraints."""

    token: int
    logprob: float
    top: list[tuple[int, float]]
    """The likeliest tokens, likeliest first."""


class Sampler:
    """Draws the tokens of one request."""

    def __init__(self, config: GenerationConfig, constraint: Constraint | None = None) -> None:
        self.config = config
        self.constraint = constraint
        self._generator = torch.Generator()  # on the CPU: the same draws on every device
        if config.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(config.seed)

    def next(self, logits_V: Tensor, prompt: Tensor, generated: list[int]) -> int:
        """The next token from scores [V] (any device and dtype), after the prompt's tokens (int64) and the answer's."""
        config = self.config
        scores = logits_V.float().cpu()
        if config.repetition_penalty != 1.0:
            seen = torch.cat([prompt, torch.tensor(generated, dtype=prompt.dtype)])
            scores = penalise(scores, seen, config.repetition_penalty)
        if self.constraint is not None:
            scores = _constrain(scores, self.constraint.allowed(list(generated)))
        if config.temperature == 0:
            return int(scores.argmax())
        scores = restrict(scores / config.temperature, config.top_k, config.top_p, config.min_p)
        return int(torch.multinomial(scores.softmax(-1), 1, generator=self._generator))


def token_scores(logits_V: Tensor, token: int, num_top: int) -> TokenScores:
    """What the scores [V] say of `token`, and of the likeliest ones."""
    logprobs = logits_V.float().cpu().log_softmax(-1)
    top = logprobs.topk(min(num_top, logprobs.numel()))
    return TokenScores(token, float(logprobs[token]), list(zip(top.indices.tolist(), top.values.tolist(), strict=True)))


def _constrain(scores: Tensor, allowed: Tensor) -> Tensor:
    """Sets to -inf what is not allowed."""
    if not allowed.any():
        raise UserError("the constraint allows no token after what was said; it cannot be met")
    within = torch.zeros_like(scores, dtype=torch.bool)
    length = min(len(within), len(allowed))
    within[:length] = allowed[:length]
    return scores.masked_fill(~within, float("-inf"))


def penalise(scores: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Makes tokens that occurred less likely: positive scores are divided, negative multiplied (arXiv 1909.05858)."""
    occurred = seen.unique()
    before = scores[occurred]
    return scores.index_put((occurred,), torch.where(before > 0, before / penalty, before * penalty))


def restrict(scores: Tensor, top_k: int, top_p: float, min_p: float) -> Tensor:
    """Sets to -inf what falls outside the k likeliest, then the nucleus, then below min_p; the likeliest always stays.

    top_p (arXiv 1904.09751): the smallest set of likeliest tokens that reaches the probability. min_p (arXiv
    2407.01082): tokens at least min_p times as likely as the likeliest.
    """
    if 0 < top_k < scores.numel():
        scores = scores.masked_fill(scores < scores.topk(top_k).values[-1], float("-inf"))
    if top_p < 1:
        ordered, order = scores.sort(descending=True)
        before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)
        scores = scores.index_fill(0, order[before >= top_p], float("-inf"))
    if min_p > 0:
        probabilities = scores.softmax(-1)
        scores = scores.masked_fill(probabilities < min_p * probabilities.max(), float("-inf"))
    return scores
