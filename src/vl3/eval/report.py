"""Results as tables: one run for the terminal, several side by side in Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from vl3.config import read_json
from vl3.errors import UserError
from vl3.eval.log import read_row
from vl3.eval.sums import ALL, MODEL, QUESTIONS, Result, paired


def terminal_table(result: Result) -> Table:
    """Kinds down, the model and its baselines across."""
    rows = result["rows"]
    table = Table(title=f"{result['settings']['task']}: {result['settings']['model']}", title_justify="left")
    table.add_column("kind")
    table.add_column("n", justify="right")
    for row in rows:
        table.add_column(row, justify="right")
    table.add_column("also", overflow="fold")
    for kind, cell in rows[MODEL].items():
        also = ", ".join(f"{name} {percent(value)}" for name, value in cell["also"].items())
        name, *cells = (kind, str(cell["n"]), *(_score(rows[row][kind]) for row in rows), also)
        table.add_row(name, *cells, style="bold" if kind == ALL else None, end_section=_before_all(rows[MODEL], kind))
    return table


def _before_all(kinds: dict[str, Any], kind: str) -> bool:
    names = list(kinds)
    return names.index(kind) == len(names) - 2


def percent(value: float | None) -> str:
    """One decimal is more than most intervals allow."""
    return "-" if value is None else f"{100 * value:.1f}"


def _score(cell: dict[str, Any]) -> str:
    """`81.2 (74-88)`, and how many failed."""
    spread = "" if cell["low"] is None else f" ({100 * cell['low']:.0f}-{100 * cell['high']:.0f})"
    return percent(cell["mean"]) + spread + (f", {cell['failed']} failed" if cell.get("failed") else "")


# ------------------------------------------------------------------------------------------------------ several runs


@dataclass(frozen=True)
class Run:
    """A finished run, read back."""

    name: str
    folder: Path
    result: Result


def read_run(folder: Path) -> Run:
    """UserError when there is no finished run in it."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of a run")
    if not (folder / "result.json").exists():
        raise UserError(f"{folder}: {_unfinished(folder)}")
    result = read_json(folder / "result.json")
    match result:
        case {"settings": {"task": str(), "model": str()}, "rows": {"model": {"all": dict()}}}:
            return Run(folder.resolve().name, folder, result)
    raise UserError(f"{folder / 'result.json'}: not the result of a run; call the run again to have it written anew")


def _unfinished(folder: Path) -> str:
    """What a run without a result lacks."""
    if not (folder / "settings.json").exists():
        return "holds no run"
    settings = read_json(folder / "settings.json")
    wanted = settings.get("questions") if isinstance(settings, dict) else None
    there = sum(record.answered for record in read_row(folder, MODEL).values())
    if (folder / QUESTIONS).exists():
        return f"a shard's, {there} of {wanted} questions are answered: `vl3 eval join` sums shards up"
    if there == wanted:
        return f"all {there} answers are here, but not summed up: call the run again"
    return f"its run is not finished, {there} of {wanted} questions are answered: call it again with the same settings"


def by_task(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """The runs of each task, in order."""
    tasks: dict[str, list[Run]] = {}
    for run in runs:
        tasks.setdefault(run.result["settings"]["task"], []).append(run)
    return tasks


def markdown(runs: Sequence[Run], seed: int = 0) -> str:
    """A table for each task; where a task has more runs, also the paired comparison of each with the first."""
    parts = []
    for task, found in by_task(runs).items():
        parts.append(f"## {task}\n\n{markdown_table(table_of(found))}")
        parts += [comparison(found[0], other, seed) for other in found[1:]]
    return "\n\n".join(parts) + "\n"


def table_of(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    """Kinds down, runs and their baselines across; the first line is the head."""
    columns = [(run, row) for run in runs for row in run.result["rows"]]
    heads = [run.name if row == MODEL else f"{run.name}: {row}" for run, row in columns]
    kinds = list(dict.fromkeys(kind for run, row in columns for kind in run.result["rows"][row] if kind != ALL))
    lines: list[tuple[str, ...]] = [("kind", "n", *heads)]
    for kind in (*kinds, ALL):
        cells = [run.result["rows"][row].get(kind) for run, row in columns]
        sizes = sorted({cell["n"] for cell in cells if cell is not None})
        lines.append((kind, " / ".join(map(str, sizes)), *("" if cell is None else _score(cell) for cell in cells)))
    return lines


@dataclass(frozen=True)
class Comparison:
    """The second of two runs against the first."""

    title: str
    lines: Sequence[tuple[str, ...]]
    """A table; the first line is the head."""


def compared(first: Run, second: Run, seed: int = 0) -> Comparison | None:
    """The second run against the first, on the questions that both answered; None if there is none."""
    logs = [read_row(run.folder, MODEL) for run in (first, second)]
    ids = [id_ for id_ in logs[0] if id_ in logs[1]]
    differences = paired([logs[1][id_] for id_ in ids], [logs[0][id_] for id_ in ids], seed)
    lines: list[tuple[str, ...]] = [("kind", "n", "difference", "95 % interval", "scores")]
    for kind, cell in differences.items():
        spread = "-" if cell["low"] is None else f"{_signed(cell['low'])} to {_signed(cell['high'])}"
        scores = f"{cell['unequal']} differ" if cell["unequal"] else "equal"
        lines.append((kind, str(cell["n"]), _signed(cell["mean"]), spread, scores))
    return Comparison(f"{second.name} minus {first.name}, question by question", lines) if differences else None


def comparison(first: Run, second: Run, seed: int = 0) -> str:
    """The same in Markdown."""
    found = compared(first, second, seed)
    if found is None:
        return f"{second.name} and {first.name} have no question in common."
    return f"{found.title}:\n\n{markdown_table(found.lines)}"


def _signed(value: float) -> str:
    return f"{100 * value:+.1f}"


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """The first line is the head; all columns but the first are figures."""
    head, *rest = lines
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in (head, rule, *rest)
    )
