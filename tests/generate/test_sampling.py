"""Sampling against `transformers`' logits processors, and its promises."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.generation.logits_process import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from vl3.config import GenerationConfig
from vl3.generate.sampling import Sampler, penalise, restrict

scores_of = st.integers(0, 10_000).map(lambda seed: torch.randn(50, generator=torch.Generator().manual_seed(seed)) * 3)


@given(scores_of, st.integers(1, 60), st.floats(0.05, 0.99), st.floats(0.01, 0.9))
@settings(deadline=None)
def test_restrictions_equal_the_published_warpers(scores: torch.Tensor, k: int, p: float, min_p: float) -> None:
    ids = torch.zeros(1, 1, dtype=torch.long)
    expected = TopKLogitsWarper(k)(ids, scores[None])
    expected = MinPLogitsWarper(min_p)(ids, TopPLogitsWarper(p)(ids, expected))[0]
    ours = restrict(scores, k, p, min_p)
    # cumulative sums from opposite ends may round a token at the very edge of the nucleus in or out
    differing = (ours.isinf() != expected.isinf()).nonzero().flatten()
    assert differing.numel() <= 1
    assert not ours.isinf().all()


@given(scores_of, st.lists(st.integers(0, 49), min_size=1, max_size=9), st.floats(0.5, 2.0))
@settings(deadline=None)
def test_repetition_penalty_equals_the_published_one(scores: torch.Tensor, seen: list[int], penalty: float) -> None:
    ids = torch.tensor(seen)
    expected = RepetitionPenaltyLogitsProcessor(penalty)(ids[None], scores[None].clone())[0]
    torch.testing.assert_close(penalise(scores, ids, penalty), expected)


def draws(config: GenerationConfig, scores: torch.Tensor, count: int) -> list[int]:
    sampler = Sampler(config)
    return [sampler.next(scores, torch.tensor([0]), []) for _ in range(count)]


def test_a_seed_repeats_and_no_seed_does_not() -> None:
    scores = torch.zeros(1000)
    seeded = GenerationConfig(temperature=1.0, seed=5)
    assert draws(seeded, scores, 20) == draws(seeded, scores, 20)
    free = GenerationConfig(temperature=1.0)
    assert draws(free, scores, 20) != draws(free, scores, 20)


def test_draws_follow_the_distribution() -> None:
    scores = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))
    counts = torch.bincount(torch.tensor(draws(GenerationConfig(temperature=1.0, seed=0), scores, 4000)), minlength=4)
    assert (counts / 4000 - scores.exp()).abs().max() < 0.03
    cold = torch.bincount(torch.tensor(draws(GenerationConfig(temperature=0.5, seed=0), scores, 4000)), minlength=4)
    assert (cold / 4000 - (2 * scores).softmax(-1)).abs().max() < 0.03


def test_greedy_takes_the_likeliest() -> None:
    assert draws(GenerationConfig(), torch.tensor([1.0, 3.0, 2.0]), 3) == [1, 1, 1]


@pytest.mark.parametrize("bad", [{"top_p": 0.0}, {"temperature": -1.0}, {"max_new_tokens": 0}, {"stop": ("",)}])
def test_absurd_settings_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        GenerationConfig(**bad)  # type: ignore[arg-type]
