"""`vl3 data`: look at training data before training on it."""

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from vl3.errors import UserError
from vl3.log import setup_logging

if TYPE_CHECKING:
    from vl3.data.check import Summary
    from vl3.processing import Inputs, Processor

_SHOWN = 50


@click.group("data")
def command() -> None:
    """Check and show training data."""


@command.command("check")
@click.argument("path")
@click.option("--root", help="Folder that relative media paths start from. [default: that of PATH]")
@click.option("--model", "-m", envvar="VL3_MODEL", metavar="ID_OR_FOLDER", help="Count tokens as this model would.")
@click.option("--decode/--no-decode", default=True, show_default=True, help="Decode media, or only find them.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check_command(path: str, root: str | None, model: str | None, decode: bool, as_json: bool) -> None:
    """Check every sample of PATH: form, roles, placeholders, media, boxes and times. Status 1 if anything is wrong.

    PATH is .json, .jsonl, .parquet or WebDataset .tar (or a folder of one of the last two).

    \b
    Examples:
      vl3 data check train.jsonl
      vl3 data check train.jsonl --root media/ --model DAMO-NLP-SG/VideoLLaMA3-2B
      vl3 data check shards/ --no-decode --json
    """
    setup_logging()
    from rich.console import Console
    from rich.progress import Progress

    from vl3.data import SourceConfig, open_source
    from vl3.data.check import Summary, check
    from vl3.data.prepare import Preparer
    from vl3.media import Decoder

    config = SourceConfig(path=path, root=root)
    source = open_source(config)
    summary = Summary()
    with Decoder() as decoder, Progress(console=Console(stderr=True), transient=True) as progress:
        count = None
        if model:
            preparer = Preparer(_processor(model), config, sys.maxsize)
            count = lambda sample: preparer.inputs(sample, decoder).num_tokens  # noqa: E731
        bar = progress.add_task(f"checking {source.name}", total=len(source))
        for found in check(source, decoder, decode=decode, count_tokens=count):
            summary = found
            progress.advance(bar)
    _print(summary, as_json)
    sys.exit(1 if summary.problems else 0)


def _print(summary: "Summary", as_json: bool) -> None:
    if as_json:
        facts: dict[str, Any] = {"samples": summary.num_samples, "kinds": dict(summary.kinds)}
        click.echo(json.dumps({**facts, "problems": summary.problems, "token_lengths": summary.lengths}))
        return
    for problem in summary.problems[:_SHOWN]:
        click.echo(problem)
    if len(summary.problems) > _SHOWN:
        click.echo(f"... and {len(summary.problems) - _SHOWN} more (--json lists all)")
    good = ", ".join(f"{count} {kind}" for kind, count in sorted(summary.kinds.items())) or "none"
    click.echo(f"{summary.num_samples} samples: {len(summary.problems)} problems; good: {good}")
    for low, high, count in histogram(summary.lengths):
        click.echo(f"  {low:>7}-{high:<7} tokens {'#' * max(1, 50 * count // len(summary.lengths))} {count}")


def histogram(lengths: list[int]) -> list[tuple[int, int, int]]:
    """(from, to, how many) by powers of two, empty ones left out."""
    bins: dict[int, int] = {}
    for length in lengths:
        bins[length.bit_length()] = bins.get(length.bit_length(), 0) + 1
    return [(1 << bits >> 1, (1 << bits) - 1, bins[bits]) for bits in sorted(bins)]


@command.command("show")
@click.argument("path")
@click.argument("number", type=int)
@click.option("--root", help="Folder that relative media paths start from. [default: that of PATH]")
@click.option(
    "--model",
    "-m",
    envvar="VL3_MODEL",
    default="nano",
    show_default=True,
    metavar="ID_OR_FOLDER",
    help="Whose tokenizer and settings to use. [env: VL3_MODEL]",
)
def show_command(path: str, number: int, root: str | None, model: str) -> None:
    """Print sample NUMBER (from 0) of PATH as the model sees it, what is trained on in green.

    \b
    Examples:
      vl3 data show train.jsonl 0 --model DAMO-NLP-SG/VideoLLaMA3-2B
    """
    setup_logging()
    from vl3.data import SourceConfig, open_source
    from vl3.data.prepare import Preparer
    from vl3.media import Decoder

    config = SourceConfig(path=path, root=root)
    source = open_source(config)
    if not 0 <= number < len(source):
        raise UserError(f"{path}: has samples 0 to {len(source) - 1}, not {number}")
    processor = _processor(model)
    sample = source.get(number)
    with Decoder() as decoder:
        inputs = Preparer(processor, config, sys.maxsize).inputs(sample, decoder)
    click.echo(f"{sample.where}  ({sample.kind})")
    for text, trained in spans(inputs, processor):
        click.secho(text, fg="green" if trained else None, nl=False)
    supervised = int((inputs.labels >= 0).sum())
    click.echo(f"{inputs.num_tokens} tokens, {int(inputs.visual_mask.sum())} visual, {supervised} trained on")


def spans(inputs: "Inputs", processor: "Processor") -> list[tuple[str, bool]]:
    """Stretches of text and whether they are trained on; runs of visual tokens as `<so many visual tokens>`."""
    pieces: list[tuple[str, bool]] = []
    ids, start = inputs.input_ids.tolist(), 0
    kinds = list(zip(inputs.visual_mask.tolist(), (inputs.labels >= 0).tolist(), strict=True))
    for end in range(1, len(ids) + 1):
        if end == len(ids) or kinds[end] != kinds[start]:
            visual, trained = kinds[start]
            text = f"<{end - start} visual tokens>" if visual else ""
            text = text or processor.tokenizer.decode(ids[start:end], skip_special_tokens=False)
            pieces.append((text, trained))
            start = end
    return pieces


def _processor(model: str) -> "Processor":
    """A checkpoint's processor, without its weights."""
    from vl3.processing import Processor
    from vl3.weights import load_processor

    config, tokenizer, model_config = load_processor(model)
    return Processor(config, tokenizer, model_config)
