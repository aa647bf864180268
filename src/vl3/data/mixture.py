"""The order of samples: weighted sources, evenly interleaved, shuffled pass by pass; a function of seed and state."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from vl3.data.config import DataConfig
from vl3.data.readers import Source


class Mixture:
    """An endless sequence of (source, sample) indices. Its state is how many samples each source has given."""

    def __init__(self, sources: Sequence[Source], config: DataConfig) -> None:
        self.sources = sources
        self.config = config
        self.weights = [float(source.config.weight or len(source)) for source in sources]
        self.counts = [0] * len(sources)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Goes on from the state as it is now, for ever; the state itself moves only by `consume`."""
        return self._walk(list(self.counts))

    def _walk(self, counts: list[int]) -> Iterator[tuple[int, int]]:
        while True:
            source = self._next_source(counts)
            yield source, self.sample(source, counts[source])
            counts[source] += 1

    def consume(self, source: int) -> None:
        """Counts a sample as used."""
        self.counts[source] += 1

    def sample(self, source: int, turn: int) -> int:
        """Which sample a source gives at its `turn`-th turn: each pass visits all of them once."""
        epoch, place = divmod(turn, len(self.sources[source]))
        if not self.config.shuffle or self.sources[source].sequential:
            return place
        return int(_permutation(self.config.seed, source, epoch, len(self.sources[source]))[place])

    def _next_source(self, counts: list[int]) -> int:
        """The source that is furthest behind its share."""
        return min(range(len(counts)), key=lambda i: ((counts[i] + 1) / self.weights[i], i))


@lru_cache(maxsize=64)
def _permutation(seed: int, source: int, epoch: int, length: int) -> np.ndarray:
    return np.random.default_rng((seed, source, epoch)).permutation(length)
