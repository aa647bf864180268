"""events: makes a row of each event of a dense caption, a list of what happens when, which stands in a video's text.

`[{"start_s": 0, "end_s": 2.5, "text": "A dog runs."}, ...]`, or `{"timestamps": [[0, 2.5], ...], "sentences": ["A dog
runs.", ...]}` as ActivityNet Captions has them.
"""

import json
from typing import Any

from vl3.config import configclass
from vl3.curate.dense import dense, parse_events
from vl3.curate.step import Found, Rows, RowStep, plain
from vl3.errors import UserError


@configclass
class EventsConfig:
    """Nothing to set."""


def events_step(_config: EventsConfig) -> RowStep:
    """Writes `start_s`, `end_s` and `text`; drops videos without a dense caption."""
    outputs = {"start_s": "float64", "end_s": "float64", "text": "string"}
    return RowStep(("text",), outputs, plain(split), only="video")  # type: ignore[arg-type]


def split(rows: Rows) -> Found:
    """A row for each event, in the order of their start."""
    found: Rows = {"start_s": [], "end_s": [], "text": []}
    parents: list[int] = []
    reasons: list[str | None] = []
    for number, text in enumerate(rows["text"]):
        try:
            events = dense(rows["id"][number], parse_events(_plain(text), "text")).events
        except UserError as error:
            _add(found, None, None, text)
            reasons.append(f"no dense caption: {error}")
            parents.append(number)
            continue
        for event in events:
            _add(found, event.start_s, event.end_s, event.text)
            reasons.append(None)
            parents.append(number)
    return Found(found, reasons, parents, childless="no dense caption")


def _add(found: Rows, *values: Any) -> None:
    for column, value in zip(found.values(), values, strict=True):
        column.append(value)


def _plain(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except ValueError:
        return None
