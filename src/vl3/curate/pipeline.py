"""The engine: each step turns the files of the one before into files of its own.

    OUTPUT/vl3-curate.json       says that the folder is a run's, and on which sources
    OUTPUT/recipe.yaml           the settings, every default written out
    OUTPUT/media/                what was fetched or taken out of tables
    OUTPUT/steps/00_source/      the raw pool: part-00000.parquet, part-00001.parquet, ...
    OUTPUT/steps/01_decode/      the same rows, with this step's columns; and so on

A file is written whole or not at all, so that a run that was stopped goes on after the last one. `step.json` holds a
fingerprint of the step's settings and the files that they name, of the rows that it was given, and of the sources: a
step whose fingerprint has changed is done anew, and those after it if its rows came out otherwise.
"""

import hashlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from vl3 import __version__
from vl3.curate import sources
from vl3.curate.config import CurateConfig, plain_recipe
from vl3.curate.media import PLACE
from vl3.curate.named import stamp
from vl3.curate.output import claimed
from vl3.curate.record import Outcome, digest_of, finished, parts_of, read_record, write_record
from vl3.curate.rows import COLUMNS, apply, arrow, counts, read_part, rows_of, seen, write_part
from vl3.curate.runner import Job, refuse_missing_runner, run_parts
from vl3.curate.step import Place, PoolStep, Rows, RowStep, Step
from vl3.curate.steps import STEPS, kind_of, make_step
from vl3.curate.steps.export import SET
from vl3.errors import UserError
from vl3.log import logger
from vl3.media.info import Kind

SOURCE = "source"
"""What the reading of the raw pool is called among the steps."""

KINDS: tuple[Kind, ...] = ("image", "video")

OnProgress = Callable[[str, int, int], None]
"""Told the step, and how many of its files are finished out of how many."""


def curate(
    config: CurateConfig,
    start: str | None = None,
    end: str | None = None,
    on_progress: OnProgress = lambda _name, _done, _all: None,
) -> list[Outcome]:
    """Does what a recipe says; steps that are finished are not done again.

    start: do this step and all after it, up to `end`, again. end: stop after this step. UserError for a name that is no
    step of the recipe, and for whatever a step cannot read.
    """
    names = [SOURCE, *config.steps]
    for name in (start, end):
        if name is not None and name not in names:
            raise UserError(f"the recipe has no step {name!r}; it has {', '.join(names)}")
    if start is not None and end is not None and names.index(start) > names.index(end):
        raise UserError(f"--from {start} comes after --to {end}: nothing would be done")
    _check_steps(config)
    refuse_missing_runner(config.runner)
    output = Path(config.output)
    folders = [output / "steps" / f"{number:02d}_{name}" for number, name in enumerate(names)]
    pool = sources.manifest(config)
    with claimed(output, [source.path for source in config.sources], other_sources=start == SOURCE):
        (output / "recipe.yaml").write_text(yaml.safe_dump(plain_recipe(config), sort_keys=False), encoding="utf-8")
        for folder in (output / "steps").glob("[0-9][0-9]_*"):
            if folder not in folders:
                shutil.rmtree(folder)
        outcomes: list[Outcome] = []
        anew = False
        for name, folder in list(zip(names, folders, strict=True))[: names.index(end) + 1 if end else None]:
            before = outcomes[-1] if outcomes else None
            mark = _fingerprint(config, pool, name, before)
            anew = anew or name == start
            if anew or not _belongs(folder, mark):
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
            outcome = None if _lacks_set(output, name) else finished(folder)
            if outcome is None:
                began = time.monotonic()
                write_record(folder, mark, before.digest if before else "")
                place = Place(output, folder, _opened(config, names[1 : len(outcomes)]))
                notes = _work(config, name, before, place, on_progress)
                outcome = _summary(folder, name, notes, time.monotonic() - began)
                write_record(folder, mark, before.digest if before else "", outcome)
            outcomes.append(outcome)
        _put_stale_aside(config, pool, outcomes, folders)
        return outcomes


@dataclass(frozen=True)
class FilePool:
    """A pool step's view of the files of the step before."""

    parts: Sequence[Path]
    only: Kind | None = None

    def __len__(self) -> int:
        return sum(len(seen(read_part(part, ["dropped_by", "kind"]), self.only)) for part in self.parts)

    def read(self, columns: Sequence[str]) -> Rows:
        whole: Rows = {name: [] for name in ("id", *columns)}
        for batch in self.batches(columns):
            for name in whole:
                whole[name] += batch[name]
        return whole

    def batches(self, columns: Sequence[str]) -> Iterator[Rows]:
        for part in self.parts:
            table = read_part(part, list(dict.fromkeys(["id", "dropped_by", "kind", *columns])))
            yield rows_of(table, columns, seen(table, self.only))


def _work(
    config: CurateConfig, name: str, before: Outcome | None, place: Place, on_progress: OnProgress
) -> Sequence[str]:
    """Makes the files of one step that are missing; returns what it says of itself."""
    if before is None:
        sources.write(config, place, lambda done: on_progress(SOURCE, done, 0))
        return []
    step: Step = make_step(name, config.steps[name])
    parts = parts_of(before.folder)
    if isinstance(step, PoolStep):
        on_progress(name, 0, len(parts))
        _run_on_pool(step, name, parts, place)
        on_progress(name, len(parts), len(parts))
        return []
    pending = [part for part in parts if not _intact(place.folder / part.name)]
    done = len(parts) - len(pending)
    on_progress(name, done, len(parts))
    for number, _ in enumerate(run_parts(Job(name, config.steps[name], place), step, pending, config.runner)):
        on_progress(name, done + number + 1, len(parts))
    return step.notes(place)


def _opened(config: CurateConfig, names: Sequence[str]) -> frozenset[Kind]:
    """Kinds of media that some of these steps open."""
    steps = [make_step(name, config.steps[name]) for name in names]
    openers = [step for step in steps if isinstance(step, RowStep) and set(PLACE) <= set(step.inputs)]
    return frozenset(kind for kind in KINDS if any(step.only in (None, kind) for step in openers))


def _check_steps(config: CurateConfig) -> None:
    """UserError, before any work, for a column that a step reads and none before it makes, and for what a step cannot
    work with."""
    arrow()
    known = dict(COLUMNS)
    for name, settings in config.steps.items():
        step = make_step(name, settings)
        for column in step.inputs:
            if column not in known:
                makers = [kind for kind, entry in STEPS.items() if _makes(entry.config, entry.make, column)]
                cure = f"put {' or '.join(makers)} before it" if makers else "see docs/curation.md"
                raise UserError(f"steps.{name}: reads the column {column!r}, which no step before it makes; {cure}")
        try:
            step.ready(known)
        except UserError as error:
            raise UserError(f"steps.{name}: {error}") from error
        known |= step.outputs


def _makes(config_class: type[Any], make: Callable[[Any], Step], column: str) -> bool:
    """Whether a kind of step, with its defaults if it has them all, writes a column."""
    try:
        return column in make(config_class()).outputs
    except (TypeError, UserError):
        return False


def _run_on_pool(step: PoolStep, name: str, parts: Sequence[Path], place: Place) -> None:
    """A pool step's findings, dealt out to the files."""
    found = step.run(FilePool(parts, step.only), place)
    assert found.parents is None, "a pool step finds something of each row it sees, no others"
    at = 0
    for part in parts:
        table = read_part(part)
        places = seen(table, step.only)
        own = slice(at, at := at + len(places))
        columns = {column: values[own] for column, values in found.columns.items()}
        piece = type(found)(columns, found.reasons[own] if found.reasons else ())
        write_part(place.folder / part.name, apply(table, places, piece, name, dict(step.outputs)))


def _summary(folder: Path, name: str, notes: Sequence[str], seconds: float) -> Outcome:
    """Counts over all files of a step."""
    rows = kept = 0
    reasons: Counter[str] = Counter()
    for part in parts_of(folder):
        own = counts(read_part(part, ["dropped_by", "drop_reason"]), name)
        rows, kept = rows + own["rows"], kept + own["kept"]
        reasons.update(own["reasons"])
    return Outcome(name, folder, rows, kept, dict(sorted(reasons.items())), list(notes), seconds, digest_of(folder))


# ----------------------------------------------------------------------------------------------- what was done before


def _fingerprint(config: CurateConfig, pool: Any, name: str, before: Outcome | None) -> str:
    """Of all that a step depends on: its settings, the files that they name, the rows that it is given, and the files
    of the pool."""
    own = [asdict(config.steps[name]), stamp(make_step(name, config.steps[name]).files())] if before else []
    facts = [pool, before and before.digest, name, *own, __version__]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _belongs(folder: Path, fingerprint: str) -> bool:
    """Whether a folder holds the work, finished or not, of a step with this fingerprint."""
    record = read_record(folder)
    return record is not None and record.fingerprint == fingerprint


def _intact(part: Path) -> bool:
    """Whether a Parquet file is there, and whole: a crash of the machine may leave an empty one."""
    try:
        arrow().parquet.read_metadata(part)
    except (OSError, ValueError):
        return False
    return True


def _lacks_set(output: Path, name: str) -> bool:
    """Whether a step must be done for want of the set that it wrote."""
    return kind_of(name) == "export" and not (output / SET).is_dir()


def _put_stale_aside(config: CurateConfig, pool: Any, outcomes: Sequence[Outcome], folders: Sequence[Path]) -> None:
    """Removes the first of the later steps that does not follow from those that were done, so that no report goes on
    with it; those after it stay, as they may be right again. A set that these steps did not write is renamed."""
    known = list(outcomes)
    for folder in folders[len(known) :]:
        if not _belongs(folder, _fingerprint(config, pool, folder.name.partition("_")[2], known[-1])):
            shutil.rmtree(folder, ignore_errors=True)
            break
        if (outcome := finished(folder)) is None:
            break
        known.append(outcome)
    made = Path(config.output) / SET
    if made.exists() and not any(kind_of(outcome.name) == "export" for outcome in known):
        stale = made.with_name(f"{SET}.stale")
        shutil.rmtree(stale, ignore_errors=True)
        made.rename(stale)
        logger.warning("%s is of other steps or settings than these, and now called %s", made, stale)
