"""`vl3 chat`: a conversation in the terminal."""

import contextlib
import sys
from typing import TYPE_CHECKING, Any

import click

from vl3.cli.options import api_options, generation_options, loaded_assistant, media_options, model_options
from vl3.errors import UserError

if TYPE_CHECKING:
    from vl3.generate import Conversation

_HELP = "/add FILE  show a file with the next question   /reset  start anew   /quit  leave   /help  this"


@click.command("chat")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--system", metavar="TEXT", help="System message.")
@media_options
@generation_options
@model_options
def command(files: tuple[str, ...], system: str | None, **given: Any) -> None:
    """Talk about images and videos. Earlier turns are kept, and never read twice.

    FILEs are shown with the first question; /add FILE shows another with the next. Ctrl-C breaks off an answer.

    \b
    Examples:
      vl3 chat holiday.mp4
      vl3 chat a.jpg b.jpg --temperature 0.7
      printf 'What is this?\\nWhat colour is it?\\n' | vl3 chat photo.jpg
    """
    from vl3.generate import Conversation

    with contextlib.suppress(ImportError):  # line editing and history, where the platform has them
        import readline  # noqa: F401
    with loaded_assistant(given, conversation=True) as assistant:
        talk = Conversation(assistant, system, **api_options(given))
        waiting, failed = list(files), False
        if sys.stdin.isatty():
            click.echo(_HELP, err=True)
        while (line := _read_line()) is not None:
            if line == "/quit":
                break
            if line == "/reset":
                talk = Conversation(assistant, system, **api_options(given))
                waiting = []
            elif line.startswith("/add "):
                waiting.append(line.removeprefix("/add ").strip())
            elif line.startswith("/"):
                click.echo(_HELP, err=True)
            elif line:
                try:
                    waiting = _answer(talk, waiting, line)
                except UserError as error:
                    click.echo(f"vl3: error: {error}", err=True)
                    waiting, failed = [], True
        if failed and not sys.stdin.isatty():  # a script looks at the status only
            sys.exit(1)


def _read_line() -> str | None:
    """The next line, None at the end of the input."""
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return None


def _answer(talk: "Conversation", media: list[str], line: str) -> list[str]:
    """Prints the answer; returns the media that are still to be shown (after Ctrl-C)."""
    try:
        for piece in talk.ask(*media, line):
            click.echo(piece, nl=False)
    except KeyboardInterrupt:
        click.echo(" [broken off]", err=True)
        return media
    click.echo()
    return []
