"""`vl3 eval`: how good a model is, beside baselines and with intervals."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vl3.cli.eval_options import run_options
from vl3.cli.options import api_options, loaded_assistant

if TYPE_CHECKING:
    from vl3.eval import Task
    from vl3.eval.answerers import Examinee
    from vl3.eval.judge import Judge
    from vl3.eval.sums import Result
    from vl3.generate import Options

ANSWER_TOKENS = 96
"""Most tokens of an answer, where neither the benchmark nor the call says."""


@click.group("eval")
def command() -> None:
    """Evaluate a model on published benchmarks or on questions of your own.

    A run is a folder (-o). Calling it again with the same settings goes on where it stopped. Status 1 if a question
    failed.
    """


@command.command("run")
@click.argument("task")
@click.argument("folder", type=click.Path(path_type=Path))
@run_options
def run_command(task: str, folder: Path, **given: Any) -> None:
    """Run the published benchmark TASK (see `vl3 eval list`), whose files are in FOLDER, in the paper's setting.

    \b
    Examples:
      vl3 eval run videomme data/videomme --model DAMO-NLP-SG/VideoLLaMA3-2B -o runs/videomme
      vl3 eval run chartqa data/chartqa --endpoint http://localhost:8000/v1 -o runs/chartqa --limit 100
    """
    from vl3.eval.benchmark import load

    benchmark = _benchmark(task)
    options: Options = {**benchmark.options, **api_options(given)}
    _run(load(benchmark, folder, options), given, options)


@command.command("list")
def list_command() -> None:
    """List the published benchmarks."""
    from rich.console import Console
    from rich.table import Table

    from vl3.eval.tasks.catalogue import BENCHMARKS

    table = Table("task", "benchmark", "of", "published at", box=None)
    for benchmark in BENCHMARKS.values():
        table.add_row(benchmark.name, benchmark.title, benchmark.medium + "s", benchmark.source)
    Console(width=None if sys.stdout.isatty() else 160).print(table)


@command.command("prepare")
@click.argument("task")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--download", is_flag=True, help="First fetch its Hugging Face dataset into FOLDER.")
@click.option("--unpack", is_flag=True, help="Unpack archives in FOLDER, joining their parts; they stay.")
def prepare_command(task: str, folder: Path, download: bool, unpack: bool) -> None:
    """Check that FOLDER holds all of the benchmark TASK; say what is missing and where it is published.

    Status 0 when it is complete, 1 when something is missing.

    \b
    Examples:
      vl3 eval prepare chartqa data/chartqa --download
      vl3 eval prepare mvbench data/mvbench --download --unpack
    """
    from rich.console import Console

    from vl3.eval.benchmark import check, fetch

    benchmark = _benchmark(task)
    if download:
        with Console(stderr=True).status("downloading"):
            fetch(benchmark, folder)
    if unpack:
        _unpack(folder)
    with Console(stderr=True).status("looking"):
        found = check(benchmark, folder)
    for sentence in found.missing:
        click.echo(f"missing: {sentence}")
    if found.packed:
        click.echo(f"packed: {found.packed}")
    for note in found.notes:
        click.echo(f"note: {note}")
    if not found.missing:
        click.echo(f"{benchmark.title}: complete, {found.questions} questions")
    sys.exit(1 if found.missing else 0)


def _unpack(folder: Path) -> None:
    """All archives of a folder, with a bar for each."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from vl3.eval.archives import archives, unpack

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        for archive in archives(folder):
            line = bar.add_task(archive.path.name, total=archive.size)
            written = unpack(archive, lambda done, line=line: bar.update(line, completed=done))  # type: ignore[misc]
            bar.update(line, completed=archive.size)
            bar.console.print(f"{archive.described}: {written} files unpacked", highlight=False)


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
@click.option(
    "--html", type=click.Path(path_type=Path), metavar="FOLDER", help="Also write a page with plots and worst answers."
)
@click.option("--worst", type=click.IntRange(min=0), default=24, show_default=True, help="Answers shown of each run.")
def report_command(runs: tuple[Path, ...], html: Path | None, worst: int) -> None:
    """Print a Markdown table of RUNs (folders given to -o); two of one task are also compared question by question.

    \b
    Examples:
      vl3 eval report runs/before runs/after
      vl3 eval report runs/before runs/after --html report
    """
    from vl3.eval.report import markdown, read_run

    found = [read_run(run) for run in runs]
    click.echo(markdown(found), nl=False)
    if html is not None:
        from rich.console import Console

        from vl3.eval.page import write_page

        with Console(stderr=True).status("drawing"):
            page = write_page(found, html, worst)
        click.echo(f"\n{page}")


@command.command("join")
@click.argument("parts", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PART...")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Folder of the whole run.")
@click.option("--json", "as_json", is_flag=True, help="Print result.json instead of a table.")
def join_command(parts: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Join PARTs, the folders of one run's shards, and sum them up. Needs neither the model nor the media.

    \b
    Examples:
      vl3 eval run gqa data/gqa --shard 1/2 -o runs/gqa-1     # on one machine
      vl3 eval run gqa data/gqa --shard 2/2 -o runs/gqa-2     # on another, its data at the same path
      vl3 eval join runs/gqa-1 runs/gqa-2 -o runs/gqa
    """
    from vl3.eval.join import join
    from vl3.eval.task import no_totals
    from vl3.eval.tasks.catalogue import BENCHMARKS

    result = join(parts, out, lambda task: BENCHMARKS[task].totals if task in BENCHMARKS else no_totals)
    _print(result, out, as_json)
    sys.exit(1 if result["failed"] else 0)


# -------------------------------------------------------------------------------------------------------------- a run


def _benchmark(name: str) -> Any:
    import difflib

    from vl3.errors import UserError
    from vl3.eval.tasks.catalogue import BENCHMARKS

    if name not in BENCHMARKS:
        close = difflib.get_close_matches(name, BENCHMARKS, n=1)
        raise UserError(f"no benchmark {name!r}" + (f"; did you mean {close[0]}?" if close else "; see vl3 eval list"))
    return BENCHMARKS[name]


def _run(task: "Task", given: dict[str, Any], options: "Options | None" = None) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from vl3.eval.run import Progress, RunConfig, evaluate
    from vl3.eval.tasks.annotations import jsonl

    known = list(jsonl(given["train"]).items) if given["train"] else None
    options = options or {"max_new_tokens": ANSWER_TOKENS, **api_options(given)}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bar = Bar(*columns, TextColumn("left"), TimeRemainingColumn(), console=Console(stderr=True))

    def start(row: str, done: int, total: int) -> None:
        bar.add_task(row, total=total, completed=done)

    with ExitStack() as stack:
        name, examinee = stack.enter_context(_examinee(given, options))
        judge = _judge(given, stack) if given["judge"] else None
        stack.enter_context(bar)
        config = RunConfig(
            out=given["out"],
            model=name,
            baselines=given["baselines"],
            limit=given["limit"],
            seed=given["seed"] or 0,
            options=options,
            shard=given["shard"],
        )
        progress = Progress(start, lambda: bar.advance(bar.task_ids[-1]))
        result = evaluate(task, examinee, config, known, judge, progress)
    _print(result, given["out"], given["as_json"])
    sys.exit(1 if result["failed"] else 0)


@contextmanager
def _examinee(given: dict[str, Any], options: "Options") -> Iterator[tuple[str, "Examinee"]]:
    """(name, model or server) that the options name."""
    from vl3.eval.answerers import endpoint_examinee, model_examinee

    if not given["endpoint"]:
        with loaded_assistant(given, side_by_side=given["batch_size"], decoders=2) as assistant:
            yield given["model"], model_examinee(assistant, given["batch_size"], options)
        return
    from vl3.remote import ChatClient, server_config

    unnamed = click.get_current_context().get_parameter_source("model") is click.core.ParameterSource.DEFAULT
    key = os.environ.get("VL3_ENDPOINT_KEY") or os.environ.get("OPENAI_API_KEY", "")
    with ChatClient(server_config(given["endpoint"], "" if unnamed else given["model"], key)) as client:
        yield client.model, endpoint_examinee(client, options, given["endpoint_video"], given["batch_size"])


def _judge(given: dict[str, Any], stack: ExitStack) -> Callable[[], "Judge"]:
    """Opens the judge that the options name, until the stack ends. UserError at once for what is no URL."""
    from vl3.eval.judge import Judge
    from vl3.remote import ChatClient, server_config

    key = os.environ.get("VL3_JUDGE_KEY") or os.environ.get("OPENAI_API_KEY", "")
    config = server_config(given["judge"], given["judge_model"], key)
    return lambda: Judge(stack.enter_context(ChatClient(config)))


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
    if "open" in result:
        left = f"{result['open']} questions are left to other shards"
        click.echo(f"note: {left}; the last to end here, or `vl3 eval join`, sums up", err=True)
    for failure in result["failed"]:
        click.echo(f"failed: {failure['row']} {failure['id']}: {failure['error']}", err=True)
    if result["failed"]:
        click.echo(f"{len(result['failed'])} questions FAILED; call again to ask them again", err=True)
