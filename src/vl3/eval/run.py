"""A run: a task's questions put to the model and to baselines, logged, resumable to the question, and summed up.

OUT/settings.json says what was asked of whom, OUT/answers/ROW.jsonl holds each answer, OUT/result.json the sums. The
same settings give the same result, in one go or in many, whatever the batch size and the number of shards.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from vl3.config import configclass, read_json
from vl3.errors import UserError
from vl3.eval.answerers import Answerer, Examinee, most_frequent
from vl3.eval.judge import Judge
from vl3.eval.log import Log, Record, log_path, read_row, record, scored
from vl3.eval.statistics import estimate
from vl3.eval.task import STREAM, Item, Score, Task
from vl3.generate import Options
from vl3.lines import writing

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
    options: Options = field(default_factory=lambda: Options())
    """Frames, tokens and decoding, as the Python API takes them."""
    shard: tuple[int, int] | None = None
    """(k, n): answer the k-th of n parts of the questions, from 1 on."""


@dataclass(frozen=True)
class Progress:
    """Who is told how far a run is."""

    start: Callable[[str, int, int], None] = lambda _row, _done, _total: None
    """(row, questions answered before, all of them)."""
    advance: Callable[[], None] = lambda: None


def evaluate(
    task: Task,
    examinee: Examinee,
    config: RunConfig,
    known: Sequence[Item] | None = None,
    judge: Callable[[], Judge] | None = None,
    progress: Progress = Progress(),
) -> Result:
    """Runs what is not done yet and returns the result, also written to OUT/result.json once no shard is missing.

    judge: opens the judge, once all answers are there; if that fails they stay, and the next call only judges.
    known: training questions for the most-frequent baseline; None takes the task's own. UserError when OUT holds a run
    of other settings.
    """
    task = _askable(task, examinee).limited(config.limit, config.seed)
    if not task.items:
        raise UserError(f"{task.name}: no questions to ask")
    settings = settings_of(task, examinee, config)
    path = config.out / "settings.json"
    before = _check_settings(path, settings)
    part = task.shard(*config.shard) if config.shard else task
    logs = {row: Log(log_path(config.out, row, config.shard)) for row in (MODEL, *config.baselines)}
    for row, log in logs.items():
        _answer_row(row, log, part, task if known is None else known, examinee, progress)
    if judge is not None:
        try:
            opened = judge()
        except UserError as error:
            raise UserError(f"judge: {error}; the answers are kept, and the same call only judges them") from error
        settings = _with_judge(path, before, settings, opened)
        for row, log in logs.items():
            _judge_row(row, log, part, opened, config.out / "judge.jsonl", progress)
    elif "judge" in before:
        settings["judge"] = before["judge"]
    rows = {}
    for row in (MODEL, *config.baselines):
        records = read_row(config.out, row)
        rows[row] = [records[item.id] for item in task.items if item.id in records]
    result = summed_up(task, settings, rows, config.seed)
    if open_items := len(task.items) - min(map(len, rows.values())):
        result["open"] = open_items
        return result
    _write(config.out / "result.json", result)
    return result


def _askable(task: Task, examinee: Examinee) -> Task:
    """Without what this one cannot be asked, which is noted."""
    items = [item for item in task.items if examinee.streams or item.kind != STREAM]
    if left_out := len(task.items) - len(items):
        note = f"{left_out} questions about streams left out: an endpoint cannot be asked them"
        return replace(task, items=items, notes=[*task.notes, note])
    return task


def _answer_row(
    row: str, log: Log, part: Task, known: Task | Sequence[Item], examinee: Examinee, progress: Progress
) -> None:
    """Asks what has no answer yet."""
    open_items = [item for item in part.items if item.id not in log.done]
    progress.start(row, len(part.items) - len(open_items), len(part.items))
    answering: AbstractContextManager[Answerer] = nullcontext(examinee.answer)
    if row == "no-picture":
        answering = examinee.blank()
    elif row == "most-frequent":
        open_items = list(part.items)  # takes no time, and what it knows may have changed
        own = isinstance(known, Task)
        answering = nullcontext(most_frequent(known.items if isinstance(known, Task) else known, own=own))
    if not open_items:
        return
    with log.writing() as writer, answering as answer:

        def told(item: Item, reply: Any) -> None:
            writer.add(record(part, item, reply))
            progress.advance()

        answer(open_items, told)


def _judge_row(row: str, log: Log, part: Task, judge: Judge, cache: Path, progress: Progress) -> None:
    """Has the answers judged that rules cannot compare and that have no verdict yet."""
    cases = []
    for item in part.items:
        found = log.records[item.id]
        if found.answered and not found.judged and (verdict := part.judged(item, found.answer)) is not None:
            cases.append((item, verdict))
    if not cases:
        return
    progress.start(f"{row}: judge", 0, len(cases))
    with log.writing() as writer:

        def told(item: Item, found: Score | UserError) -> None:
            before = replace(log.records[item.id], error=None)
            if isinstance(found, UserError):
                writer.add(replace(before, score=None, also={}, error=str(found)))
            else:
                writer.add(scored(before, found, judged=True))
            progress.advance()

        judge.decide(cases, cache, told)


# ---------------------------------------------------------------------------------------------------------- settings


def settings_of(task: Task, examinee: Examinee, config: RunConfig) -> dict[str, Any]:
    """What decides the answers: two runs are one if this is equal. Who judges them comes to it when they are judged."""
    return {
        "task": task.name,
        "questions": len(task.items),
        "questions_digest": task.digest(),
        "model": config.model,
        **examinee.facts,
        "limit": config.limit,
        "seed": config.seed,
        "options": dict(sorted(config.options.items())),
    }


def _check_settings(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of the run that OUT holds, or these. UserError if that run's answers are others."""
    if not path.exists():
        _write(path, settings)
        return settings
    before = read_json(path)
    if not isinstance(before, dict):
        raise UserError(f"{path}: not the settings of a run; give another folder with -o")
    other = sorted(key for key in {*before, *settings} - {"judge"} if before.get(key) != settings.get(key))
    if other:
        raise _other_settings(path, other)
    return before


def _with_judge(path: Path, before: dict[str, Any], settings: dict[str, Any], judge: Judge) -> dict[str, Any]:
    """The settings with their judge, whom a run that has none yet may get. UserError if it has another."""
    if before.get("judge", judge.facts) != judge.facts:
        raise _other_settings(path, ["judge"])
    judged = {**settings, "judge": judge.facts}
    if before != judged:
        _write(path, judged)
    return judged


def _other_settings(path: Path, keys: Sequence[str]) -> UserError:
    return UserError(
        f"{path.parent}: holds a run of other settings ({', '.join(keys)}); give another folder with -o, "
        "or delete this one"
    )


def _write(path: Path, data: Any) -> None:
    draft = path.with_suffix(".tmp")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        draft.replace(path)


# -------------------------------------------------------------------------------------------------------------- sums


def summed_up(task: Task, settings: dict[str, Any], rows: Mapping[str, Sequence[Record]], seed: int) -> Result:
    """Scores by kind of every row, and how much better than each baseline the model is."""
    totals = {
        row: task.totals([(r.id, r.kind, r.cluster, r.score) for r in records if r.score is not None])
        for row, records in rows.items()
    }
    return {
        "settings": settings,
        "versions": {package: version(package) for package in ("vl3", "torch", "numpy")},
        "notes": [*task.notes, *_notes(task, rows[MODEL])],
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


def _notes(task: Task, records: Sequence[Record]) -> list[str]:
    """What was scored in another way than the benchmark's authors do, or not at all."""
    items = {item.id: item for item in task.items}
    by_rule = sum(r.answered and not r.judged and task.judged(items[r.id], r.answer) is not None for r in records)
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
