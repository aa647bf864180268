"""What a run comes to: its answers summed up by kind, with intervals, and beside its baselines."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Literal

from vl3.eval.log import Record
from vl3.eval.statistics import estimate
from vl3.eval.task import Totals

Baseline = Literal["no-picture", "most-frequent"]
MODEL = "model"
ALL = "all"
"""What the row over all kinds is called."""
Result = dict[str, Any]
PACKAGES = ("vl3", "torch", "numpy", "av", "pillow", "tokenizers")
"""Those whose versions decide what is decoded, seen and said."""
QUESTIONS = "questions.json"
"""The file in a shard's folder that says what the whole run asks."""


@dataclass(frozen=True)
class Questions:
    """What a whole run asks, whichever shard."""

    ids: Sequence[str]
    """In the task's order."""
    notes: Sequence[str]
    """What a reader of the result must know of them."""

    def of(self, records: Mapping[str, Record]) -> list[Record]:
        """The records that are there, in order."""
        return [records[id_] for id_ in self.ids if id_ in records]


def summed_up(
    settings: dict[str, Any], rows: Mapping[str, Sequence[Record]], notes: Sequence[str], totals_of: Totals
) -> Result:
    """Scores by kind of every row, and how much better than each baseline the model is."""
    seed = settings["seed"]
    totals = {
        row: totals_of([(r.id, r.kind, r.cluster, r.score) for r in records if r.score is not None])
        for row, records in rows.items()
    }
    return {
        "settings": settings,
        "versions": {package: version(package) for package in PACKAGES},
        "notes": [*notes, *_notes(rows[MODEL])],
        "rows": {row: by_kind(records, seed) for row, records in rows.items()},
        **({"totals": totals} if any(totals.values()) else {}),
        "better_than": {row: paired(rows[MODEL], records, seed) for row, records in rows.items() if row != MODEL},
        "failed": [
            {"row": row, "id": found.id, "error": found.error}
            for row, records in rows.items()
            for found in records
            if found.error is not None
        ],
    }


def _notes(records: Sequence[Record]) -> list[str]:
    """What was scored in another way than the benchmark's authors do, or not at all."""
    by_rule = sum(r.for_judge and not r.judged for r in records)
    secret = sum(r.answered and r.score is None and r.error is None for r in records)
    notes = []
    if by_rule:
        notes.append(f"{by_rule} answers were compared by rules where the benchmark's authors ask a judge: see --judge")
    if secret:
        notes.append(f"{secret} questions have no public answer: they are logged, not scored")
    return notes


def by_kind(records: Sequence[Record], seed: int) -> dict[str, Any]:
    """{kind: n, media, mean, low, high, failed, also}; `all` is over all questions. Failures are in no mean."""
    return {kind: _sum(found, seed) for kind, found in kinds_of(records).items()}


def kinds_of(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The records of each kind in alphabetical order, then all of them."""
    kinds = {kind: [r for r in records if r.kind == kind] for kind in sorted({r.kind for r in records})}
    return {**kinds, ALL: list(records)}


def _sum(records: Sequence[Record], seed: int) -> dict[str, Any]:
    scores = [(found.score, found) for found in records if found.score is not None]
    failed = sum(found.error is not None for found in records)
    if not scores:
        return {"n": 0, "media": 0, "mean": None, "low": None, "high": None, "failed": failed, "also": {}}
    measure = estimate([score for score, _ in scores], [found.cluster for _, found in scores], seed)
    also: dict[str, float] = {}
    if len({found.kind for _, found in scores}) == 1:
        for name in sorted({name for _, found in scores for name in found.also}):
            values = [found.also[name] for _, found in scores if name in found.also]
            also[name] = sum(values) / len(values)
    return {**asdict(measure), "failed": failed, "also": also}


def paired(first: Sequence[Record], second: Sequence[Record], seed: int) -> dict[str, Any]:
    """By kind: how much better `first` is on the questions that both answered, with the interval of the difference, and
    how many of the questions have another score."""
    others = {found.id: found for found in second}
    result: dict[str, Any] = {}
    for kind, found in kinds_of(first).items():
        differences, clusters = [], []
        for one in found:
            other = others.get(one.id)
            if other is None or one.score is None or other.score is None:
                continue
            if (one.question, one.truth) == (other.question, other.truth):
                differences.append(one.score - other.score)
                clusters.append(one.cluster)
        if differences:
            unequal = sum(difference != 0 for difference in differences)
            result[kind] = {**asdict(estimate(differences, clusters, seed)), "unequal": unequal}
    return result
