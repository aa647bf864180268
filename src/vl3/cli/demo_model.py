"""`vl3 demo-model`: something to load where there is no model."""

from pathlib import Path

import click

from vl3.log import setup_logging


@click.command("demo-model")
@click.argument("destination", metavar="DST", type=click.Path(path_type=Path))
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random weights.")
@click.option("--overwrite", is_flag=True, help="Replace DST if it exists.")
def command(destination: Path, seed: int, overwrite: bool) -> None:
    """Make a tiny model with random weights, to try commands with. It is UNTRAINED: its answers are random letters.

    \b
    Examples:
      vl3 demo-model /tmp/tiny
      vl3 ask photo.jpg "What is this?" --model /tmp/tiny --max-new-tokens 20
    """
    setup_logging()
    from vl3.weights.demo import save_demo_model

    save_demo_model(destination, seed=seed, overwrite=overwrite)
    click.echo(f"wrote {destination} (untrained)", err=True)
