"""Files of JSON lines that grow while work goes on, and may end in half a line when it was killed."""

import json
from pathlib import Path
from typing import Any

from vl3.errors import UserError


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
    lines = whole.decode("utf-8").split("\n")[:-1]
    return [_parsed(line, f"{path}:{number}") for number, line in enumerate(lines, 1)]


def _parsed(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: not a line of this program's log; give another folder with -o") from error
