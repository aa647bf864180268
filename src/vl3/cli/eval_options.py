"""The options that all runs of `vl3 eval` take."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from vl3.cli.options import Shard, generation_options, media_options, model_options

_RUN: list[Callable[[Any], Any]] = [
    click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Folder of the run."),
    click.option(
        "--baseline",
        "baselines",
        multiple=True,
        type=click.Choice(["no-picture", "most-frequent"]),
        help="Let it answer the same questions too: the model with grey instead of each picture, or the most "
        "frequent answer to each wording. Can be given twice.",
    ),
    click.option(
        "--train",
        multiple=True,
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Training .jsonl from which most-frequent knows its answers. [default: the questions asked]",
    ),
    click.option("--limit", type=click.IntRange(min=1), help="Most questions of each kind, drawn by --seed."),
    click.option("--shard", type=Shard(), help="Answer one of N parts; the last of them to end sums up."),
    click.option("--batch-size", type=click.IntRange(min=1), default=8, show_default=True, help="Questions at a time."),
    click.option(
        "--endpoint",
        metavar="URL",
        help="Ask an OpenAI-compatible server instead, such as http://localhost:8000/v1; --model is its name for the "
        "model. [key: env VL3_ENDPOINT_KEY or OPENAI_API_KEY]",
    ),
    click.option(
        "--endpoint-video",
        type=click.Choice(["frames", "url"]),
        default="frames",
        show_default=True,
        help="How it is sent a video: images of its frames with their times, or whole as video_url.",
    ),
    click.option(
        "--judge",
        metavar="URL",
        help="An OpenAI-compatible server to compare answers that rules cannot. [key: env VL3_JUDGE_KEY or "
        "OPENAI_API_KEY]",
    ),
    click.option("--judge-model", default="", metavar="NAME", help="Its name for the model. [default: the first]"),
    click.option("--json", "as_json", is_flag=True, help="Print result.json instead of a table."),
]


def run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What all tasks take."""
    for option in reversed(_RUN):
        function = option(function)
    return media_options(generation_options(model_options(function)))
