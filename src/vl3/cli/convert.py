"""`vl3 convert`: a checkpoint in another layout."""

from pathlib import Path

import click

from vl3.log import setup_logging


@click.command("convert")
@click.argument("source", metavar="SRC")
@click.argument("destination", metavar="DST", type=click.Path(path_type=Path))
@click.option("--layout", type=click.Choice(["transformers", "authors", "vl3"]), required=True, help="Layout of DST.")
@click.option("--overwrite", is_flag=True, help="Replace DST if it exists.")
def command(source: str, destination: Path, layout: str, overwrite: bool) -> None:
    """Rewrite the checkpoint SRC (hub id or folder, any layout) to the folder DST.

    All tensors are checked against the model's shape before, and bit by bit after. `transformers` folders load with
    VideoLlama3ForConditionalGeneration.from_pretrained; `authors` ones with the authors' package; `vl3` is this
    project's own. Models with a convolutional stem, such as nano, have a vl3 form only.

    \b
    Examples:
      vl3 convert DAMO-NLP-SG/VideoLLaMA3-2B vl3-2b-hf --layout transformers
      vl3 convert runs/my-finetune/final my-model --layout authors
    """
    setup_logging()
    from rich.console import Console

    from vl3.weights import convert

    with Console(stderr=True).status("converting"):
        convert(source, destination, layout, overwrite=overwrite)  # type: ignore[arg-type]
    click.echo(f"wrote {destination}", err=True)
