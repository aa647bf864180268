"""Questions about real photographs and clips that ship inside other people's packages: `vl3 eval photos`.

`photos.jsonl` has one question a line: `media` (relative to the folder that recipes/nano/data/real.py makes),
`question`, `answers` (all that are accepted) and `kind`. Written by hand, looking at the pictures.
"""

import json
import re
from pathlib import Path

from vl3.errors import UserError
from vl3.eval.scorers import first_yes_no
from vl3.eval.task import Item, Score, Task
from vl3.eval.words import contains, normalised, words

QUESTIONS = Path(__file__).with_name("photos.jsonl")
VIDEO = {".mp4", ".avi", ".gif"}

_COLOURS = """black white grey silver red orange yellow gold green blue purple violet pink brown beige cream peach
    turquoise teal navy magenta maroon""".split()
_SIDES = ["left", "right", "above", "below", "under", "top", "bottom", "middle", "centre"]
_CLOSED = {"colour": set(_COLOURS), "position": set(_SIDES)}
_HEDGES = {"not", "no", "never", "neither", "nor", "or", "cannot", "unknown"}
MOST_WORDS = 20
"""A longer answer is a description in which anything can be found."""


def photos(folder: Path) -> Task:
    """The task, with media in `folder`. UserError when they are not there."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; `python -m recipes.nano.data.real {folder}` fetches its media")
    items = []
    for number, line in enumerate(QUESTIONS.read_text(encoding="utf-8").splitlines(), 1):
        data = json.loads(line)
        kind = "video" if Path(data["media"]).suffix in VIDEO else "image"
        content = [
            {"type": kind, kind: str((folder / data["media"]).absolute())},
            {"type": "text", "text": data["question"]},
        ]
        messages = [{"role": "user", "content": content}]
        items.append(Item(f"photos:{number}", data["kind"], messages, data["answers"], data["media"]))
    return Task("photos", items, accepted)


def accepted(item: Item, answer: str) -> Score:
    """1 if the answer is an accepted one, or says one in whole words without also saying something else.

    Yes or no must be the first word. Otherwise nothing may be denied or left open ("not", "or"), an answer has 20 words
    at most, and a colour, a side or a number that no accepted answer has makes it wrong.
    """
    if item.kind == "yes_no":
        found = first_yes_no(answer)
        return Score(float(found in item.truths), found)
    said = normalised(answer)
    if said in {normalised(truth) for truth in item.truths}:
        return Score(1.0, said)
    fits = any(contains(answer, truth) for truth in item.truths) and not _doubtful(item, words(answer))
    return Score(float(fits), said or None)


def _doubtful(item: Item, said: list[str]) -> bool:
    allowed = {word for truth in item.truths for word in words(truth)}
    others = set(said) - allowed
    if item.kind == "count" and any(re.fullmatch(r"-?[\d.]+", word) for word in others):
        return True
    denied = bool(others & _HEDGES) or any(word.endswith("n't") for word in others)
    return denied or bool(others & _CLOSED.get(item.kind, set())) or len(said) > MOST_WORDS
