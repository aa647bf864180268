"""Daft does the work: one row of its data frame is one Parquet file of a step, one instance of its class one worker."""

import importlib.util
import json
import logging
import os
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from vl3.curate.config import RunnerConfig
from vl3.curate.rows import apply, read_part, rows_of, seen, write_part
from vl3.curate.step import Found, Place, Rows, RowStep
from vl3.curate.steps import make_step
from vl3.errors import UserError


@dataclass(frozen=True)
class Job:
    """A row step's work, as it is sent to workers."""

    name: str
    config: Any
    place: Place

    def start(self) -> "Worker":
        """In a worker: the step, made ready."""
        step = make_step(self.name, self.config)
        assert isinstance(step, RowStep)
        return Worker(self, step)


class Worker:
    """A step with what it loaded for its first row."""

    def __init__(self, job: Job, step: RowStep) -> None:
        self._job, self._step = job, step

    @cached_property
    def _function(self) -> Callable[[Rows], Found]:
        return self._step.start(self._job.place)

    def __call__(self, part: Path) -> None:
        """Makes the step's file that goes with a file of the step before."""
        table = read_part(part)
        places = seen(table, self._step.only)
        name, outputs = self._job.name, dict(self._step.outputs)
        found = self._function(rows_of(table, self._step.inputs, places)) if places else Found()
        write_part(self._job.place.folder / part.name, apply(table, places, found, name, outputs))


def run_parts(job: Job, step: RowStep, parts: Sequence[Path], config: RunnerConfig) -> Iterator[Path]:
    """Has workers make the step's files; yields each when it is finished. UserError if a worker met one."""
    if not parts:
        return
    if config.kind == "plain":
        worker = job.start()
        for part in parts:
            worker(part)
            yield part
        return
    daft = open_daft(config)
    wanted = config.heavy_workers if step.heavy else config.workers or os.cpu_count() or 1
    workers = min(wanted, len(parts))
    on_ray = config.kind == "ray"
    gpus = config.gpus if step.heavy and on_ray else 0
    # light steps run in threads of this process, where starting others would cost more; models have a process each
    alone = not on_ray and not step.heavy and (workers == 1 or "path" not in step.inputs)

    @daft.cls(gpus=gpus, max_concurrency=None if alone else workers, use_process=not alone)
    class Actor:
        def __init__(self) -> None:
            self.worker: Worker | None = None

        @daft.method.batch(  # type: ignore[untyped-decorator]
            return_dtype=daft.DataType.string(), batch_size=1
        )
        def work(self, names: Any) -> list[str]:
            try:
                self.worker = self.worker or job.start()
                for name in names.to_pylist():
                    self.worker(Path(name))
            except UserError as error:
                return [json.dumps({"error": str(error)})] * len(names)
            return ["{}"] * len(names)

    frame = daft.from_pydict({"part": [str(part) for part in parts]})
    if on_ray:
        frame = frame.into_partitions(workers)
    answers = frame.select(frame["part"], Actor().work(frame["part"]).alias("said"))
    for row in _answers(answers, job.name):
        said = json.loads(row["said"])
        if "error" in said:
            raise UserError(f"steps.{job.name}: {said['error']}")
        yield Path(row["part"])


def _answers(frame: Any, name: str) -> Iterator[dict[str, Any]]:
    """The rows of a data frame. UserError if a process that works on it has died."""
    try:
        yield from frame.iter_rows(results_buffer_size=1)
    except RuntimeError as error:
        if "UDF process closed the connection" not in str(error):  # Daft has no type of its own for that
            raise
        raise UserError(
            f"steps.{name}: a worker process died (killed, out of memory, or ended by what it ran); "
            "run again to go on after the last finished file"
        ) from error


CONNECT_S = 5.0
"""Longest wait for a cluster's port to answer."""
QUIET = {"DO_NOT_TRACK": "1", "DAFT_PROGRESS_BAR": "0", "RAY_TQDM": "0"}
"""No usage reports, and no progress bars beside ours."""


def refuse_missing_runner(config: RunnerConfig) -> None:
    """UserError, before any work, when the engine is not installed or no cluster answers at its address, for which Ray
    itself would wait for minutes."""
    if config.kind == "plain":
        return
    if importlib.util.find_spec("daft") is None:
        raise UserError("curation needs the curate extra: pip install 'vl3[curate]'")
    at = re.fullmatch(r"(?:ray://)?\[?([^/]+?)\]?:(\d{1,5})", config.address or "")
    if config.kind == "ray" and at:
        try:
            socket.create_connection((at[1], min(int(at[2]), 65535)), timeout=CONNECT_S).close()
        except OSError as error:
            raise UserError(
                f"runner.address: nothing answers at {config.address} ({error.strerror or error}); start one there "
                "(`ray start --head`), or leave the address out to have one started here"
            ) from error


def open_daft(config: RunnerConfig) -> Any:
    """The engine with its runner set. UserError when it, or the cluster, is not there."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import daft
    except ImportError as error:
        raise UserError("curation needs the curate extra: pip install 'vl3[curate]'") from error
    logging.getLogger("daft_local_execution").setLevel(logging.CRITICAL)  # its errors reach us as exceptions
    if config.kind == "ray":
        try:
            import ray
        except ImportError as error:
            raise UserError("runner.kind=ray needs the ray extra: pip install 'vl3[curate,ray]'") from error
        try:
            if not ray.is_initialized():
                ray.init(config.address, log_to_driver=False, runtime_env={"env_vars": QUIET})
        except (ConnectionError, ValueError) as error:
            raise UserError(f"runner.address: no Ray cluster at {config.address}: {error}") from error
        daft.set_runner_ray(noop_if_initialized=True)
    return daft
