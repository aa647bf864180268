"""Steps of training data: the mixture's next samples, prepared in worker processes and packed; failures are named.

Every rank walks the same order and prepares the samples that fall to it, so that a step holds the same samples on any
number of ranks. The state is how many samples of each source were used: a run resumes exactly at the sample.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader, Dataset

from vl3.data.config import DataConfig
from vl3.data.mixture import Mixture
from vl3.data.pack import Pack, pack_samples
from vl3.data.prepare import Preparer
from vl3.data.readers import open_source
from vl3.data.schema import writable
from vl3.errors import UserError
from vl3.log import logger
from vl3.media import Decoder
from vl3.processing import Inputs, Processor

FREE_FAILURES = 10
"""Failures that never stop a run, however few samples it has seen."""


@dataclass(frozen=True)
class Failure:
    """A sample that cannot be trained on."""

    source: str
    reason: str


class Loader:
    """The steps of one rank."""

    def __init__(self, config: DataConfig, processor: Processor, rank: int = 0, world_size: int = 1) -> None:
        self.config = config
        self.rank, self.world_size = rank, world_size
        self.sources = [open_source(source) for source in config.sources]
        self.mixture = Mixture(self.sources, config)
        self.num_seen = 0
        self.num_failed = 0
        self._samples = Samples(self, processor)
        self._prepared: Iterator[Inputs | Failure] | None = None

    def next_step(self) -> list[Pack]:
        """This rank's packs of the next step. UserError when more samples failed than the budget allows."""
        if self._prepared is None:
            self._prepared = iter(self._workers(self._mine(iter(self.mixture))))
        good: list[tuple[str, Inputs]] = []
        for place, (source, _) in enumerate(list(islice(self.mixture, self.config.samples_per_step))):
            self.mixture.consume(source)
            if place % self.world_size == self.rank:
                result = next(self._prepared)
                if isinstance(result, Failure):
                    self._quarantine(result)
                else:
                    good.append((self.sources[source].name, result))
                self.num_seen += 1
        self._check_budget()
        return pack_samples(good, self.config.pack_tokens)

    def first(self, most_packs: int) -> list[Pack]:
        """This rank's share of the sources' samples in file order, each once, one to a pack: for measuring.

        All ranks together give at most `most_packs`, the sources in turn.
        """
        longest = max(len(source) for source in self.sources)
        order = [(s, i) for i in range(longest) for s, source in enumerate(self.sources) if i < len(source)]
        mine = order[:most_packs][self.rank :: self.world_size]
        packs = []
        for (source, _), result in zip(mine, self._workers(iter(mine)), strict=True):
            if isinstance(result, Failure):
                self._quarantine(result)
            else:
                packs += pack_samples([(self.sources[source].name, result)], self.config.pack_tokens)
        return packs

    def state_dict(self) -> dict[str, Any]:
        """Where the next step begins; the same on all ranks, but for the failures each has met."""
        return {"counts": list(self.mixture.counts), "num_seen": self.num_seen, "num_failed": self.num_failed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a state of a loader with the same sources and seed, on any number of ranks."""
        if len(state["counts"]) != len(self.sources):
            raise UserError(f"the data has {len(self.sources)} sources, the checkpoint's had {len(state['counts'])}")
        self.mixture.counts = list(state["counts"])
        self.num_seen, self.num_failed = state["num_seen"], state["num_failed"]
        self._prepared = None

    def _mine(self, order: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """The samples that fall to this rank: places rank, rank + world_size, ... of every step."""
        while True:
            step = list(islice(order, self.config.samples_per_step))
            yield from step[self.rank :: self.world_size]

    def _workers(self, order: Iterator[tuple[int, int]]) -> DataLoader[Inputs | Failure]:
        """Prepares samples in order, ahead of their use."""
        return DataLoader(
            self._samples,
            sampler=_Order(order),
            batch_size=None,
            num_workers=self.config.num_workers,
            prefetch_factor=self.config.prefetch if self.config.num_workers else None,
            multiprocessing_context="fork" if self.config.num_workers else None,  # sources are open files
        )

    def _quarantine(self, failure: Failure) -> None:
        self.num_failed += 1
        logger.warning("sample left out: %s", failure.reason)
        if self.config.quarantine is not None:
            path = Path(self.config.quarantine)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({"source": failure.source, "reason": failure.reason}, ensure_ascii=False) + "\n")

    def _check_budget(self) -> None:
        if self.num_failed > max(FREE_FAILURES, self.config.failure_budget * self.num_seen):
            where = f"; they are named in {self.config.quarantine}" if self.config.quarantine else ""
            raise UserError(
                f"{self.num_failed} of {self.num_seen} samples failed, more than failure_budget = "
                f"{self.config.failure_budget:g} allows{where}; `vl3 data check` lists all that is wrong with a file"
            )


class _Order:
    """A sampler that is an iterator already."""

    def __init__(self, order: Iterator[tuple[int, int]]) -> None:
        self._order = order

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return self._order


class Samples(Dataset[Inputs | Failure]):
    """(source, sample) -> inputs, or why there are none. Lives in the workers; each has a decoder of its own."""

    def __init__(self, loader: Loader, processor: Processor) -> None:
        config = loader.config
        self._sources = loader.sources
        self._decode_timeout_s = config.decode_timeout_s
        self._preparers = [Preparer(processor, source.config, config.pack_tokens) for source in loader.sources]
        self._decoder: Decoder | None = None

    def __getitem__(self, place: tuple[int, int]) -> Inputs | Failure:
        source, index = place
        if self._decoder is None:
            self._decoder = Decoder(self._decode_timeout_s)
        try:
            return self._preparers[source].inputs(self._sources[source].get(index), self._decoder)
        except UserError as error:
            return Failure(self._sources[source].name, writable(error))
