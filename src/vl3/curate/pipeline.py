"""The engine: each step turns the files of the one before into files of its own.

    OUTPUT/vl3-curate.json       says that the folder is a run's, and on which sources
    OUTPUT/recipe.yaml           the settings, every default written out
    OUTPUT/media/                what was fetched or taken out of tables
    OUTPUT/steps/00_source/      the raw pool: part-00000.parquet, part-00001.parquet, ...
    OUTPUT/steps/01_decode/      the same rows, with this step's columns; and so on

A file is written whole or not at all, so that a run that was stopped goes on after the last one. `step.json` holds a
fingerprint of the settings of this step and all before it, and of the sources: a step whose fingerprint has changed is
done anew, and all after it.
"""

import hashlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from vl3 import __version__
from vl3.curate import sources
from vl3.curate.config import CurateConfig, plain_recipe
from vl3.curate.folder import claimed
from vl3.curate.media import PLACE
from vl3.curate.rows import COLUMNS, apply, counts, read_part, rows_of, seen, write_part
from vl3.curate.runner import Job, run_parts
from vl3.curate.step import Place, PoolStep, Rows, RowStep, Step
from vl3.curate.steps import STEPS, make_step
from vl3.errors import UserError
from vl3.media.info import Kind

SOURCE = "source"
"""What the reading of the raw pool is called among the steps."""

KINDS: tuple[Kind, ...] = ("image", "video")

OnProgress = Callable[[str, int, int], None]
"""Told the step, and how many of its files are finished out of how many."""


@dataclass(frozen=True)
class Outcome:
    """What a step did."""

    name: str
    folder: Path
    rows: int = 0
    """Rows after it, dropped ones included."""
    kept: int = 0
    """Rows that no step has dropped so far."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Rows that it dropped, by reason."""
    notes: list[str] = field(default_factory=list)
    """What the step says of itself."""
    seconds: float = 0.0
    """How long the run that finished it worked on it."""
    reused: bool = False
    """Whether it was finished by an earlier run."""


def curate(
    config: CurateConfig,
    start: str | None = None,
    end: str | None = None,
    on_progress: OnProgress = lambda _name, _done, _all: None,
) -> list[Outcome]:
    """Does what a recipe says; steps that are finished are not done again.

    start: do this step and all after it again. end: stop after this step. UserError for a name that is no step of the
    recipe, and for whatever a step cannot read.
    """
    names = [SOURCE, *config.steps]
    for name in (start, end):
        if name is not None and name not in names:
            raise UserError(f"the recipe has no step {name!r}; it has {', '.join(names)}")
    _check_inputs(config)
    output = Path(config.output)
    with claimed(output, [source.path for source in config.sources], other_sources=start == SOURCE):
        (output / "recipe.yaml").write_text(yaml.safe_dump(plain_recipe(config), sort_keys=False), encoding="utf-8")
        outcomes: list[Outcome] = []
        fingerprint = ""
        anew = False
        for number, name in enumerate(names[: names.index(end) + 1 if end else None]):
            folder = output / "steps" / f"{number:02d}_{name}"
            settings = sources.manifest(config) if number == 0 else asdict(config.steps[name])
            fingerprint = _fingerprint(fingerprint, name, settings)
            anew = anew or name == start
            if anew or not _belongs(folder, fingerprint):
                _clear(output, number)
                folder.mkdir(parents=True)
            outcome = _finished(folder, name)
            if outcome is None:
                began = time.monotonic()
                _note(folder, fingerprint, None)
                place = Place(output, folder, _opened(config, names[1:number]))
                if number == 0:
                    sources.write(config, place, lambda done: on_progress(SOURCE, done, 0))
                else:
                    _run(config, name, outcomes[-1].folder, place, on_progress)
                notes = _notes(config, name, place) if number else []
                outcome = _summary(folder, name, notes, time.monotonic() - began)
                _note(folder, fingerprint, outcome)
            outcomes.append(outcome)
        return outcomes


def finished_steps(output: Path) -> list[Outcome]:
    """What the steps of a run's folder did that are finished, the raw pool first. UserError if there is none."""
    outcomes = []
    for folder in sorted((output / "steps").glob("[0-9][0-9]_*")):
        outcome = _finished(folder, folder.name.partition("_")[2])
        if outcome is None:
            break
        outcomes.append(outcome)
    if not outcomes:
        raise UserError(f"{output}: holds no finished step of a run of vl3 curate")
    return outcomes


def parts_of(folder: Path) -> list[Path]:
    """The finished Parquet files of a step, in order."""
    return sorted(folder.glob("part-*.parquet"))


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


def _run(config: CurateConfig, name: str, before: Path, place: Place, on_progress: OnProgress) -> None:
    """Makes the files of one step that are missing."""
    step: Step = make_step(name, config.steps[name])
    parts = parts_of(before)
    if isinstance(step, PoolStep):
        on_progress(name, 0, len(parts))
        _run_on_pool(step, name, parts, place)
        on_progress(name, len(parts), len(parts))
        return
    pending = [part for part in parts if not (place.folder / part.name).exists()]
    done = len(parts) - len(pending)
    on_progress(name, done, len(parts))
    for number, _ in enumerate(run_parts(Job(name, config.steps[name], place), step, pending, config.runner)):
        on_progress(name, done + number + 1, len(parts))


def _opened(config: CurateConfig, names: Sequence[str]) -> frozenset[Kind]:
    """Kinds of media that some of these steps open."""
    steps = [make_step(name, config.steps[name]) for name in names]
    openers = [step for step in steps if isinstance(step, RowStep) and set(PLACE) <= set(step.inputs)]
    return frozenset(kind for kind in KINDS if any(step.only in (None, kind) for step in openers))


def _check_inputs(config: CurateConfig) -> None:
    """UserError, before any work, for a column that a step reads and none before it makes."""
    known = set(COLUMNS)
    for name, settings in config.steps.items():
        step = make_step(name, settings)
        for column in step.inputs:
            if column not in known:
                makers = [kind for kind, entry in STEPS.items() if _makes(entry.config, entry.make, column)]
                cure = f"put {' or '.join(makers)} before it" if makers else "see docs/curation.md"
                raise UserError(f"steps.{name}: reads the column {column!r}, which no step before it makes; {cure}")
        known |= set(step.outputs)


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


def _notes(config: CurateConfig, name: str, place: Place) -> list[str]:
    step: Step = make_step(name, config.steps[name])
    return list(step.notes(place)) if isinstance(step, RowStep) else []


def _summary(folder: Path, name: str, notes: list[str], seconds: float) -> Outcome:
    """Counts over all files of a step."""
    rows = kept = 0
    reasons: Counter[str] = Counter()
    for part in parts_of(folder):
        own = counts(read_part(part, ["dropped_by", "drop_reason"]), name)
        rows, kept = rows + own["rows"], kept + own["kept"]
        reasons.update(own["reasons"])
    return Outcome(name, folder, rows, kept, dict(sorted(reasons.items())), notes, seconds)


# ----------------------------------------------------------------------------------------------- what was done before


def _fingerprint(before: str, name: str, settings: Any) -> str:
    facts = json.dumps([before, name, settings, __version__], sort_keys=True, default=str)
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def _belongs(folder: Path, fingerprint: str) -> bool:
    """Whether a folder holds the work, finished or not, of a step with this fingerprint."""
    file = folder / "step.json"
    return file.exists() and json.loads(file.read_text(encoding="utf-8"))["fingerprint"] == fingerprint


def _finished(folder: Path, name: str) -> Outcome | None:
    file = folder / "step.json"
    if not file.exists():
        return None
    said = json.loads(file.read_text(encoding="utf-8"))["outcome"]
    return Outcome(name, folder, reused=True, **said) if said else None


def _note(folder: Path, fingerprint: str, outcome: Outcome | None) -> None:
    """Says whose work a folder holds and, when it is finished, what came of it."""
    said = None
    if outcome is not None:
        said = {key: value for key, value in asdict(outcome).items() if key not in ("name", "folder", "reused")}
    unfinished = folder / "step.json.unfinished"
    unfinished.write_text(json.dumps({"fingerprint": fingerprint, "outcome": said}, indent=1), encoding="utf-8")
    unfinished.replace(folder / "step.json")


def _clear(output: Path, number: int) -> None:
    """Removes the folders of a step and of all after it."""
    for folder in (output / "steps").glob("[0-9][0-9]_*"):
        if int(folder.name[:2]) >= number:
            shutil.rmtree(folder)
