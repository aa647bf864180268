"""A run: a task's questions put to the model and to baselines, logged, resumable to the question, and summed up.

OUT/settings.json says what was asked of whom, OUT/answers/ROW.jsonl holds each answer, OUT/result.json the sums. The
same settings give the same result, in one go or in many, whatever the batch size.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from vl3.config import configclass, read_json
from vl3.errors import UserError
from vl3.eval.answerers import model_answerer, most_frequent, without_pictures
from vl3.eval.answers import Log, Record, record
from vl3.eval.statistics import estimate
from vl3.eval.task import Item, Task
from vl3.generate import Assistant, Options

Baseline = Literal["no-picture", "most-frequent"]
MODEL = "model"
ALL = "all"
"""What the row over all kinds is called."""
Result = dict[str, Any]


@configclass
class RunConfig:
    """How a task is run."""

    out: Path
    """Folder of the run."""
    model: str
    """What the model is called."""
    baselines: Sequence[Baseline] = ()
    """Who else answers the same questions."""
    limit: int | None = None
    """Most questions of each kind."""
    seed: int = 0
    """Decides which questions, and the intervals' resampling."""
    batch_size: int = 8
    """Questions in the model at a time; does not change answers."""
    options: Options = field(default_factory=lambda: Options())
    """Frames, tokens and decoding, as the Python API takes them."""


@dataclass(frozen=True)
class Progress:
    """Who is told how far a run is."""

    start: Callable[[str, int, int], None] = lambda _row, _done, _total: None
    """(row, questions answered before, all of them)."""
    advance: Callable[[], None] = lambda: None


def evaluate(
    task: Task,
    assistant: Assistant,
    config: RunConfig,
    known: Sequence[Item] | None = None,
    progress: Progress = Progress(),
) -> Result:
    """Runs what is not done yet and returns the result, also written to OUT/result.json.

    known: training questions for the most-frequent baseline; None takes the task's own. UserError when OUT holds a run
    of other settings.
    """
    task = task.limited(config.limit, config.seed)
    if not task.items:
        raise UserError(f"{task.name}: no questions to ask")
    settings = settings_of(task, assistant, config)
    _check_settings(config.out / "settings.json", settings)
    logs: dict[str, Log] = {}
    for row in (MODEL, *config.baselines):
        log = logs[row] = Log(config.out / "answers" / f"{row}.jsonl")
        open_items = [item for item in task.items if item.id not in log.done]
        progress.start(row, len(task.items) - len(open_items), len(task.items))
        blank = without_pictures(assistant) if row == "no-picture" else None
        if row == "most-frequent":
            open_items = list(task.items)  # takes no time, and what it knows may have changed
            answer = most_frequent(task.items if known is None else known, own=known is None)
        else:
            answer = model_answerer(blank or assistant, config.batch_size, config.options)
        with log.writing() as writer:

            def told(item: Item, reply: Any, writer: Any = writer) -> None:
                writer.add(record(task, item, reply))
                progress.advance()

            answer(open_items, told)
        if blank is not None:
            blank.close()
    rows = {row: [log.records[item.id] for item in task.items] for row, log in logs.items()}
    result = summed_up(task, settings, rows, config.seed)
    _write(config.out / "result.json", result)
    return result


# ---------------------------------------------------------------------------------------------------------- settings


def settings_of(task: Task, assistant: Assistant, config: RunConfig) -> dict[str, Any]:
    """What decides the answers: two runs are one if this is equal."""
    return {
        "task": task.name,
        "questions": len(task.items),
        "questions_digest": task.digest(),
        "model": config.model,
        "model_files": _files(assistant.checkpoint.path),
        "dtype": str(next(assistant.checkpoint.model.parameters()).dtype).removeprefix("torch."),
        "limit": config.limit,
        "seed": config.seed,
        "options": dict(sorted(config.options.items())),
    }


def _files(folder: Path) -> str:
    """A fingerprint of a checkpoint's files: a model trained further in the same folder is another model."""
    found = [(file.name, file.stat()) for file in sorted(folder.glob("*")) if file.is_file()]
    facts = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in found]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _check_settings(path: Path, settings: dict[str, Any]) -> None:
    if not path.exists():
        _write(path, settings)
        return
    before = read_json(path)
    other = sorted(key for key in {*before, *settings} if before.get(key) != settings.get(key))
    if other:
        raise UserError(
            f"{path.parent}: holds a run of other settings ({', '.join(other)}); give another folder with -o, "
            "or delete this one"
        )


def _write(path: Path, data: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    draft.replace(path)


# -------------------------------------------------------------------------------------------------------------- sums


def summed_up(task: Task, settings: dict[str, Any], rows: Mapping[str, Sequence[Record]], seed: int) -> Result:
    """Scores by kind of every row, and how much better than each baseline the model is."""
    return {
        "settings": settings,
        "versions": {package: version(package) for package in ("vl3", "torch", "numpy")},
        "notes": list(task.notes),
        "rows": {row: by_kind(records, seed) for row, records in rows.items()},
        "better_than": {row: paired(rows[MODEL], records, seed) for row, records in rows.items() if row != MODEL},
        "failed": [
            {"row": row, "id": found.id, "error": found.error}
            for row, records in rows.items()
            for found in records
            if found.error is not None
        ],
    }


def by_kind(records: Sequence[Record], seed: int) -> dict[str, Any]:
    """{kind: n, media, mean, low, high, failed, also}; `all` is over all questions. Failures are in no mean."""
    return {kind: _sum(found, seed) for kind, found in kinds_of(records).items()}


def kinds_of(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The records of each kind in alphabetical order, then all of them."""
    kinds = {kind: [r for r in records if r.kind == kind] for kind in sorted({r.kind for r in records})}
    return {**kinds, ALL: list(records)}


def _sum(records: Sequence[Record], seed: int) -> dict[str, Any]:
    scored = [(found.score, found) for found in records if found.score is not None]
    failed = len(records) - len(scored)
    if not scored:
        return {"n": 0, "media": 0, "mean": None, "low": None, "high": None, "failed": failed, "also": {}}
    measure = estimate([score for score, _ in scored], [found.cluster for _, found in scored], seed)
    also: dict[str, float] = {}
    if len({found.kind for _, found in scored}) == 1:
        for name in sorted({name for _, found in scored for name in found.also}):
            values = [found.also[name] for _, found in scored if name in found.also]
            also[name] = sum(values) / len(values)
    return {**asdict(measure), "failed": failed, "also": also}


def paired(first: Sequence[Record], second: Sequence[Record], seed: int) -> dict[str, Any]:
    """By kind: how much better `first` is on the questions that both answered, with the interval of the difference."""
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
            result[kind] = asdict(estimate(differences, clusters, seed))
    return result
