"""Means with their uncertainty. Whole media are resampled: questions about one medium go right or wrong together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval."""

    n: int
    """Questions."""
    media: int
    """Media they are about."""
    mean: float
    low: float | None
    """None when there is just one medium, which says nothing of others."""
    high: float | None


def estimate(values: Sequence[float], clusters: Sequence[str], seed: int) -> Estimate:
    """Mean of values, with the percentile bootstrap's interval over clusters. A function of its arguments."""
    assert len(values) == len(clusters) and values, "nothing to average"
    names = {name: place for place, name in enumerate(dict.fromkeys(clusters))}
    sums, counts = np.zeros(len(names)), np.zeros(len(names))
    for value, cluster in zip(values, clusters, strict=True):
        sums[names[cluster]] += value
        counts[names[cluster]] += 1
    mean = float(sums.sum() / counts.sum())
    if len(names) == 1:
        return Estimate(len(values), 1, mean, None, None)
    rng = np.random.default_rng(seed)
    taken = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=RESAMPLES)
    means = (taken @ sums) / (taken @ counts)
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(len(values), len(names), mean, float(low), float(high))
