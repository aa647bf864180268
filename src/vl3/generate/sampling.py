"""Scores -> the next token, one request at a time, so that a request's luck never depends on its neighbours."""

import torch
from torch import Tensor

from vl3.config import GenerationConfig


class Sampler:
    """Draws the tokens of one request."""

    def __init__(self, config: GenerationConfig) -> None:
        self.config = config
        self._generator = torch.Generator()  # on the CPU: the same draws on every device
        if config.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(config.seed)

    def next(self, logits_V: Tensor, seen: Tensor) -> int:
        """The next token from scores [V] (any device and dtype); `seen`: int64, the tokens so far."""
        config = self.config
        scores = logits_V.float().cpu()
        if config.repetition_penalty != 1.0:
            scores = penalise(scores, seen, config.repetition_penalty)
        if config.temperature == 0:
            return int(scores.argmax())
        scores = restrict(scores / config.temperature, config.top_k, config.top_p, config.min_p)
        return int(torch.multinomial(scores.softmax(-1), 1, generator=self._generator))


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
