"""What a recipe for curation says."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator

from vl3.config import Count, configclass, decode, read_yaml
from vl3.curate.steps import STEPS, kind_of
from vl3.errors import UserError

OPEN = "???"
"""The value of a key that a recipe leaves open."""


@configclass
class SourceConfig:
    """One part of the raw pool."""

    path: str
    """A folder of images and videos (captions beside them in .txt files), a table (.jsonl, .csv, .parquet) with a row
    for each, or WebDataset archives (.tar, or a folder of them)."""
    name: str | None = None
    """What ids and reports call it; by default the file's name without its ending."""
    licence: str | None = None
    """Of all its media, for the datasheet; a column `licence` or `license` of a table says it row by row."""
    root: str | None = None
    """Folder that relative paths in a table start from; by default the table's."""
    media: str | None = None
    """The table's column with the path, URL or bytes of the image or video; by default the first there is of
    `url`, `image`, `image_path`, `video`, `path`, `file`, `file_name`."""
    text: str | None = None
    """The table's column with the words; by default the first there is of `text`, `caption`, `alt`, `alt_text`."""
    label: str | None = None
    """The table's column with a class, if it has one: only reports use it, to show the balance before and after."""
    limit: Count | None = None
    """Take no more than so many rows, from the start."""


@configclass
class RunnerConfig:
    """What does the work."""

    kind: Literal["native", "ray", "plain"] = "native"
    """`native`: Daft on this machine; `ray`: Daft on a Ray cluster, all of whose machines see the pool and the output
    folder; `plain`: one file after another in this process, to try a step."""
    address: str | None = None
    """Of the Ray cluster, as `ray.init` takes it; None starts one here."""
    workers: Count | None = None
    """Workers of a step without a model; by default one per processor."""
    heavy_workers: Count = 1
    """Workers of a step with a model (each loads it), or of fetching."""
    gpus: float = 0.0
    """GPUs of each worker with a model, on Ray."""


def _steps(given: Any) -> Any:
    """Step configs by name from plain data; `name:` is a step without settings, `name: off` none."""
    if not isinstance(given, dict):
        raise ValueError("steps is a mapping of names to settings")
    steps = {}
    for name, settings in given.items():
        if not re.fullmatch(r"[a-z]+(-\w+)*", str(name)):
            raise ValueError(f"{str(name)!r} is no name of a step: KIND, or KIND-WORD of letters, digits and _")
        kind = kind_of(str(name))
        if kind not in STEPS:
            raise ValueError(f"no step {kind!r}; there are {', '.join(STEPS)}")
        config_class = STEPS[kind].config
        if settings is False:  # YAML reads `off` so
            continue
        if isinstance(settings, config_class):
            steps[str(name)] = settings
        else:
            steps[str(name)] = decode(config_class, settings or {}, f"steps.{name}")
    return steps


@configclass
class CurateConfig:
    """A whole run."""

    output: str
    """The run's folder: each step's rows, the media fetched, and the finished set."""
    sources: tuple[SourceConfig, ...]
    """The raw pool."""
    steps: Annotated[dict[str, Any], BeforeValidator(_steps)]
    """What is done, in this order: names of steps and their settings. A step may come again as NAME-WORD; `off`
    leaves it out."""
    runner: RunnerConfig = RunnerConfig()
    """What does the work."""
    part_rows: Count = 512
    """Rows of one Parquet file. A run that was stopped goes on after the last file that was finished."""

    def __post_init__(self) -> None:
        if not self.sources or not self.steps:
            raise ValueError("a recipe needs sources and steps")
        *_, last = names = list(self.steps)
        for name in names:
            if kind_of(name) == "export" and name != last:
                raise ValueError(
                    f"steps.{last} comes after steps.{name}, so that the set would not show it; put export last"
                )


def read_recipe(path: str | Path, assignments: list[str] | None = None) -> CurateConfig:
    """The config of a recipe with `key=value` overrides, `sources.0.path=...` for those of a list. A step that they add
    is done where its kind stands in `STEPS`.

    UserError for a missing file, an unknown key or step, an absurd value, or a key that is still open (`???`).
    """
    data = read_yaml(path)
    if not isinstance(data, dict):
        raise UserError(f"{path}: a recipe is a mapping of keys to values")
    for text in assignments or []:
        known = list(data["steps"]) if isinstance(data.get("steps"), dict) else []
        _assign(data, text)
        if text.startswith("steps."):
            data["steps"] = _in_place(data["steps"], known)
    _refuse_open(data, str(path))
    return decode(CurateConfig, data, str(path))


def plain_recipe(config: CurateConfig) -> dict[str, Any]:
    """The recipe as plain data, every default written out."""
    plain: dict[str, Any] = yaml.safe_load(yaml.safe_dump(_plain(asdict(config)), sort_keys=False))
    return plain


def _plain(value: Any) -> Any:
    """Tuples as lists, all the way down."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _assign(data: Any, text: str) -> None:
    """Sets the value at a dotted path of plain data."""
    path, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"command line: {text!r} is not of the form key=value")
    node = data
    *parents, leaf = path.split(".")
    for parent in parents:
        node = _child(node, parent, path)
    try:
        new = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UserError(f"command line: {text!r}: not a YAML value") from error
    if isinstance(node, list):
        _child(node, leaf, path)
        node[int(leaf)] = new
    else:
        node[leaf] = new


def _in_place(steps: dict[str, Any], known: list[str]) -> dict[str, Any]:
    """The steps with those that are not `known` before the first of a kind that comes later: at the end, what they
    drop would be in the set already."""
    rank = {kind: number for number, kind in enumerate(STEPS)}
    names = list(known)
    for name in steps:
        if name not in known:
            own = rank.get(kind_of(name), len(rank))
            later = (at for at, other in enumerate(names) if rank.get(kind_of(str(other)), -1) > own)
            names.insert(next(later, len(names)), name)
    return {name: steps[name] for name in names}


def _child(node: Any, key: str, path: str) -> Any:
    """The mapping or list under `key`; a missing or empty one is made."""
    if isinstance(node, list):
        if not key.isdecimal() or int(key) >= len(node):
            raise UserError(f"command line: {path!r}: {key!r} is not a number from 0 to {len(node) - 1}")
        return node[int(key)]
    if node.get(key) is None:
        node[key] = {}
    if not isinstance(node[key], dict | list):
        raise UserError(f"command line: {path!r} names no option")
    return node[key]


def _refuse_open(value: Any, where: str, key: str = "") -> None:
    """UserError for the first `???` there is."""
    if value == OPEN:
        raise UserError(f"{where}: {key} is left open by the recipe; add {key}=...")
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        _refuse_open(item, where, f"{key}.{name}".lstrip("."))
