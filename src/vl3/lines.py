"""Files of JSON lines: those that people write, and logs that may end in half a line when the work was killed."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from vl3.errors import UserError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Around what creates or writes a file: a full disk, a missing right or a file in the way is a UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error


def write_json(path: Path, data: Any) -> None:
    """Writes a JSON file whole or not at all, and its folder. UserError if that cannot be."""
    draft = path.with_name(f".{path.name}.{uuid4().hex}")  # several processes may write it at once
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        draft.replace(path)


@contextmanager
def appending(path: Path) -> Iterator[Callable[[Any], None]]:
    """Writes JSON lines to the end of a file, each whole before the next. UserError if that cannot be."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab", buffering=0)  # nothing is left to be written when it is closed

    def add(data: Any) -> None:
        line = memoryview((json.dumps(data, ensure_ascii=False) + "\n").encode("utf-8", "replace"))
        with writing(path):
            while line:
                line = line[file.write(line) :]

    with file:
        yield add


def json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """(number from 1 on, content) of each line that is not blank. UserError with file and line for what is not JSON.

    Only line feeds end a line: other separators of Unicode may stand inside a text.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if line.strip():
                    yield number, _parsed(line, f"{path}:{number}", "not valid JSON")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error


def whole_lines(path: Path, mend: bool = False) -> list[Any]:
    """The JSON lines of a file, none if it is not there. A last line without its end is left out; mend: cut off too.

    UserError, naming file and line, for what is not JSON.
    """
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if mend and len(whole) < len(content):  # the run was killed while it wrote
        with path.open("r+b") as file:
            file.truncate(len(whole))
    says = "not a line of this program's log; give another folder with -o"
    return [_parsed(line, f"{path}:{number}", says) for number, line in enumerate(whole.split(b"\n")[:-1], 1)]


def _parsed(line: bytes, where: str, says: str) -> Any:
    try:
        return json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # also other encodings, numbers of 5000 digits, endless nesting
        raise UserError(f"{where}: {says} ({error})") from error
