"""How an answer is scored, by what was asked (docs/evaluation.md has the table).

A scorer takes the raw answer and one true answer, and reads the form of the truth: a span or a moment, one word or a
list. What cannot be understood scores 0.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence

from vl3.eval.task import Item, Score
from vl3.eval.words import content_words, edit_distance, normalised, tidy, words

Scorer = Callable[[str, str], Score]

MOMENT_TOLERANCE_S = 0.5
"""How far a moment may be off."""
STREAM_TOLERANCE_S = 1.0
"""How early or late the first word about a stream may be: one frame, at one frame a second."""
BOX_IOU = 0.5
"""Overlap from which a box counts as found."""
ANLS_THRESHOLD = 0.5
"""Similarity below which ANLS is 0 (https://arxiv.org/abs/1905.13648)."""


def exact(answer: str, truth: str) -> Score:
    """Equal but for case, articles, punctuation, and numbers as words or digits."""
    parsed = normalised(answer)
    return Score(float(bool(parsed) and parsed == normalised(truth)), parsed or None)


def number(answer: str, truth: str) -> Score:
    """As `exact`; also `relaxed`: a number at most 5 % off (https://arxiv.org/abs/2203.10244)."""
    strict = exact(answer, truth)
    said, true = _only_number(answer), _only_number(truth)
    if true is None:
        return strict
    close = said is not None and abs(said - true) <= 0.05 * abs(true)
    return Score(strict.score, strict.parsed, {"relaxed": float(close or strict.score == 1)})


def text(answer: str, truth: str) -> Score:
    """The very characters, but for case and spaces; also `anls`, which forgives slips of reading."""
    said, true = tidy(answer), tidy(truth)
    similar = 1 - edit_distance(said, true) / max(len(said), len(true), 1)
    anls = similar if said and similar >= ANLS_THRESHOLD else 0.0
    return Score(float(bool(said) and said == true), said or None, {"anls": anls})


def yes_no(answer: str, truth: str) -> Score:
    """The first word, which must be yes or no."""
    said = first_yes_no(answer)
    return Score(float(said is not None and said == first_yes_no(truth)), said)


def first_yes_no(answer: str) -> str | None:
    """`yes` or `no` if that is the first word."""
    match = re.match(r"\W*(yes|no)\b", answer.casefold())
    return match[1] if match else None


def box(answer: str, truth: str) -> Score:
    """The first box said overlaps the true one by half at least; also `iou` itself. A truth of words: `exact`."""
    said, true = _box(answer), _box(truth)
    if true is None:  # what is in the box?
        return exact(answer, truth)
    overlap = 0.0 if said is None else box_iou(said, true)
    return Score(float(overlap >= BOX_IOU), said, {"iou": overlap})


def box_iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes (x1, y1, x2, y2)."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    either = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return both / either if either > 0 else 0.0


def when(answer: str, truth: str) -> Score:
    """A span scores its temporal IoU with the true one, a moment 1 within half a second. A truth of words: `exact`."""
    said, true = _seconds(answer), _seconds(truth)
    if not true:
        return exact(answer, truth)
    if len(true) == 1:
        return Score(float(len(said) == 1 and abs(said[0] - true[0]) <= MOMENT_TOLERANCE_S + 1e-9), said or None)
    overlap = span_iou(said, true) if len(said) >= 2 else 0.0
    return Score(overlap, said or None, {"iou_0.5": float(overlap >= 0.5)})


def span_iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two spans of time."""
    both = max(min(a[1], b[1]) - max(a[0], b[0]), 0.0)
    either = (a[1] - a[0]) + (b[1] - b[0]) - both
    return both / either if either > 0 and a[1] >= a[0] else 0.0


def stream(answer: str, truth: str) -> Score:
    """1 if the first word came within a second of when it was due."""
    said = _seconds(answer)
    return Score(float(len(said) == 1 and abs(said[0] - float(truth)) <= STREAM_TOLERANCE_S + 1e-9), said or None)


def order(answer: str, truth: str) -> Score:
    """The same things one after the other."""
    said = things(answer)
    return Score(float(bool(said) and said == things(truth)), said or None)


def several(answer: str, truth: str) -> Score:
    """The same things in any order, each as often; also `f1` of the things."""
    said, true = things(answer), things(truth)
    return Score(float(bool(said) and sorted(said) == sorted(true)), said or None, {"f1": _f1(said, true)})


_NUMBERING = re.compile(r"^\s*(?:first|second|third|next|finally|last|[-*•]|\d+[.)])\s+")


def things(answer: str) -> list[str]:
    """The parts of an enumeration, normalised."""
    parts = re.split(r"\s*(?:[,;\n]|->|→|\band\b|\bthen\b)\s*", answer.casefold())
    bare = (normalised(_NUMBERING.sub("", part)) for part in parts)
    return [part for part in bare if part]


def caption(answer: str, truth: str) -> Score:
    """F1 of the words; also `recall`: the share of the truth's content words that are said."""
    wanted = content_words(truth)
    recall = len(wanted & content_words(answer)) / len(wanted) if wanted else 0.0
    return Score(_f1(words(answer), words(truth)), tidy(answer) or None, {"recall": recall})


SCORERS: dict[str, Scorer] = {
    "yes_no": yes_no,
    "list": several,
    "caption": caption,
    "read": text,
    "key_value": text,
    "table": text,
    "chart_value": number,
    "box": box,
    "order": order,
    "when": when,
    "stream": stream,
    "video_caption": caption,
    "text": caption,
}
"""By kind; every other kind has a closed vocabulary and is scored `exact`."""


def score(item: Item, answer: str) -> Score:
    """The best score over the accepted answers."""
    scorer = SCORERS.get(item.kind, exact)
    return max(
        (scorer(answer, truth) for truth in item.truths), key=lambda found: (found.score, sum(found.also.values()))
    )


def _f1(said: Sequence[str], true: Sequence[str]) -> float:
    common = sum((Counter(said) & Counter(true)).values())
    return 2 * common / (len(said) + len(true)) if common else 0.0


_NUMBER = r"-?\d+(?:\.\d+)?"


def _only_number(answer: str) -> float | None:
    """The number of an answer that has just one."""
    found = re.findall(_NUMBER, normalised(answer).replace(",", ""))
    return float(found[0]) if len(found) == 1 else None


def _box(answer: str) -> list[float] | None:
    match = re.search(rf"[\[(]\s*({_NUMBER})\s*,\s*({_NUMBER})\s*,\s*({_NUMBER})\s*,\s*({_NUMBER})\s*[\])]", answer)
    if match is None:
        return None
    x1, y1, x2, y2 = map(float, match.groups())
    return [x1, y1, x2, y2] if x1 <= x2 and y1 <= y2 else None


def _seconds(answer: str) -> list[float]:
    """The times said: one is a moment, the first two are a span."""
    return [float(found) for found in re.findall(r"\d+(?:\.\d+)?", answer)][:2]
