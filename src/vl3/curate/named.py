"""Files that the settings of steps name: benchmarks, heads, checkpoints. A step is done again when they change."""

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from vl3.errors import UserError


def stamp(paths: Sequence[Path]) -> str:
    """A digest of names, sizes and times of files, and of all files in folders; of one that is missing the name."""
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                stat = file.stat()
                digest.update(f"{file}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
            elif file == path:
                digest.update(f"{file}\0missing\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def refuse_missing(model: str, by_transformers: bool = False) -> None:
    """UserError for a model that cannot be here: a path to nothing, or one that needs a package that is missing."""
    if model.startswith((".", "/", "~")) and not Path(model).expanduser().is_dir():
        raise UserError(f"model: {model}: no such folder; give a checkpoint's folder or a hub id such as owner/name")
    if by_transformers and importlib.util.find_spec("transformers") is None:
        raise UserError("CLIP and SigLIP models are run by transformers: pip install 'vl3[clip]'")


def checkpoint(model: str) -> list[Path]:
    """The folder of a model, if it is one; of the output folder of a training run (`vl3.weights.locate`), what it has
    finished. A model of the hub has no files here that change, and `nano` changes with the version."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return []
    inside = [] if (folder / "config.json").exists() else [folder / name for name in ("final", "adapter")]
    return [next((one for one in inside if one.is_dir()), folder)]
