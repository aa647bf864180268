"""The command line: one file per verb, imported only when it is called, so that `vl3 --help` is quick."""

import importlib
import os
import sys
from typing import Any

import click

from vl3 import __version__
from vl3.errors import UserError

_VERBS = {
    "ask": "Ask a question about images and videos.",
    "chat": "Talk about images and videos, turn by turn.",
    "run": "Answer many questions in one go.",
    "serve": "Answer by the OpenAI API.",
    "ui": "A web page to ask on.",
    "inspect": "Show which frames and tokens the model would see.",
    "plan": "Predict tokens and memory, without loading a model.",
    "convert": "Rewrite a checkpoint in another layout.",
    "assemble": "Build a model from a vision tower and a language model.",
    "compact": "Write a fine-tuned model small.",
    "curate": "Make a training set of a raw pool.",
    "data": "Check and show training data.",
    "train": "Train or fine-tune a model by a recipe.",
    "eval": "Measure how good a model is.",
    "demo-model": "Make a tiny untrained model to try commands with.",
}


class _Verbs(click.Group):
    """Knows the verbs' names and summaries without importing them."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name not in _VERBS:
            return None
        module = importlib.import_module(f"vl3.cli.{name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_VERBS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise click.UsageError(f"{error.message} Choose one of: {', '.join(_VERBS)}.", ctx) from error


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="vl3")
def cli() -> None:
    """VideoLLaMA3: ask questions of images and videos.

    \b
    Examples:
      vl3 ask photo.jpg "What is written on the sign?" --model DAMO-NLP-SG/VideoLLaMA3-2B
      vl3 inspect clip.mp4 --sheet frames.png
      vl3 COMMAND --help
    """


def main(args: list[str] | None = None) -> None:
    """The `vl3` command: mistakes end in one line and status 2, an interrupt in 130."""
    try:
        status: Any = cli.main(args, prog_name="vl3", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except UserError as error:
        click.echo(f"vl3: error: {error}", err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        # whoever read the output has gone; what is still buffered has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(status if isinstance(status, int) else 0)
