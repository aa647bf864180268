"""`vl3 curate`: makes a training set of a raw pool by a recipe."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vl3.errors import UserError
from vl3.log import setup_logging

if TYPE_CHECKING:
    from vl3.curate import Outcome


@click.command("curate")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--show", is_flag=True, help="Print the resolved recipe and stop.")
@click.option("--from", "start", metavar="STEP", help="Do this step and all after it, up to --to, again.")
@click.option("--to", "end", metavar="STEP", help="Stop after this step.")
@click.option("--datasheet/--no-datasheet", default=True, show_default=True, help="Write OUTPUT/datasheet.html.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    recipe: Path,
    overrides: tuple[str, ...],
    show: bool,
    start: str | None,
    end: str | None,
    datasheet: bool,
    as_json: bool,
) -> None:
    """Make a training set of a raw pool as RECIPE says, with single settings changed by KEY=VALUE.

    Each step's rows are kept as Parquet in OUTPUT/steps; dropped ones stay there with the reason, and
    OUTPUT/datasheet.html shows what was done. A run that was stopped goes on where it was; steps whose settings have
    not changed are not done again.

    \b
    Examples:
      vl3 curate recipes/curate/images.yaml sources.0.path=pool/ output=runs/curated
      vl3 curate recipes/curate/images.yaml sources.0.path=pool/ output=runs/curated steps.shape.min_side=128
      vl3 curate my.yaml --from quality --to quality
    """
    setup_logging()
    import yaml

    from vl3.curate.config import plain_recipe, read_recipe

    config = read_recipe(recipe, list(overrides))
    if show:
        click.echo(yaml.safe_dump(plain_recipe(config), sort_keys=False), nl=False)
        return
    from rich.console import Console
    from rich.progress import Progress

    from vl3.curate.datasheet import page_templates, write_datasheet
    from vl3.curate.pipeline import curate

    if datasheet:
        page_templates()  # what is missing is told before the work, not after
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("starting", total=None)

        def on_progress(name: str, done: int, total: int) -> None:
            progress.update(bar, description=name, completed=done, total=total or None)

        outcomes = curate(config, start, end, on_progress)
        page = None
        if datasheet:
            progress.update(bar, description="datasheet", completed=0, total=None)
            page = write_datasheet(Path(config.output))
    _print(outcomes, page, as_json)
    empty = next((outcome for outcome in outcomes if not outcome.kept), None)
    if empty is not None:
        reasons = ", ".join(f"{reason} {count}" for reason, count in empty.reasons.items())
        raise UserError(f"no row is left after the step {empty.name} ({reasons}): look at its settings, or at the pool")


def _print(outcomes: list["Outcome"], page: Path | None, as_json: bool) -> None:
    if as_json:
        facts = [
            {"step": o.name, "rows": o.rows, "kept": o.kept, "dropped": o.reasons, "notes": o.notes, "reused": o.reused}
            for o in outcomes
        ]
        click.echo(json.dumps({"steps": facts, "folder": str(outcomes[-1].folder), "datasheet": page and str(page)}))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("step", "kept", "dropped", "for", "", box=None)
    for outcome in outcomes:
        reasons = ", ".join(f"{reason} {count}" for reason, count in outcome.reasons.items())
        spent = "done before" if outcome.reused else f"{outcome.seconds:.1f} s"
        table.add_row(outcome.name, str(outcome.kept), str(sum(outcome.reasons.values()) or ""), reasons, spent)
    Console().print(table)
    for outcome in outcomes:
        for note in outcome.notes:
            click.echo(f"{outcome.name}: {note}")
    click.echo(f"rows are in {outcomes[-1].folder}")
    if page is not None:
        click.echo(f"the datasheet is {page}")
