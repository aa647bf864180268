"""Intervals: against a plain bootstrap, and for what clustering is about."""

import random

import pytest

from vl3.eval.statistics import estimate


def test_the_interval_is_that_of_a_plain_bootstrap() -> None:
    rng = random.Random(1)
    clusters = [f"m{rng.randrange(40)}" for _ in range(200)]
    level = {name: rng.random() for name in sorted(set(clusters))}
    values = [float(rng.random() < level[name]) for name in clusters]
    groups = [[v for v, c in zip(values, clusters, strict=True) if c == name] for name in sorted(set(clusters))]
    means = []
    for _ in range(4000):
        drawn = [value for group in rng.choices(groups, k=len(groups)) for value in group]
        means.append(sum(drawn) / len(drawn))
    means.sort()
    found = estimate(values, clusters, seed=0)
    assert (found.n, found.media) == (200, len(groups))
    assert found.mean == pytest.approx(sum(values) / 200)
    assert found.low == pytest.approx(means[100], abs=0.02) and found.high == pytest.approx(means[3900], abs=0.02)


def test_repeating_questions_about_a_medium_makes_nothing_surer() -> None:
    values = [0.0, 1.0] * 10
    once = estimate(values, [str(i) for i in range(20)], seed=0)
    tenfold = estimate(values * 10, [str(i) for i in range(20)] * 10, seed=0)
    assert (once.low, once.high) == pytest.approx((tenfold.low, tenfold.high))
    assert once == estimate(values, [str(i) for i in range(20)], seed=0)


def test_one_medium_says_nothing_of_others() -> None:
    found = estimate([0.0, 1.0], ["m", "m"], seed=0)
    assert found.mean == 0.5 and found.low is None and found.high is None
