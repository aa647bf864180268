"""cluster: groups pictures by what they show (k-means of their features by faiss; arXiv 2501.13106, section 4)."""

import zlib
from collections.abc import Sequence
from functools import partial
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vl3.config import Count, configclass
from vl3.curate.likeness import faiss_ready, open_faiss
from vl3.curate.step import Found, Place, Pool, PoolStep, Type


@configclass
class ClusterConfig:
    """How finely."""

    clusters: Count | None = None
    """Number of clusters; by default the square root of the number of pictures."""
    train_rows: Count = 65_536
    """Most pictures that centres are found with; all are assigned."""
    iterations: Count = 20
    """Passes of k-means."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Of the first centres."""


def cluster_step(config: ClusterConfig) -> PoolStep:
    """Writes `cluster` and `centre_similarity` (cosine), and the centres to centres.npy in the step's folder."""
    outputs: dict[str, Type] = {"cluster": "int32", "centre_similarity": "float32"}
    return PoolStep(("embedding",), outputs, partial(assign, config), only="image", ready=faiss_ready)


def assign(config: ClusterConfig, pool: Pool, place: Place) -> Found:
    """Finds centres with a sample, then goes through all pictures once."""
    total = len(pool)
    if total == 0:
        return Found()
    sample = _sample(pool, min(1.0, config.train_rows / total))
    number = min(config.clusters or max(1, round(total**0.5)), len(sample))
    faiss = open_faiss()
    kmeans = faiss.Kmeans(
        sample.shape[1],
        number,
        niter=config.iterations,
        seed=config.seed,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=len(sample),
    )
    kmeans.train(sample)
    np.save(place.folder / "centres.npy", kmeans.centroids)
    clusters: list[int] = []
    similarities: list[float] = []
    for rows in pool.batches(("embedding",)):
        if rows["id"]:
            scores, found = kmeans.index.search(matrix(rows["embedding"]), 1)
            clusters += found[:, 0].tolist()
            similarities += scores[:, 0].tolist()
    return Found({"cluster": clusters, "centre_similarity": similarities})


def _sample(pool: Pool, share: float) -> NDArray[np.float32]:
    """The features of about so many pictures; which, is a function of their ids."""
    chosen: list[NDArray[np.float32]] = []
    for rows in pool.batches(("embedding",)):
        pairs = zip(rows["id"], rows["embedding"], strict=True)
        if own := [feature for name, feature in pairs if zlib.crc32(name.encode()) < share * 2**32]:
            chosen.append(matrix(own))
    return np.concatenate(chosen)


def matrix(features: Sequence[Sequence[float]]) -> NDArray[np.float32]:
    """[n, width]."""
    return np.ascontiguousarray(features, dtype=np.float32)
