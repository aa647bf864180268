"""`vl3 train`: runs a recipe."""

from pathlib import Path

import click

from vl3.log import setup_logging


@click.command("train")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint of the run, if there is one.")
@click.option("--show", is_flag=True, help="Print the resolved config and stop.")
@click.option("--plan", is_flag=True, help="Predict memory per device and time, and stop.")
@click.option(
    "--devices",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="For --plan: how many devices share the work.",
)
@click.option("--dry-run", type=click.IntRange(min=1), metavar="N", help="Do N steps and write nothing.")
def command(
    recipe: Path, overrides: tuple[str, ...], resume: bool, show: bool, plan: bool, devices: int, dry_run: int | None
) -> None:
    """Train as RECIPE says, with single settings changed by KEY=VALUE.

    Start it under torchrun to share the work among devices. The finished weights are in OUTPUT/final.

    \b
    Examples:
      vl3 train recipes/2b/lora.yaml output=runs/mine data.sources=my.jsonl
      vl3 train recipes/2b/full.yaml --show
      torchrun --nproc_per_node 8 -m vl3 train recipes/7b/stage4_video.yaml --resume
    """
    setup_logging()
    from vl3.train.config import read_recipe

    config = read_recipe(recipe, list(overrides))
    if show:
        import yaml

        from vl3.config import encode

        click.echo(yaml.safe_dump(encode(config), sort_keys=False), nl=False)
        return
    if plan:
        from vl3.train.plan import predict

        click.echo(predict(config, devices).text())
        return
    from vl3.train.trainer import train

    folder = train(config, resume=resume, dry_run=dry_run)
    if folder is not None:
        click.echo(f"wrote {folder}", err=True)
