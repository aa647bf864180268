"""`python -m vl3.cli.docs` writes docs/cli.md from the commands' own help texts."""

import sys
from pathlib import Path

import click

from vl3.cli import cli

HEAD = "# Command line\n\nWritten by `make docs` from the commands' own help texts.\n"


def page() -> str:
    """The whole page, Markdown."""
    return HEAD + "".join(_section(cli, ["vl3"]))


def _section(command: click.Command, path: list[str]) -> list[str]:
    name = " ".join(path)
    context = click.Context(command, info_name=name, terminal_width=100, max_content_width=100)
    parts = [f"\n## {name}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"]
    if isinstance(command, click.Group):
        for verb in command.list_commands(context):
            below = command.get_command(context, verb)
            assert below is not None
            parts += _section(below, [*path, verb])
    return parts


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
