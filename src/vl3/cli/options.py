"""Options that several verbs share, and what they mean to the Python API."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import click

from vl3.log import logger, setup_logging

if TYPE_CHECKING:
    from vl3.generate import Assistant, Options
    from vl3.generate.budget import Budget, Demand

F = TypeVar("F", bound=Callable[..., Any])
Option = Callable[[Any], Any]


class Size(click.ParamType[int]):
    """`8GB`, `500MB`, `4GiB`: bytes."""

    name = "SIZE"
    _UNITS: ClassVar = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """A number of bytes."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]i?)?b?", str(value).strip().lower())
        if found is None or float(found[1]) == 0:
            self.fail(f"{value!r} is not a size such as 8GB or 500MB", param, ctx)
        return int(float(found[1]) * self._UNITS[found[2] or ""])


def _use_threads(_ctx: click.Context, _param: click.Parameter, count: int | None) -> None:
    if count is not None:
        cores = os.cpu_count() or count
        if count > cores:
            raise click.BadParameter(f"{count} is more than the {cores} cores of this machine")
        import torch

        torch.set_num_threads(count)


_MODEL: list[Option] = [
    click.option(
        "--model",
        "-m",
        envvar="VL3_MODEL",
        default="nano",
        metavar="ID_OR_FOLDER",
        help="Checkpoint: hub id, folder, or nano, the model that comes with vl3. [env: VL3_MODEL; default: nano]",
    ),
    click.option("--revision", metavar="NAME", help="Branch, tag or commit of a hub id."),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps."),
    click.option(
        "--dtype",
        type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
        default="auto",
        show_default=True,
        help="auto keeps the stored type, or float32 on a CPU without bfloat16 arithmetic.",
    ),
    click.option(
        "--threads",
        type=click.IntRange(min=1),
        expose_value=False,
        callback=_use_threads,
        help="Processor cores that the model may use. [default: all]",
    ),
    click.option(
        "--quantize",
        type=click.Choice(["int8", "int4"]),
        help="On a CPU, pack the matrices in 8 bits, or the decoder's in 4: smaller and faster, but answers change a "
        "little. int4 needs: pip install 'vl3[int4]'",
    ),
    click.option(
        "--approximate-vision",
        is_flag=True,
        help="Of a clip's frames encode only what --prune keeps: faster, but answers change.",
    ),
    click.option(
        "--decode-timeout", type=float, default=120.0, show_default=True, help="Most seconds to read one file."
    ),
    click.option(
        "--max-memory",
        type=Size(),
        help="Choose frames, resolution, portions and caches so that memory stays below, such as 8GB (docs/memory.md).",
    ),
    click.option("--verbose", "-v", is_flag=True, help="Say more on standard error."),
]
_MEDIA: list[Option] = [
    click.option("--fps", type=float, help="Frames a second of a video. [default: the checkpoint's, usually 1]"),
    click.option("--max-frames", type=int, help="Most frames of a video. [default: the checkpoint's, usually 180]"),
    click.option("--num-frames", type=int, help="Exactly so many frames, evenly spread."),
    click.option("--sampling", type=click.Choice(["authors", "transformers"]), help="How frames are chosen."),
    click.option("--start", "start_s", type=float, metavar="SECONDS", help="Look at a video from here on."),
    click.option("--end", "end_s", type=float, metavar="SECONDS", help="Look at a video up to here."),
    click.option("--max-tokens", type=int, help="Most visual tokens of the request, before pruning."),
    click.option("--prune", metavar="RULE", help="published, off, grey=LEVELS, keep=SHARE or budget=TOKENS."),
]
_GENERATION: list[Option] = [
    click.option("--max-new-tokens", type=int, help="Most tokens of the answer. [default: 512]"),
    click.option("--temperature", type=float, help="0 is greedy. [default: 0]"),
    click.option("--top-p", type=float, help="Sample from the likeliest tokens up to this probability."),
    click.option("--top-k", type=int, help="Sample from so many likeliest tokens."),
    click.option("--min-p", type=float, help="Drop tokens below this share of the likeliest one's probability."),
    click.option("--repetition-penalty", type=float, help="Above 1: repeat less."),
    click.option("--seed", type=int, help="Makes sampling repeatable."),
    click.option("--stop", multiple=True, metavar="TEXT", help="End the answer before this text. Can be given often."),
]


class Shard(click.ParamType[tuple[int, int]]):
    """`2/4`: the second of four parts."""

    name = "K/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """(k, n) with 1 <= k <= n."""
        try:
            number, of = (int(part) for part in str(value).split("/"))
        except ValueError:
            self.fail(f"{value!r} is not of the form 2/4", param, ctx)
        if not 1 <= number <= of:
            self.fail(f"{value!r}: parts are counted from 1 to N", param, ctx)
        return number, of


def model_options(function: F) -> F:
    """--model and how it runs."""
    return _all(_MODEL, function)


def media_options(function: F) -> F:
    """Which frames, at what size, and pruning."""
    return _all(_MEDIA, function)


def generation_options(function: F) -> F:
    """How the answer is decoded."""
    return _all(_GENERATION, function)


def _all(options: list[Option], function: F) -> F:
    for option in reversed(options):
        function = option(function)
    return function


MEDIA_NAMES = ("fps", "max_frames", "num_frames", "sampling", "start_s", "end_s", "max_tokens", "prune")
GENERATION_NAMES = (
    "max_new_tokens",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "seed",
    "stop",
)


def api_options(given: dict[str, Any]) -> "Options":
    """What of a verb's parameters was given, as keyword options of the Python API."""
    chosen: Options = {}
    for name in (*MEDIA_NAMES, *GENERATION_NAMES):
        if given.get(name) not in (None, ()):
            chosen[name] = list(given[name]) if name == "stop" else given[name]  # type: ignore[literal-required]
    return chosen


@contextmanager
def loaded_assistant(
    given: dict[str, Any],
    *,
    side_by_side: int = 1,
    decoders: int = 1,
    kept_bytes: int = 0,
    conversation: bool = False,
) -> Iterator["Assistant"]:
    """The model that the options name, with a status line on standard error while it works.

    The rest is what the verb would like to have where there is a limit to memory: requests side by side, processes that
    decode, bytes of each cache, and whether turns pile up.
    """
    setup_logging(given["verbose"])
    from rich.console import Console

    from vl3.generate import load
    from vl3.weights.demo import is_untrained

    console = Console(stderr=True)
    budget = None
    if given["max_memory"]:
        from vl3.generate.budget import Demand

        budget = budget_of(
            given,
            Demand(
                max_new_tokens=given.get("max_new_tokens") or Demand.max_new_tokens,
                max_running=side_by_side,
                num_decoders=decoders,
                kept_bytes=kept_bytes,
                conversation=conversation,
            ),
        )
    with console.status("loading the model") as status:
        assistant = load(
            given["model"],
            device=given["device"],
            dtype=given["dtype"],
            quantize=given["quantize"],
            approximate_vision=given["approximate_vision"],
            revision=given["revision"],
            time_limit_s=given["decode_timeout"],
            budget=budget,
            on_stage=lambda stage: status.stop() if stage == "answering" else _show(status, stage),
        )
        status.stop()
        if is_untrained(assistant.checkpoint.path):
            logger.warning("this model is UNTRAINED: its answers are random letters")
        try:
            yield assistant
        finally:
            assistant.close()


def budget_of(given: dict[str, Any], demand: "Demand") -> "Budget":
    """What --max-memory makes of the demand, said on standard error."""
    from vl3.generate.budget import fit
    from vl3.generate.options import settings
    from vl3.generate.plan import footprint

    model = footprint(given["model"], given["device"], given["dtype"], given["quantize"], given["revision"])
    config = settings(model.processor, api_options(given)).processing
    budget = fit(given["max_memory"], model, config, demand)
    click.echo(budget.says(demand, config), err=True)
    return budget


def _show(status: Any, stage: str) -> None:
    status.update(stage)
    status.start()
