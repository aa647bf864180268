"""How much of what is wrong with a pool `vl3 curate` finds, and how much of what it drops is wrong.

    PYTHONPATH=. python benchmarks/curation_pool.py --rows 20000 --nano build/nano

makes a pool with planted faults (curation_data.py), curates it, and prints for each fault the recall (share of the rows
with it, of those that reached its step, that were dropped there) and the precision (share of what its step dropped that
had it), beside the target; then how evenly classes are spread before and after. Both folders are kept: a second run
measures what is there.
"""

import argparse
import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from common import say
from curation_data import build
from rich.progress import Progress

from vl3.curate import curate, read_recipe
from vl3.curate.record import parts_of
from vl3.curate.rows import read_part

TARGETS = {
    "corrupt": (0.95, 0.95),
    "shape": (0.95, 0.95),
    "leak": (0.95, 0.95),
    "duplicate": (0.95, 0.95),
    "blur": (0.85, 0.8),
    "wrong": (0.85, 0.8),
}
"""(precision, recall) that must be reached."""
STEP_OF = {"corrupt": "decode", "shape": "shape", "leak": "leaks", "blur": "quality", "wrong": "agreement"}


@dataclass(frozen=True)
class Row:
    """A row after curation, with what was planted."""

    id: str
    fault: str | None
    family: int
    """The number of the picture that it shows, for duplicates."""
    label: str
    dropped_by: str | None
    duplicate_of: str | None


def recipe(pool: Path, output: Path, judge: str) -> dict[str, Any]:
    """The recipe that is measured: recipes/curate/images.yaml with the benchmark's pictures."""
    path = Path(__file__).parents[1] / "recipes" / "curate" / "images.yaml"
    data: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    data["output"] = str(output)
    data["sources"] = [{"path": str(pool / "pool.jsonl"), "label": "label"}]
    steps: dict[str, Any] = {}
    for name, settings in data["steps"].items():
        steps[name] = settings
        if name == "words":
            steps["leaks"] = {"benchmarks": [str(pool / "benchmark")]}
    if judge == "none":
        del steps["agreement"]
    else:
        steps["agreement"]["model"] = judge
    return {**data, "steps": steps}


def rows_after(folder: Path, pool: Path) -> list[Row]:
    """All rows, in the pool's order."""
    truths = [json.loads(line) for line in (pool / "truth.jsonl").read_text().splitlines()]
    wanted = ["id", "label", "dropped_by", "duplicate_of"]
    found = [row for part in parts_of(folder) for row in read_part(part, wanted).to_pylist()]
    pairs = enumerate(zip(found, truths, strict=True))
    return [
        Row(fault=truth["fault"], family=number if truth["copy_of"] is None else truth["copy_of"], **row)
        for number, (row, truth) in pairs
    ]


def scores(rows: list[Row], steps: list[str]) -> dict[str, tuple[float, float, int]]:
    """(precision, recall, planted rows that reached the step) of each fault."""
    order = {name: number for number, name in enumerate(steps)}

    def reached(row: Row, step: str) -> bool:
        return row.dropped_by is None or order[row.dropped_by] >= order[step]

    found: dict[str, tuple[float, float, int]] = {}
    for fault, step in STEP_OF.items():
        if step in order:
            dropped = [row for row in rows if row.dropped_by == step]
            planted = [row for row in rows if row.fault == fault and reached(row, step)]
            right = sum(row.fault == fault for row in dropped)
            found[fault] = (_share(right, len(dropped)), _share(right, len(planted)), len(planted))
    by_id = {row.id: row for row in rows}
    dropped = [row for row in rows if row.dropped_by in ("exact", "near")]
    right = sum(row.family == by_id[row.duplicate_of].family for row in dropped if row.duplicate_of)
    left: Counter[int] = Counter(row.family for row in rows if reached(row, "exact") and row not in dropped)
    copies = [row for row in rows if row.fault in ("exact", "near") and reached(row, "exact")]
    single = sum(row.dropped_by in ("exact", "near") or left[row.family] == 1 for row in copies)
    found["duplicate"] = (_share(right, len(dropped)), _share(single, len(copies)), len(copies))
    return found


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def evenness(rows: list[Row], kept: Callable[[Row], bool]) -> dict[str, float]:
    """Of the labels of rows that are kept: the most frequent three's share, and entropy as a share of its maximum."""
    counts = Counter(row.label for row in rows if kept(row))
    total = sum(counts.values())
    bits = -sum(count / total * math.log2(count / total) for count in counts.values())
    most = sum(count for _, count in counts.most_common(3))
    return {"rows": total, "three most": most / total, "entropy": bits / math.log2(max(2, len(counts)))}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--nano", type=Path, help="folder of nano's data, with its pictures")
    parser.add_argument("--folder", type=Path, default=Path("build/curation"), help="[build/curation]")
    parser.add_argument("--judge", default="nano", help="checkpoint that judges texts, or none [nano]")
    parser.add_argument("--quick", action="store_true", help="120 rows and no judge, to try the script")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows, judge = (120, "none") if arguments.quick else (arguments.rows, arguments.judge)
    pool, output = arguments.folder / f"pool-{rows}", arguments.folder / f"run-{rows}"
    build(pool, rows, arguments.nano)
    path = arguments.folder / f"recipe-{rows}.yaml"
    path.write_text(yaml.safe_dump(recipe(pool, output, judge), sort_keys=False))
    with Progress(transient=True) as progress:
        bar = progress.add_task("starting", total=None)
        outcomes = curate(
            read_recipe(path),
            on_progress=lambda name, done, all_: progress.update(
                bar, description=name, completed=done, total=all_ or None
            ),
        )
    found = rows_after(outcomes[-1].folder, pool)
    steps = [outcome.name for outcome in outcomes]
    result: dict[str, Any] = {}
    for fault, (precision, recall, planted) in scores(found, steps).items():
        wanted = TARGETS[fault]
        verdict = "reached" if precision >= wanted[0] and recall >= wanted[1] else "missed"
        result[fault] = {"precision": precision, "recall": recall, "planted": planted}
        result[f"{fault}: target {wanted[0]}/{wanted[1]}"] = verdict
    good = steps.index("balance")
    result["before balance"] = evenness(found, lambda row: row.dropped_by in (None, *steps[good:]))
    result["after balance"] = evenness(found, lambda row: row.dropped_by is None)
    say(result, arguments.json)


if __name__ == "__main__":
    main()
