"""`vl3 eval`: how good a model is, beside baselines and with intervals."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vl3.cli.options import api_options, generation_options, loaded_assistant, media_options, model_options

if TYPE_CHECKING:
    from vl3.eval import Task
    from vl3.eval.run import Result


@click.group("eval")
def command() -> None:
    """Evaluate a model on questions with known answers.

    A run is a folder (-o). Calling it again with the same settings goes on where it stopped. Status 1 if a question
    failed.
    """


def run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What all tasks take."""
    own = [
        click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Folder of the run."),
        click.option(
            "--baseline",
            "baselines",
            multiple=True,
            type=click.Choice(["no-picture", "most-frequent"]),
            help="Let it answer the same questions too: the model with grey instead of each picture, or the most "
            "frequent answer to each wording. Can be given twice.",
        ),
        click.option(
            "--train",
            multiple=True,
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="Training .jsonl from which most-frequent knows its answers. [default: the questions asked]",
        ),
        click.option("--limit", type=click.IntRange(min=1), help="Most questions of each kind, drawn by --seed."),
        click.option(
            "--batch-size", type=click.IntRange(min=1), default=8, show_default=True, help="Questions at a time."
        ),
        click.option("--json", "as_json", is_flag=True, help="Print result.json instead of a table."),
    ]
    for option in reversed(own):
        function = option(function)
    return media_options(generation_options(model_options(function)))


@command.command("jsonl")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@run_options
def jsonl_command(files: tuple[Path, ...], **given: Any) -> None:
    """Ask the questions of FILEs of annotations (docs/data.md), scored by their `kinds`.

    \b
    Examples:
      vl3 eval jsonl held_out.jsonl --model runs/mine -o runs/mine/eval
      vl3 eval jsonl held_out.jsonl -m runs/mine -o eval --baseline no-picture --baseline most-frequent --limit 200
    """
    from vl3.eval.tasks.annotations import jsonl

    _run(jsonl(files), given)


@command.command("nano")
@click.argument("folder", type=click.Path(path_type=Path))
@run_options
def nano_command(folder: Path, **given: Any) -> None:
    """Ask the held-out questions of nano's data: all .jsonl files of FOLDER.

    \b
    Examples:
      vl3 eval nano build/nano/held_out --model nano -o runs/nano-eval --limit 200 --baseline no-picture
    """
    from vl3.eval.tasks.annotations import nano

    _run(nano(folder), given)


@command.command("photos")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("build/nano/real"))
@run_options
def photos_command(folder: Path, **given: Any) -> None:
    """Ask hand-written questions about real photographs and clips, which `python -m recipes.nano.data.real FOLDER`
    fetches. [default: build/nano/real]

    \b
    Examples:
      vl3 eval photos --model nano -o runs/nano-photos --baseline no-picture
    """
    from vl3.eval.tasks.photos import photos

    _run(photos(folder), given)


@command.command("report")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
def report_command(runs: tuple[Path, ...]) -> None:
    """Print a Markdown table of RUNs (folders given to -o); two of one task are also compared question by question.

    \b
    Examples:
      vl3 eval report runs/before runs/after
    """
    from vl3.eval.report import markdown, read_run

    click.echo(markdown([read_run(run) for run in runs]), nl=False)


def _run(task: "Task", given: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from vl3.eval.run import Progress, RunConfig, evaluate
    from vl3.eval.tasks.annotations import jsonl

    known = list(jsonl(given["train"]).items) if given["train"] else None
    given["max_new_tokens"] = given["max_new_tokens"] or 96
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bar = Bar(*columns, TextColumn("left"), TimeRemainingColumn(), console=Console(stderr=True))

    def start(row: str, done: int, total: int) -> None:
        bar.add_task(row, total=total, completed=done)

    with loaded_assistant(given) as assistant, bar:
        config = RunConfig(
            out=given["out"],
            model=given["model"],
            baselines=given["baselines"],
            limit=given["limit"],
            seed=given["seed"] or 0,
            batch_size=given["batch_size"],
            options=api_options(given),
        )
        progress = Progress(start, lambda: bar.advance(bar.task_ids[-1]))
        result = evaluate(task, assistant, config, known, progress)
    _print(result, given["out"], given["as_json"])
    sys.exit(1 if result["failed"] else 0)


def _print(result: "Result", out: Path, as_json: bool) -> None:
    from rich.console import Console

    from vl3.eval.report import terminal_table

    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
    else:
        Console().print(terminal_table(result))
        click.echo(f"answers and sums: {out}")
    for note in result["notes"]:
        click.echo(f"note: {note}", err=True)
    for failure in result["failed"]:
        click.echo(f"failed: {failure['row']} {failure['id']}: {failure['error']}", err=True)
