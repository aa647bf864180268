"""The run's folder: it must be a run's own, and one run is at work in it.

OUTPUT/vl3-curate.json marks it and names the sources, so that no run clears what is not its own: files that lay there
before, or the work of a run on another pool.
"""

import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from vl3.errors import UserError

MARK = "vl3-curate.json"
UNFINISHED = f"{MARK}.unfinished"
LOCK = "lock"


@contextmanager
def claimed(output: Path, sources: Sequence[str], other_sources: bool = False) -> Iterator[None]:
    """Makes and marks an output folder, and keeps other runs out of it.

    other_sources: take it over from a run on other sources. UserError for a folder that cannot be used, is not empty
    and no run's, is that of a run on other sources, or in which a run is at work.
    """
    pools = [str(Path(path).absolute()) for path in sources]
    try:
        lock = _lock(output)
    except OSError as error:
        raise UserError(f"{output}: no folder to write to: {error.strerror or error}; set another output=") from error
    with lock:
        before = _marked(output)
        if before not in (None, pools) and not other_sources:
            raise UserError(
                f"{output}: holds a run on other sources ({', '.join(before or ())}); set another output=, or add "
                "--from source to have it done anew"
            )
        unfinished = output / UNFINISHED
        unfinished.write_text(json.dumps({"made_by": "vl3 curate", "sources": pools}, indent=1), encoding="utf-8")
        unfinished.replace(output / MARK)
        yield


def is_run(folder: Path) -> bool:
    """Whether a folder is the output of a run."""
    return (folder / MARK).exists()


def _lock(output: Path) -> IO[str]:
    """The open lock of a folder that is empty or a run's."""
    output.mkdir(parents=True, exist_ok=True)
    others = sorted({path.name for path in output.iterdir()} - {LOCK, MARK, UNFINISHED})
    if others and not is_run(output):
        raise UserError(f"{output}: holds {others[0]} and no run, which would write over it; set another output=")
    lock = (output / LOCK).open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise UserError(f"{output}: another run is at work in this folder; wait for it, or set output=") from error
    return lock


def _marked(output: Path) -> list[str] | None:
    """The sources that the folder's mark names; None where there is no mark, or a damaged one."""
    try:
        said = json.loads((output / MARK).read_text(encoding="utf-8"))
        return [str(path) for path in said["sources"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
