"""What a run has done to its pool, counted and sampled from its Parquet files, one file in memory at a time.

What is sampled are the rows whose ids have the smallest hashes, so that the same run gives the same sample, and a pool
of any size a bounded one.
"""

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vl3.curate.record import Outcome, finished_steps, parts_of
from vl3.curate.rows import arrow, read_part

MOST_VALUES = 50_000
"""Rows whose scores are sampled."""
MOST_POINTS = 3_000
"""Rows whose embeddings are sampled."""
MOST_CLASSES = 40
"""Classes that are counted one by one; the rest are counted together."""
PLACES = ("offset", "size", "start_s", "end_s")
"""Numbers that are no scores."""
SHOWN = ("id", "source", "licence", "kind", "path", "offset", "size", "start_s", "end_s", "text", "drop_reason")

Row = dict[str, Any]


@dataclass
class Sample:
    """The rows with the smallest hashes."""

    most: int
    _heap: list[tuple[int, int, Row]] = field(default_factory=list)
    _seen: int = 0

    def offer(self, rank: int, row: Row) -> None:
        """Takes the row, or not."""
        self._seen += 1
        entry = (-rank, self._seen, row)
        if len(self._heap) < self.most:
            heapq.heappush(self._heap, entry)
        elif entry > self._heap[0]:
            heapq.heapreplace(self._heap, entry)

    @property
    def rows(self) -> list[Row]:
        """Those taken, smallest hash first."""
        return [row for *_, row in sorted(self._heap, key=lambda entry: (-entry[0], entry[1]))]


@dataclass(frozen=True)
class Balance:
    """How many rows there were of each class, and are kept."""

    by: str
    classes: Sequence[tuple[str, int, int]]
    """(class, before, after), the most frequent first."""
    evenness: tuple[float, float]
    """Entropy of the classes before and after, as a share of the most that so many classes can have."""


@dataclass(frozen=True)
class Survey:
    """All that a report needs of a run."""

    steps: Sequence[Outcome]
    kept: Sample
    dropped: dict[tuple[str, str], Sample]
    """By step and reason."""
    scores: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]
    """By column: values of kept and of dropped rows."""
    points: NDArray[np.float32] | None
    """[n, d] embeddings of some rows."""
    point_rows: Sequence[Row]
    """The rows that they belong to, with `cluster` and `dropped_by`."""
    balances: Sequence[Balance]
    origins: Sequence[tuple[str, str, int, int]]
    """(source, licence, rows before, rows kept)."""


def survey(output: Path, examples: int) -> Survey:
    """Reads the finished steps of a run's folder. examples: rows sampled of each reason, four times as many kept ones.
    UserError if it is no run's folder, or nothing is finished."""
    steps = finished_steps(output)
    first, last = steps[0].folder, steps[-1].folder
    surveyor = _Surveyor(_columns(last), examples, steps[-1].rows)
    for rows in _batches(last, surveyor.wanted):
        for row in rows:
            surveyor.add(row)
    before = {name: Counter[str]() for name in ("label", "cluster")}
    before_origin: Counter[tuple[str, str]] = Counter()
    for rows in _batches(first, ("label", "source", "licence")):
        for row in rows:
            before["label"].update([row["label"]] if row["label"] is not None else [])
            before_origin[row["source"], row["licence"] or ""] += 1
    before["cluster"] = surveyor.all_clusters
    balances = [
        balance(name, before[name], surveyor.after[name]) for name in ("label", "cluster") if len(before[name]) > 1
    ]
    origins = [(*key, count, surveyor.after_origin[key]) for key, count in sorted(before_origin.items())]
    return Survey(
        steps=steps,
        kept=surveyor.kept,
        dropped=surveyor.dropped,
        scores=surveyor.values(),
        points=surveyor.embeddings(),
        point_rows=surveyor.points.rows,
        balances=balances,
        origins=origins,
    )


def balance(by: str, before: Counter[str], after: Counter[str]) -> Balance:
    """Counts by class; from the number of MOST_CLASSES on together, as `all others`."""
    ranked = [name for name, _ in sorted(before.items(), key=lambda item: (-item[1], item[0]))]
    classes = [(name, before[name], after[name]) for name in ranked[:MOST_CLASSES]]
    if rest := ranked[MOST_CLASSES:]:
        classes.append((f"all others ({len(rest)})", sum(before[n] for n in rest), sum(after[n] for n in rest)))
    return Balance(by, classes, (_evenness(before, len(before)), _evenness(after, len(before))))


def _evenness(counts: Counter[str], num_classes: int) -> float:
    total = sum(counts.values())
    shares = np.array([count / total for count in counts.values() if count]) if total else np.ones(1)
    return float(-(shares * np.log(shares)).sum() / np.log(num_classes)) if num_classes > 1 else 1.0


class _Surveyor:
    """Takes in the rows of the last step."""

    def __init__(self, columns: dict[str, str], examples: int, total: int) -> None:
        captions = [name for name, kind in columns.items() if name.startswith("caption") and kind == "string"]
        self._scores = [name for name, kind in columns.items() if kind in _NUMBERS and name not in (*PLACES, "cluster")]
        vectors = [name for name, kind in columns.items() if kind.startswith("list<") and "float" in kind]
        self._vector = vectors[0] if vectors else None
        shown = [name for name in (*SHOWN, *captions, "cluster") if name in columns]
        self._shown = shown
        self.wanted = [*dict.fromkeys([*shown, "label", "dropped_by", *self._scores, *vectors[:1]])]
        self._share = min(1.0, MOST_VALUES / max(1, total))
        self._examples = examples
        self._values: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in self._scores}
        self.kept = Sample(4 * examples)
        self.dropped: dict[tuple[str, str], Sample] = {}
        self.points = Sample(MOST_POINTS)
        self.after: dict[str, Counter[str]] = {"label": Counter(), "cluster": Counter()}
        self.all_clusters: Counter[str] = Counter()
        self.after_origin: Counter[tuple[str, str]] = Counter()

    def add(self, row: Row) -> None:
        """Counts a row, and keeps it where it falls into a sample."""
        rank = _rank(row["id"])
        dropped = row["dropped_by"] is not None
        shown = {name: row[name] for name in (*self._shown, "dropped_by")}
        if row.get("cluster") is not None:
            self.all_clusters[str(row["cluster"])] += 1
        if dropped:
            reason = (row["dropped_by"], str(row["drop_reason"]).partition(": ")[0])
            self.dropped.setdefault(reason, Sample(self._examples)).offer(rank, shown)
        else:
            self.kept.offer(rank, shown)
            self.after_origin[row["source"], row["licence"] or ""] += 1
            for name, counter in self.after.items():
                counter.update([str(row[name])] if row.get(name) is not None else [])
        if rank < self._share * 2**64:
            for name, values in self._values.items():
                if row[name] is not None:
                    values[dropped].append(row[name])
        if self._vector is not None and row[self._vector] is not None:
            self.points.offer(rank, {**shown, "vector": row[self._vector]})

    def values(self) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
        pairs = {
            name: (np.array(kept, np.float32), np.array(gone, np.float32))
            for name, (kept, gone) in self._values.items()
        }
        return {name: pair for name, pair in pairs.items() if len(pair[0]) + len(pair[1])}

    def embeddings(self) -> NDArray[np.float32] | None:
        rows = self.points.rows
        return np.array([row["vector"] for row in rows], np.float32) if len(rows) > 2 else None


_NUMBERS = ("int32", "int64", "float", "double")


def _rank(name: str) -> int:
    """A number from 0 to 2**64 that a row's id draws."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "backslashreplace")).digest()[:8], "big")


def _columns(folder: Path) -> dict[str, str]:
    """Names and Arrow types of a step's columns."""
    schema = arrow().parquet.read_schema(parts_of(folder)[0])
    return {name: str(schema.field(name).type) for name in schema.names}


def _batches(folder: Path, columns: Sequence[str]) -> Iterator[list[Row]]:
    """The rows of a step, file by file."""
    for part in parts_of(folder):
        yield read_part(part, columns).to_pylist()
