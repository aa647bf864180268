"""similar: drops all but one of pictures that mean the same, by the distance of their features inside clusters.

After SemDeDup (arXiv 2303.09540): only members of one cluster are compared, so that the work grows with the pool, not
with its square.
"""

import itertools
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vl3.config import configclass
from vl3.curate.step import Found, Place, Pool, PoolStep
from vl3.curate.steps.cluster import matrix

BLOCK = 1024
"""Pictures that are compared with their cluster at a time."""


@configclass
class SimilarConfig:
    """When two pictures mean the same."""

    min_similarity: Annotated[float, Field(ge=-1, le=1)] = 0.985
    """Least cosine of two features; depends on the model, so look at some pairs first."""


def similar_step(config: SimilarConfig) -> PoolStep:
    """Writes `duplicate_of`. Of a pair the picture nearer to the cluster's centre stays."""
    inputs = ("embedding", "cluster", "centre_similarity")
    return PoolStep(inputs, {"duplicate_of": "string"}, partial(find, config), only="image")


def find(config: SimilarConfig, pool: Pool, place: Place) -> Found:
    """Goes through clusters one at a time; features wait in a file."""
    ids: list[str] = []
    clusters: list[int] = []
    nearness: list[float] = []
    store: NDArray[np.float16] | None = None
    path = place.folder / "features.unfinished"
    for rows in pool.batches(("embedding", "cluster", "centre_similarity")):
        if not rows["id"]:
            continue
        features = matrix(rows["embedding"])
        if store is None:
            store = np.memmap(path, np.float16, "w+", shape=(len(pool), features.shape[1]))
        store[len(ids) : len(ids) + len(features)] = features
        ids += rows["id"]
        clusters += rows["cluster"]
        nearness += rows["centre_similarity"]
    if store is None:
        return Found()
    twin = np.full(len(ids), -1)
    order = sorted(range(len(ids)), key=lambda number: (clusters[number], -nearness[number], number))
    edges = [0, *(at for at in range(1, len(order)) if clusters[order[at]] != clusters[order[at - 1]]), len(order)]
    for first, last in itertools.pairwise(edges):
        members = np.array(order[first:last])
        twin[members] = _twins(store[members].astype(np.float32), members, config.min_similarity)
    del store
    Path(path).unlink()
    names = [ids[other] if other >= 0 else None for other in twin]
    return Found({"duplicate_of": names}, [name and "means the same" for name in names])


def _twins(features: NDArray[np.float32], members: NDArray[np.int64], least: float) -> NDArray[np.int64]:
    """For each member of a cluster, best first, the kept member before it that is most like it, or -1."""
    twins = np.full(len(members), -1)
    for first in range(0, len(members), BLOCK):
        scores = features[first : first + BLOCK] @ features[: first + BLOCK].T
        for row, own in enumerate(scores):
            before = own[: first + row]
            alike = np.flatnonzero((before >= least) & (twins[: first + row] < 0))
            if len(alike):
                twins[first + row] = members[alike[np.argmax(before[alike])]]
    return twins
