"""Shards that were answered on several machines, brought into one folder and summed up as one run.

It needs neither the model nor the media: each shard's folder says what the whole run asks.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

from vl3.config import decode, read_json
from vl3.errors import UserError
from vl3.eval.log import read_row
from vl3.eval.sums import MODEL, QUESTIONS, Baseline, Questions, Result, summed_up
from vl3.eval.task import Totals
from vl3.lines import write_json, writing


def join(parts: Sequence[Path], out: Path, totals_of: Callable[[str], Totals]) -> Result:
    """Copies the answers of all parts to `out` and writes there the result that one run would have.

    totals_of: a task's name -> its own sums. UserError when the parts are not of one run, or when one is missing.
    """
    settings, questions = _of_one_run([*parts, *([out] if (out / "settings.json").exists() else [])])
    files = _answers(parts)
    for name, content in (("settings.json", settings), (QUESTIONS, questions)):
        write_json(out / name, content)
    for name, path in files.items():
        copy = out / "answers" / name
        with writing(copy):
            copy.parent.mkdir(exist_ok=True)
            if not (copy.exists() and copy.samefile(path)):
                shutil.copyfile(path, copy)
    asked = decode(Questions, questions, f"{parts[0] / QUESTIONS}")
    there = {path.name.split(".")[0] for path in (out / "answers").glob("*.jsonl")}
    rows = {row: asked.of(read_row(out, row)) for row in (MODEL, *get_args(Baseline)) if row in there or row == MODEL}
    for row, records in rows.items():
        if missing := len(asked.ids) - len(records):
            raise UserError(
                f"{out}: {missing} of {len(asked.ids)} questions are not answered by {row}; here are "
                f"{', '.join(sorted(files))}: join the others too"
            )
    result = summed_up(settings, rows, asked.notes, totals_of(settings["task"]))
    write_json(out / "result.json", result)
    return result


def _of_one_run(folders: Sequence[Path]) -> tuple[dict[str, Any], Any]:
    """The settings and questions of the first folder. UserError if another has others."""
    found = []
    for folder in folders:
        for name in ("settings.json", QUESTIONS):
            if not (folder / name).exists():
                raise UserError(f"{folder}: no {name}; a folder that `vl3 eval ... --shard K/N -o` wrote has it")
        found.append((read_json(folder / "settings.json"), read_json(folder / QUESTIONS)))
    first, questions = found[0]
    for folder, (settings, others) in zip(folders, found, strict=True):
        match settings:
            case {"task": str(), "seed": int()}:
                other = sorted(key for key in {*first, *settings} if first.get(key) != settings.get(key))
            case _:
                raise UserError(f"{folder / 'settings.json'}: not the settings of a run")
        if other:
            raise UserError(f"{folder}: a run of other settings than {folders[0]} ({', '.join(other)})")
        if others != questions:
            raise UserError(f"{folder}: asks other questions than {folders[0]}")
    return first, questions


def _answers(parts: Sequence[Path]) -> dict[str, Path]:
    """The log files by name. UserError if two parts have different answers of one shard."""
    files: dict[str, Path] = {}
    for part in parts:
        for path in sorted((part / "answers").glob("*.jsonl")):
            before = files.setdefault(path.name, path)
            if before.read_bytes() != path.read_bytes():
                raise UserError(
                    f"{path}: that shard is in {before.parent.parent} too, with other answers; leave one out"
                )
    return files
