"""`vl3 run`: many questions in one go."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vl3.cli.options import Shard, api_options, generation_options, loaded_assistant, media_options, model_options
from vl3.errors import UserError
from vl3.log import setup_logging

if TYPE_CHECKING:
    from vl3.bulk import Summary

SHOWN = 10
"""Failures that are named on standard error; the output names all."""
KEPT = 256 << 20
"""Bytes of visual tokens, and of keys and values, kept for later questions about the same media."""


@click.command("run")
@click.argument("source", type=click.Path(path_type=Path), metavar="INPUT")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Answers, one JSON object a line.")
@click.option("-q", "--question", multiple=True, metavar="TEXT", help="Ask this of each file of a folder. Repeatable.")
@click.option("--system", metavar="TEXT", help="System message, where a line has none.")
@click.option("--root", type=click.Path(path_type=Path), help="Where paths in INPUT begin. [default: beside it]")
@click.option("--retry-failed", is_flag=True, help="Ask again what failed in an earlier run.")
@click.option("--shard", type=Shard(), help="Ask every N-th line or file, from the K-th on; one file (-o) each.")
@click.option("--batch-size", type=click.IntRange(min=1), default=8, show_default=True, help="Questions at a time.")
@click.option("--decoders", type=click.IntRange(min=1), default=2, show_default=True, help="Media decoded at a time.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
@media_options
@generation_options
@model_options
def command(source: Path, out: Path, question: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Answer all questions of INPUT: a .jsonl file (docs/bulk.md), or a folder of images and videos with -q.

    Answers come in the order in which they are found, each with the line or file that it answers. The same command goes
    on where a run was stopped, by a kill too. Status 1 if a question failed.

    \b
    Examples:
      vl3 run questions.jsonl -o answers.jsonl
      vl3 run photos -q "What is this?" -o captions.jsonl --max-new-tokens 60
      vl3 run questions.jsonl -o answers.jsonl --retry-failed
      vl3 run questions.jsonl -o answers-2.jsonl --shard 2/4
    """
    setup_logging(given["verbose"])
    from vl3.bulk import RunConfig, answer_all, open_source
    from vl3.bulk.output import opened
    from vl3.bulk.run import Progress
    from vl3.generate import Service, ServiceConfig

    if source.exists() and out.exists() and source.samefile(out):
        raise UserError(f"{out}: is what is asked; give another file with -o")
    asked = open_source(source, question, given["root"])
    config = RunConfig(
        options=api_options(given),
        system=given["system"],
        shard=given["shard"],
        retry_failed=given["retry_failed"],
    )
    limits = ServiceConfig(
        max_running=given["batch_size"], num_decoders=given["decoders"], vision_bytes=KEPT, prefix_bytes=KEPT
    )
    bar = _bar()
    task = bar.add_task("answering", total=None)
    failures: list[str] = []

    def told(failed: Any, error: str) -> None:
        failures.append(f"{failed.where}: {error}")
        bar.update(task, description=f"answering, {len(failures)} failed")

    progress = Progress(
        start=lambda done, total: bar.update(task, total=total, completed=done),
        advance=lambda: bar.advance(task),
        failed=told,
    )
    with loaded_assistant(
        given, side_by_side=given["batch_size"], decoders=given["decoders"], kept_bytes=KEPT
    ) as assistant:
        settings = {"model": given["model"], **assistant.facts, "options": config.options, "system": config.system}
        try:
            with opened(out, settings) as output, Service(assistant, limits) as service, bar:
                summary = answer_all(service, asked, output, config, progress)
        except KeyboardInterrupt:
            click.echo(f"stopped; the same command goes on: {out}", err=True)
            raise
    _report(summary, failures, out, as_json)
    sys.exit(1 if summary.failed + summary.failed_before else 0)


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=Console(stderr=True))


def _report(summary: "Summary", failures: list[str], out: Path, as_json: bool) -> None:
    for failure in failures[:SHOWN]:
        click.echo(f"failed: {failure}", err=True)
    if len(failures) > SHOWN:
        click.echo(f"failed: {len(failures) - SHOWN} more, see {out}", err=True)
    if as_json:
        click.echo(json.dumps({"out": str(out), **asdict(summary)}))
    else:
        before = f", {summary.answered_before} before" if summary.answered_before else ""
        speed = summary.generated_tokens / summary.seconds if summary.seconds else 0.0
        click.echo(
            f"{summary.answered} answered{before}, of {summary.questions}; {summary.seconds:.1f} s, "
            f"{speed:.1f} tokens/s: {out}"
        )
    if failed := summary.failed + summary.failed_before:
        click.echo(f"{failed} of {summary.questions} FAILED; --retry-failed asks them again", err=True)
