"""`vl3 ask`: files and a question in, an answer out."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import click

from vl3.chat import question
from vl3.cli.options import api_options, generation_options, loaded_assistant, media_options, model_options
from vl3.errors import UserError


@click.command("ask")
@click.argument("files_and_question", nargs=-1, required=True, metavar="[FILE]... QUESTION")
@click.option("--system", metavar="TEXT", help="System message.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: answer, tokens, frame times, timings.")
@media_options
@generation_options
@model_options
def command(files_and_question: tuple[str, ...], system: str | None, as_json: bool, **given: Any) -> None:
    """Ask QUESTION about images and videos, and print the answer as it is found.

    A FILE is a path, a folder of frames, an http(s) or data: URL, or - for standard input. Without files it is a plain
    text question.

    \b
    Examples:
      vl3 ask photo.jpg "What is written on the sign?"
      vl3 ask clip.mp4 "When does the door open?" --fps 2 --start 10 --end 40
      vl3 ask before.png after.png "What changed?" --max-new-tokens 60
      vl3 ask lecture.mp4 "Summarise." --max-frames 64 --prune keep=0.5 --json
      curl -s https://example.org/cat.jpg | vl3 ask - "Which animal is this?"
    """
    *files, text = files_and_question
    if not text.strip():
        raise UserError("the question is empty")
    if text == "-" or _is_file(text):
        raise UserError(f"{text} is a file, and the question comes last: vl3 ask FILE... QUESTION")
    if files.count("-") > 1:
        raise UserError("standard input (-) can be given only once")
    media = [sys.stdin.buffer.read() if file == "-" else file for file in files]
    with loaded_assistant(given) as assistant:
        stream = assistant.stream(question(media, text, system), **api_options(given))
        if as_json:
            click.echo(json.dumps(dataclasses.asdict(stream.answer), ensure_ascii=False))
            return
        for piece in stream:
            click.echo(piece, nl=False)
        click.echo()


def _is_file(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # too long for a path, or with a null byte: a question then
        return False
