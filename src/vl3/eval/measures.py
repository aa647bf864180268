"""The measures of published benchmarks, each a function of an item and a raw answer.

They keep to the definitions of the benchmarks' authors (cited at each), except that an answer that is not understood is
wrong where some of them draw an option at random.
"""

import re
import string
from collections.abc import Callable

from vl3.eval.choices import choice
from vl3.eval.parse import numbers, plain, spans, spans_iou, yes_or_no
from vl3.eval.task import Item, Score
from vl3.eval.words import edit_distance

Measure = Callable[[Item, str], Score]


def best(scores: list[Score]) -> Score:
    """The best of the scores against each accepted answer; the first of equals. Nothing is worth 0."""
    return max(scores, key=lambda found: found.score, default=Score(0.0, None))


def choices(item: Item, answer: str) -> Score:
    """1 for the letter of the right option, however it is worded (`vl3.eval.parse`)."""
    said = choice(answer, item.choices)
    return Score(float(said is not None and said in item.truths), said)


def yes_no(item: Item, answer: str) -> Score:
    """1 for the right one of yes and no."""
    said = yes_or_no(answer)
    return Score(float(said is not None and said in [truth.casefold().strip(" .") for truth in item.truths]), said)


def relaxed(item: Item, answer: str) -> Score:
    """ChartQA's relaxed accuracy: a number at most 5 % off, any other answer word for word.

    A percentage is a number of hundredths, as in the usual implementations. https://arxiv.org/abs/2203.10244
    """
    said = answer.strip()
    return best([Score(float(_relaxed(said, truth)), said or None) for truth in item.truths])


def _relaxed(said: str, truth: str) -> bool:
    value, true = _percentage(said), _percentage(truth)
    if value is not None and true:
        return abs(value - true) <= 0.05 * abs(true)
    return said.casefold() == truth.casefold()


def _percentage(text: str) -> float | None:
    """The number that a text is; `12%` is 0.12."""
    try:
        return float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return None


def anls(item: Item, answer: str) -> Score:
    """Average normalised Levenshtein similarity, 0 below 0.5; the best of the accepted answers counts.

    https://arxiv.org/abs/1907.00490; case and repeated spaces do not matter.
    """
    said = " ".join(answer.casefold().split())
    found = []
    for truth in item.truths:
        true = " ".join(truth.casefold().split())
        length = max(len(said), len(true))
        similar = 1 - edit_distance(said, true) / length if length else 1.0
        found.append(Score(similar if similar >= 0.5 else 0.0, said or None))
    return best(found)


def says(item: Item, answer: str) -> Score:
    """OCRBench: 1 if an accepted answer occurs in what is said, in any case; line breaks are spaces.

    Formulas (`facts["spaces"]` false) are compared without spaces and with their case. Full-width characters are as
    their plain twins. https://arxiv.org/abs/2305.07895
    """
    fold: Callable[[str], str] = _folded if item.facts.get("spaces", True) else _unspaced
    said = fold(answer)
    return Score(float(any(fold(truth) in said for truth in item.truths)), said or None)


_HALF_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}


def _folded(text: str) -> str:
    return text.translate(_HALF_WIDTH).lower().strip().replace("\n", " ")


def _unspaced(text: str) -> str:
    return text.strip().replace("\n", " ").replace(" ", "")


_PUNCTUATION = str.maketrans("", "", string.punctuation)


def same(item: Item, answer: str) -> Score:
    """1 for the same words but for case and punctuation: GQA's accuracy. https://arxiv.org/abs/1902.09506"""
    said = answer.lower().translate(_PUNCTUATION).strip()
    true = [truth.lower().translate(_PUNCTUATION).strip() for truth in item.truths]
    return Score(float(bool(said) and said in true), said or None)


def grounding(item: Item, answer: str) -> Score:
    """Temporal IoU; also recall at 0.3, 0.5 and 0.7. The truth is `begin end` in seconds. arXiv 1705.02101"""
    begin, end = numbers(item.truths[0])
    said = spans(answer)
    iou = spans_iou(said, (begin, end))
    recall = {f"R@{share}": float(iou >= share) for share in (0.3, 0.5, 0.7)}
    return Score(iou, said or None, recall)


# --------------------------------------------------------------------------------------------------- open questions

_KEYS = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")


def open_answer(item: Item, answer: str) -> Score:
    """MMMU's rule for open questions: a true number among those said, or a true phrase within what is said.

    What is said is, of each sentence, what follows the last of the words that announce a result.
    https://github.com/MMMU-Benchmark/MMMU/blob/main/mmmu/utils/eval_utils.py
    """
    said = _candidates(answer)
    for truth in item.truths:
        for true in _comparable(truth):
            for part in said:
                if (isinstance(part, str) and isinstance(true, str) and true in part) or part == true:
                    return Score(1.0, part)
    return Score(0.0, said[0] if said else None)


def _candidates(answer: str) -> list[str | float]:
    text = answer.strip().strip(".").lower()
    parts = re.split(r"\n", text)
    keys: list[str] = []
    for place, part in enumerate(parts):
        announcing = _KEYS + (("=",) if place == len(parts) - 1 else ())
        tails = [part.split(key)[-1].strip() for key in announcing if key in part]
        shortest = min((tail for tail in tails), key=len, default="")
        if shortest and shortest not in ":,.!?;'":
            keys.append(shortest)
    keys = keys or [text]
    found = [*keys, *(number for key in keys for number in _numerals(key))]
    return list(dict.fromkeys(value for part in found for value in _comparable(part)))


_NUMERALS = [
    r"-?\b\d{1,3}(?:,\d{3})+\b",
    r"-?\d+(?:\.\d+)?[eE][+-]?\d+",
    r"-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])",
]


def _numerals(text: str) -> list[str]:
    return [number for pattern in _NUMERALS for number in re.findall(pattern, text)]


def _comparable(text: str) -> list[str | float]:
    """A number to two decimals; else the text, a single character only where a space is beside it."""
    text = text.strip()
    try:
        return [round(float(text.replace(",", "")), 2)]
    except ValueError:
        lowered = text.lower()
        return [f" {lowered}", f"{lowered} "] if len(lowered) == 1 else [lowered]


def short(item: Item, answer: str) -> Score:
    """1 for an accepted answer in plain words: case, punctuation and wrappings such as Markdown or JSON aside."""
    said = plain(answer).lower().translate(_PUNCTUATION).strip()
    true = [truth.lower().translate(_PUNCTUATION).strip() for truth in item.truths]
    return Score(float(bool(said) and said in true), said or None)
