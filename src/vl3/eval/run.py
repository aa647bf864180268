"""A run: a task's questions put to the model and to baselines, logged, resumable to the question, and summed up.

OUT/settings.json says what was asked of whom, OUT/answers/ROW.jsonl holds each answer, OUT/result.json the sums. The
same settings give the same result, in one go or in many, whatever the batch size and the number of shards.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from vl3.config import configclass, read_json
from vl3.errors import UserError
from vl3.eval.answerers import Answerer, Examinee, most_frequent
from vl3.eval.judge import Judge
from vl3.eval.log import Log, log_path, read_row, record, scored
from vl3.eval.sums import MODEL, QUESTIONS, Baseline, Questions, Result, summed_up
from vl3.eval.task import STREAM, Item, Score, Task
from vl3.generate import Options
from vl3.lines import write_json


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
    questions = Questions([item.id for item in task.items], task.notes)
    if config.shard:
        write_json(config.out / QUESTIONS, asdict(questions))
    rows = {row: questions.of(read_row(config.out, row)) for row in logs}
    result = summed_up(settings, rows, questions.notes, task.totals)
    if open_items := len(task.items) - min(map(len, rows.values())):
        result["open"] = open_items
        return result
    write_json(config.out / "result.json", result)
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
        write_json(path, settings)
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
        write_json(path, judged)
    return judged


def _other_settings(path: Path, keys: Sequence[str]) -> UserError:
    return UserError(
        f"{path.parent}: holds a run of other settings ({', '.join(keys)}); give another folder with -o, "
        "or delete this one"
    )
