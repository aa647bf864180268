"""`vl3 plan`: what a question would take, before a model is loaded."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from vl3.chat import question
from vl3.cli.options import api_options, budget_of, generation_options, media_options, model_options
from vl3.log import setup_logging

if TYPE_CHECKING:
    from vl3.generate.plan import Plan
    from vl3.generate.speed import Seconds


@click.command("plan")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("-q", "--question", "text", default="What is this?", show_default=True, metavar="TEXT")
@click.option("--read", is_flag=True, help="Decode FILEs, so that the tokens after pruning are counted, not bounded.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@media_options
@generation_options
@model_options
def command(files: tuple[str, ...], text: str, read: bool, as_json: bool, **given: Any) -> None:
    """Predict frames, visual tokens, memory and time of a question about FILEs, without loading the model.

    Only headers are read: of the model's files, and of FILEs unless --read.

    \b
    Examples:
      vl3 plan clip.mp4 --model DAMO-NLP-SG/VideoLLaMA3-2B
      vl3 plan screen.mp4 --fps 2 --read
      vl3 plan lecture.mp4 --max-memory 6GB
      vl3 plan a.jpg b.jpg --dtype bfloat16 --quantize int8 --json
    """
    setup_logging(given["verbose"])
    from rich.console import Console

    from vl3.generate.budget import Demand
    from vl3.generate.plan import footprint, plan
    from vl3.media import Decoder

    with Console(stderr=True).status("reading headers"), Decoder(given["decode_timeout"]) as decoder:
        model = footprint(given["model"], given["device"], given["dtype"], given["quantize"], given["revision"])
        budget = None
        if given["max_memory"]:
            budget = budget_of(given, Demand(max_new_tokens=given["max_new_tokens"] or Demand.max_new_tokens))
        planned = plan(model, question(files, text), api_options(given), decoder, read, budget)
        took = _seconds(planned, given)
    if as_json:
        click.echo(json.dumps({**_facts(planned), "seconds": took and asdict(took)}))
        return
    _print(planned)
    if took is None:
        click.echo("time: not known for packed matrices and convolutional stems")
    else:
        click.echo(
            f"time on this machine, without reading the media: {took.vision:.1f} s to look, {took.prefill:.1f} s to "
            f"read the prompt, {took.generate:.1f} s for the longest answer"
        )


def _seconds(planned: "Plan", given: dict[str, Any]) -> "Seconds | None":
    from vl3.generate.speed import rates_of, seconds

    if given["quantize"] or (planned.seen and planned.footprint.config.vision.stem is not None):
        return None
    return seconds(planned, rates_of(planned.footprint.dtype))


def _facts(planned: "Plan") -> dict[str, Any]:
    memory = planned.memory
    return {
        "media": [
            {
                "file": info.name,
                "kind": info.kind,
                "source_size": [info.width, info.height],
                "frames": one.grid[0],
                "grid": list(one.grid),
                "merge": one.merge,
                "tokens": one.tokens,
                "tokens_kept": one.kept,
            }
            for info, one in zip(planned.infos, planned.seen, strict=True)
        ],
        "exact": planned.exact,
        "prompt_tokens": planned.prompt_tokens,
        "text_tokens": planned.text_tokens,
        "max_new_tokens": planned.max_new_tokens,
        "memory_bytes": {**vars(memory), "peak": memory.peak, "decoder": planned.decoder, "process": planned.process},
    }


def _print(planned: "Plan") -> None:
    most = "" if planned.exact else "at most "
    for info, one in zip(planned.infos, planned.seen, strict=True):
        t, h, w = one.grid
        click.echo(f"{info.name}  ({info.kind}, {info.width} x {info.height} pixels)")
        click.echo(f"  {t} frame{'s' * (t > 1)} of {h} x {w} patches, merged {one.merge} x {one.merge}")
        click.echo(f"  {one.tokens} visual tokens, {most if t > 1 else ''}{one.kept} after pruning")
    click.echo(
        f"prompt: {most if planned.seen else ''}{planned.prompt_tokens} tokens ({planned.text_tokens} of text), "
        f"answer: at most {planned.max_new_tokens}"
    )
    memory = planned.memory
    click.echo(f"memory: {_size(planned.process)} at the peak")
    rows = {
        "Python and torch": planned.base,
        "weights": memory.weights,
        "beside them while they are read": memory.loading,
        "8-bit pixels": memory.pixels,
        "visual tokens": memory.tokens,
        "keys and values": memory.cache,
        "a pass of the vision encoder": memory.vision,
        "a pass of the decoder": memory.prefill,
        "the process that decodes": planned.decoder,
    }
    for name, size in rows.items():
        click.echo(f"  {name:<32}{_size(size):>9}")


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.2f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.0f} MB"
