"""`vl3 inspect`: what the model would see of a file, without loading it."""

import json
from pathlib import Path
from typing import Any

import click

from vl3.cli.options import api_options, media_options
from vl3.errors import UserError
from vl3.log import setup_logging


@click.command("inspect")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--sheet", type=click.Path(dir_okay=False, path_type=Path), help="Write a contact sheet of all frames here."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--model",
    "-m",
    envvar="VL3_MODEL",
    default="nano",
    metavar="ID_OR_FOLDER",
    help="Use this checkpoint's settings. [env: VL3_MODEL; default: nano]",
)
@click.option("--decode-timeout", type=float, default=120.0, show_default=True, help="Most seconds to read one file.")
@click.option("--verbose", "-v", is_flag=True, help="Say more on standard error.")
@media_options
def command(
    files: tuple[str, ...],
    sheet: Path | None,
    as_json: bool,
    model: str,
    decode_timeout: float,
    verbose: bool,
    **given: Any,
) -> None:
    """Show which frames of FILEs are chosen, their times, sizes, and visual tokens before and after pruning.

    Several FILEs share one budget of tokens, as in one question. The contact sheet shades what the pruner dropped.

    \b
    Examples:
      vl3 inspect clip.mp4
      vl3 inspect screen.mp4 --fps 2 --prune grey=2 --sheet frames.png
      vl3 inspect a.jpg b.jpg --max-tokens 4096 --json
    """
    setup_logging(verbose)
    from rich.console import Console

    from vl3.chat import MediaPart
    from vl3.generate.options import settings
    from vl3.media import Decoder
    from vl3.processing import load_visuals
    from vl3.weights.load import load_settings

    config = settings(load_settings(model), api_options(given)).processing
    console = Console(stderr=True)
    with Decoder(decode_timeout) as decoder, console.status("reading media"):
        visuals, infos = load_visuals([MediaPart(None, file) for file in files], config, decoder)
    facts = [_facts(info, visual) for info, visual in zip(infos, visuals, strict=True)]
    if sheet is not None:
        from vl3.generate.sheet import contact_sheet

        try:
            contact_sheet(infos, visuals, config.patch_size).save(sheet)
        except (OSError, ValueError) as error:  # ValueError: a suffix that is no picture format
            raise UserError(f"{sheet}: cannot be written: {error}") from error
        click.echo(f"wrote {sheet}", err=True)
    if as_json:
        click.echo(json.dumps({"media": facts, "visual_tokens": sum(fact["tokens_kept"] for fact in facts)}))
    else:
        _print(facts)


def _facts(info: Any, visual: Any) -> dict[str, Any]:
    t, h, w = visual.grid
    return {
        "file": info.name,
        "kind": info.kind,
        "source_size": [info.width, info.height],
        "duration_s": round(info.duration_s, 3),
        "source_frames": info.num_source_frames,
        "frames": t,
        "times_s": [round(time, 3) for time in info.times_s],
        "grid": [t, h, w],
        "merge": visual.merge,
        "tokens": visual.keep.numel(),
        "tokens_kept": visual.num_tokens,
        "tokens_per_frame": visual.tokens_per_frame,
    }


def _print(facts: list[dict[str, Any]]) -> None:
    for fact in facts:
        t, h, w = fact["grid"]
        click.echo(f"{fact['file']}  ({fact['kind']}, {fact['source_size'][0]} x {fact['source_size'][1]} pixels)")
        if fact["kind"] == "video":
            click.echo(f"  {fact['duration_s']:.2f} s, {fact['source_frames']} frames, {t} chosen")
        tokens, merge = fact["tokens"], fact["merge"]
        click.echo(f"  grid {h} x {w} patches, merged {merge} x {merge}: {tokens // t} tokens a frame")
        click.echo(f"  {tokens} tokens, {fact['tokens_kept']} after pruning ({fact['tokens_kept'] / tokens:.0%})")
        if fact["kind"] == "video":
            per_frame = zip(fact["times_s"], fact["tokens_per_frame"], strict=True)
            click.echo("  time: tokens  " + "  ".join(f"{time:.1f}s: {count}" for time, count in per_frame))
    if len(facts) > 1:
        click.echo(f"together {sum(fact['tokens_kept'] for fact in facts)} visual tokens")
