"""What a run tells: a live line, a log of JSON lines, and TensorBoard events where wanted."""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from vl3.errors import UserError
from vl3.train.distributed import World, sum_over_ranks

Record = dict[str, Any]


class RunLog:
    """Where a run's records go."""

    def __init__(self, folder: Path | None, num_steps: int, first_step: int, tensorboard: bool, show: bool) -> None:
        """folder None writes nothing; show False prints nothing (on all ranks but the first).

        Records of steps after first_step are dropped from an old log: these steps are about to be done again.
        """
        self._path = None if folder is None else folder / "log.jsonl"
        self._show = show
        self._progress = Progress(
            TextColumn("step {task.completed}/{task.total}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[figures]}"),
            console=Console(stderr=True),
            disable=not show or not sys.stderr.isatty(),
        )
        self._task = self._progress.add_task("train", total=num_steps, completed=first_step, figures="")
        self._num_steps = num_steps
        self._board = None if folder is None or not tensorboard else _summary_writer(folder, first_step)
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            _truncate(self._path, first_step)

    def __enter__(self) -> "RunLog":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
        if self._board is not None:
            self._board.close()

    def write(self, record: Record) -> None:
        """One line of the log; numbers go to TensorBoard too."""
        if self._path is None:
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
        if self._board is not None:
            for name, value in _numbers(record):
                self._board.add_scalar(name, value, record["step"])

    def show(self, record: Record) -> None:
        """Moves the live line on; without a terminal, prints a plain line now and then."""
        figures = (
            f"loss {record['loss']:.4f}  {record['tokens_per_s']:,.0f} tokens/s  "
            f"{record['samples_per_s']:.2f} samples/s  {_duration(record['eta_s'])} left  {record['memory_gb']:.2f} GB"
        )
        self._progress.update(self._task, completed=record["step"], figures=figures)
        every = max(1, self._num_steps // 20)
        if self._show and self._progress.disable and (record["step"] % every == 0 or record["step"] <= 1):
            print(f"step {record['step']}/{self._num_steps}  {figures}", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """A line above the live line."""
        if self._show:
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


class Meter:
    """Rates since the last record."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._counts: dict[str, float] = {}

    def count(self, **amounts: float) -> None:
        """Adds to the counts."""
        for name, amount in amounts.items():
            self._counts[name] = self._counts.get(name, 0) + amount

    def take(self, world: World) -> dict[str, float]:
        """{"<name>_per_s": rate} of all ranks together ("steps": of each), and begins anew."""
        seconds = max(time.perf_counter() - self._start, 1e-9)
        steps = self._counts.pop("steps", 0)
        totals = sum_over_ranks(list(self._counts.values()), world)
        rates = {f"{name}_per_s": total / seconds for name, total in zip(self._counts, totals, strict=True)}
        rates["steps_per_s"] = steps / seconds
        self._start, self._counts = time.perf_counter(), {}
        return rates


def peak_memory_gb(device: torch.device) -> float:
    """Most memory held so far: of the device, or of this process where the device is the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def print_table(rows: list[tuple[str, ...]]) -> None:
    """A table whose first row is its head, on standard error."""
    table = Table(box=None, pad_edge=False)
    for index, head in enumerate(rows[0]):
        table.add_column(head, justify="left" if index == 0 else "right", no_wrap=True)
    for row in rows[1:]:
        table.add_row(*row)
    Console(stderr=True).print(table)


def _truncate(path: Path, first_step: int) -> None:
    """Keeps the records of steps that are not done again; a last line broken by a kill goes too."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n") and json.loads(line)["step"] <= first_step:
            kept.append(line)
    path.write_text("".join(kept), encoding="utf-8")


def _summary_writer(folder: Path, first_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UserError("tensorboard=true needs the `tensorboard` package: pip install 'vl3[train]'") from error
    return SummaryWriter(str(folder / "tensorboard"), purge_step=first_step + 1)


def _numbers(record: Record, prefix: str = "") -> list[tuple[str, float]]:
    numbers: list[tuple[str, float]] = []
    for name, value in record.items():
        if isinstance(value, dict):
            numbers += _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float):
            numbers.append((prefix + name, float(value)))
    return numbers


def _duration(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"
