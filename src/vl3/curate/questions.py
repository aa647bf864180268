"""Questions and answers about a video, written by a language model from what its dense caption says."""

import json
import re
from typing import Any

from vl3.curate.dense import Dense, span
from vl3.errors import UserError

PROMPT = """\
These are notes of what happens in a video, with times in seconds:
{notes}

Write {number} different questions that somebody who watches the video could be asked, each with its answer: about \
what is there, who does what, where, how things look, why, in which order. Every answer must follow from the notes \
alone and be one short sentence. Do not mention the notes. Write only a JSON list: \
[{"question": "...", "answer": "..."}, ...]"""
_TELLTALES = re.compile(r"\b(notes?|captions?|descriptions?|transcripts?)\b", re.IGNORECASE)
_LIST = re.compile(r"\[.*\]", re.DOTALL)


def prompt_for(one: Dense, number: int, wording: str = "") -> str:
    """What the model is asked; {notes} and {number} in a wording of one's own are filled in."""
    notes = "\n".join(f"{span(event)}: {event.text}" for event in one.events)
    return (wording or PROMPT).replace("{notes}", notes).replace("{number}", str(number))


def parse_questions(text: str) -> list[tuple[str, str]]:
    """(question, answer) pairs of a model's answer, whatever it says around the list; those that mention what they were
    made from, are empty or are asked twice are left out. UserError if there is no list of such, or nothing is left."""
    found = _LIST.search(text)
    try:
        data: Any = json.loads(found[0]) if found else None
    except ValueError:
        data = None
    if not isinstance(data, list):
        raise UserError("no JSON list")
    pairs: dict[str, tuple[str, str]] = {}
    for item in data:
        question, answer = (item.get(key) for key in ("question", "answer")) if isinstance(item, dict) else (None, None)
        if not (isinstance(question, str) and isinstance(answer, str) and question.strip() and answer.strip()):
            continue
        if not _TELLTALES.search(f"{question} {answer}"):
            pairs.setdefault(question.strip().lower(), (question.strip(), answer.strip()))
    if not pairs:
        raise UserError("no question with an answer")
    return list(pairs.values())
