"""What a published benchmark is: where its files come from, what must be there, and how it is loaded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from vl3.errors import UserError
from vl3.eval.archives import PATTERNS, archives
from vl3.eval.task import Task, Totals, media_files, no_totals
from vl3.generate import Options


@dataclass(frozen=True)
class Need:
    """Files that a benchmark's folder must hold."""

    pattern: str
    """A glob below the folder, as its authors name the files; several spellings are separated by ` or `."""
    what: str
    """What they are, in words."""
    source: str
    """Where they are published: a URL."""

    def found(self, folder: Path) -> list[Path]:
        """The files that are there, in order of name: those of the first spelling that has any."""
        found = (sorted(folder.glob(pattern)) for pattern in self.pattern.split(" or "))
        return next((paths for paths in found if paths), [])


@dataclass(frozen=True)
class Benchmark:
    """A published benchmark."""

    name: str
    title: str
    """As its authors write it."""
    medium: Literal["image", "video"]
    source: str
    """Its page: a URL."""
    needs: Sequence[Need]
    load: Callable[[Path, Options], Task]
    """Reads the folder. The options are those that the run will use."""
    options: Options = field(default_factory=lambda: Options())
    """How the paper's authors ran it, where that is known: frames and length of an answer."""
    dataset: str = ""
    """Id of the Hugging Face dataset that has all of it, if there is one."""
    judge: str = ""
    """What a judge is good for, if it needs one."""
    totals: Totals = no_totals
    """Its own sums, where they are not the mean over all questions."""


IMAGE = Options(max_new_tokens=128)
"""Questions about images that are answered in a few words. The authors decode greedily without a limit."""
REASONING = Options(max_new_tokens=1024)
"""Questions that are answered step by step."""
VIDEO = Options(fps=1, max_frames=180, max_new_tokens=128)
"""The paper's setting for video: one frame a second, at most 180 (arXiv 2501.13106; evaluation/evaluate.py)."""


@dataclass(frozen=True)
class Check:
    """What `vl3 eval prepare` found."""

    questions: int
    missing: Sequence[str]
    """One sentence for each thing that is not there, and where it is published."""
    notes: Sequence[str] = ()
    packed: str = ""
    """What the folder holds packed, if something is missing."""


SHOWN = 5
"""Missing media that are named; of the others the number is told."""


def check(benchmark: Benchmark, folder: Path) -> Check:
    """Whether all of a benchmark is in a folder. UserError for files that are there and cannot be read."""
    missing = [
        f"{need.pattern} ({need.what}): not there; published at {need.source}"
        for need in benchmark.needs
        if not need.found(folder)
    ]
    if missing:
        return Check(0, [*missing, *_gaps(folder)], packed=_packed(benchmark, folder))
    task = benchmark.load(folder, benchmark.options)
    media = {name for item in task.items for name in media_files(item.messages)}
    gone = sorted(path for path in media if not Path(path).exists())
    if gone:
        names = ", ".join(path.removeprefix(f"{folder.absolute()}/") for path in gone[:SHOWN])
        more = f" and {len(gone) - SHOWN} more" if len(gone) > SHOWN else ""
        sources = [need.source for need in benchmark.needs if need.what in ("videos", "pictures")] or [benchmark.source]
        missing.append(f"{len(gone)} of {len(media)} {benchmark.medium}s: {names}{more}; published at {sources[0]}")
        missing += _gaps(folder)
    return Check(len(task.items), missing, task.notes, _packed(benchmark, folder) if missing else "")


def _gaps(folder: Path) -> list[str]:
    """Parts of archives that must exist."""
    return [f"{gap} (a part of {found.path.name})" for found in archives(folder) for gap in found.gaps]


def _packed(benchmark: Benchmark, folder: Path) -> str:
    """The archives that are there."""
    found = archives(folder)
    names = ", ".join(archive.described for archive in found[:SHOWN])
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    cure = f"; `vl3 eval prepare {benchmark.name} {folder} --unpack` unpacks what is not yet"
    return names + more + cure if found else ""


def load(benchmark: Benchmark, folder: Path, options: Options) -> Task:
    """The benchmark as a task. UserError naming the first file that is missing."""
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder; `vl3 eval prepare {benchmark.name} {folder}` says what belongs there"
        )
    for need in benchmark.needs:
        if not need.found(folder):
            raise UserError(
                f"{folder}: {need.pattern} ({need.what}) is missing; published at {need.source}; "
                f"`vl3 eval prepare {benchmark.name} {folder}` lists all that is"
            )
    return replace(benchmark.load(folder, options), totals=benchmark.totals)


def fetch(benchmark: Benchmark, folder: Path) -> None:
    """Downloads the benchmark's Hugging Face dataset into a folder. UserError if there is none or it fails."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    if not benchmark.dataset:
        raise UserError(
            f"{benchmark.name} is not one download; `vl3 eval prepare` without --download names its sources"
        )
    patterns = [pattern for need in benchmark.needs for pattern in need.pattern.split(" or ")]
    try:
        snapshot_download(
            benchmark.dataset, repo_type="dataset", local_dir=folder, allow_patterns=[*patterns, *PATTERNS]
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(f"{benchmark.dataset}: download failed: {str(error).splitlines()[0]}") from error
