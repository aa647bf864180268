"""Annotations of training data's form as questions: `vl3 eval jsonl FILE...` and `vl3 eval nano FOLDER`.

A sample whose questions are `independent` gives one question for each; any other is asked its last question with what
was said before. `kinds` names what each question asks for; without it a truth is compared word for word. Besides the
kinds of `vl3.eval.scorers` there are `choice` (options are lines of the question), `anls`, `regex` (the truth is a
pattern that must occur in the answer, in any case) and `judge` (a language model compares, if there is one).
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vl3.chat import Message, parts_of
from vl3.data.boxes import write_time
from vl3.data.schema import independent_turns, parse
from vl3.errors import UserError
from vl3.eval.judge import right_or_wrong
from vl3.eval.measures import anls, best, choices, short
from vl3.eval.parse import plain
from vl3.eval.scorers import score
from vl3.eval.streams import watching
from vl3.eval.task import STREAM, Item, Score, Task, Verdict, cluster_of
from vl3.eval.words import normalised
from vl3.lines import json_lines

PLAIN = "exact"
"""The kind of a question that names none."""
CHOICE, JUDGE, REGEX = "choice", "judge", "regex"
_OPTION = re.compile(r"^\s*\(?([A-Z])[).:]\s*(\S.*?)\s*$", re.M)


def jsonl(files: Sequence[Path], name: str = "jsonl") -> Task:
    """All questions of .jsonl files. UserError naming the line for one that cannot be used."""
    if len({file.stem for file in files}) < len(files):
        raise UserError("two files of one name: questions are told apart by it; rename one")
    items: list[Item] = []
    for file in files:
        if not file.is_file():
            raise UserError(f"{file}: no such file")
        for number, data in json_lines(file):
            items += _questions(data, file, number)
    return Task(name, items, scored, judged=judged)


def scored(item: Item, answer: str) -> Score:
    """By kind."""
    measures = {CHOICE: choices, "anls": anls, REGEX: matches, JUDGE: short}
    return measures.get(item.kind, score)(item, answer)


def matches(item: Item, answer: str) -> Score:
    """1 if the truth, a regular expression, occurs in what is said."""
    said = plain(answer)
    return best([Score(float(re.search(truth, said, re.I) is not None), said or None) for truth in item.truths])


def judged(item: Item, answer: str) -> Verdict | None:
    """What a judge is for, unless the words are those of the truth."""
    return right_or_wrong(item, answer) if item.kind == JUDGE and not short(item, answer).score else None


def nano(folder: Path) -> Task:
    """All .jsonl files of a folder. A picture's name is reported by file: `name_photo` for photo.jsonl."""
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise UserError(f"{folder}: no .jsonl files of held-out samples in it")
    return jsonl(files, "nano")


def _questions(data: Any, file: Path, number: int) -> list[Item]:
    """The questions of one line; a stream is one: when does the model first speak?"""
    where = f"{file}:{number}"
    sample = parse(data, where, file.parent.absolute())
    if sample.kind == "stream":
        watched, due_s = watching(sample.messages)
        return [Item(f"{file.stem}:{number}", STREAM, watched, write_time(due_s), cluster_of(watched, where))]
    asked = independent_turns(sample.messages) if sample.independent else [sample.messages]
    kinds = data.get("kinds") or [PLAIN] * len(asked)
    if not isinstance(kinds, list) or not all(isinstance(kind, str) for kind in kinds):
        raise UserError(f"{where}: `kinds` must be a list of names, not {kinds!r:.60}")
    if len(kinds) != len(asked):
        raise UserError(f"{where}: {len(asked)} questions, but `kinds` names {len(kinds)}")
    items = []
    for place, (kind, messages) in enumerate(zip(kinds, asked, strict=True)):
        *before, last = messages
        if kind == STREAM:
            raise UserError(f'{where}: the kind `stream` is for samples with "stream": true (docs/data.md)')
        if last["role"] != "assistant":
            raise UserError(f"{where}: a sample ends with the true answer")
        label = f"name_{file.stem}" if kind == "name" else kind
        id_ = f"{file.stem}:{number}.{place + 1}"
        item = Item(id_, kind, before, _words(last), cluster_of(before, f"{file.stem}:{number}"), label)
        items.append(_checked(item, where))
    return items


def _checked(item: Item, where: str) -> Item:
    """The item with its options read. UserError for a truth that can never be said."""
    if item.kind == REGEX:
        try:
            re.compile(item.truths[0])
        except re.error as error:
            raise UserError(f"{where}: {item.truths[0]!r} is not a regular expression: {error}") from error
    if item.kind != CHOICE:
        return item
    options = dict(_OPTION.findall(item.question))
    truth = item.truths[0].strip().strip("().")
    named = [letter for letter, text in options.items() if letter == truth or normalised(text) == normalised(truth)]
    if len(named) != 1:
        raise UserError(f"{where}: the truth {truth!r} is none of the options that the question lists, as in `A. dog`")
    return replace(item, truth=named[0], choices=options)


def _words(message: Message) -> str:
    return "".join(part for part in parts_of(message) if isinstance(part, str))
