"""What an answer in free words says: yes or no, numbers, spans of time (`vl3.eval.choices`: an option's letter).

By rules that look for what is asserted and give None rather than a guess: an answer that refuses or leaves it open
scores 0, and the log shows that nothing was understood.
"""

import json
import re
import unicodedata
from collections.abc import Sequence

_WRAPPERS = [
    (re.compile(r"<think>.*?(?:</think>|$)", re.S | re.I), " "),
    (re.compile(r"</?(?:(?i:answer|final_answer|final|response|option|choice|strong|p|br)|b)\s*/?>"), " "),
    (re.compile(r"\\(?:boxed|fbox|text|mathrm|mathbf|textbf|mbox)\s*\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\\[()\[\]]|\$"), " "),
    (re.compile(r"```(?:json|text)?|\*\*|__|`"), ""),
    (re.compile(r"^[ \t]*#+[ \t]*", re.M), ""),
]
_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d\u300c\u300d\u3010\u3011\u3001\u3002", '\'\'""""[],.')
_ANSWER_KEYS = ("answer", "final_answer", "final answer", "choice", "option", "correct_answer", "prediction", "result")
_KEY_AND_VALUE = re.compile(r"['\"](?:final_)?(?:answer|choice|option)['\"]\s*:\s*['\"]?([^'\",}]+)", re.I)


_FRACTION = re.compile("[\u00bc-\u00be\u2150-\u215e]")
"""Fractions that are one character."""

LONGEST = 20_000
"""Characters of an answer that are read, from its end: longer ones repeat themselves."""


def plain(answer: str) -> str:
    """The words of an answer without reasoning tags, Markdown, LaTeX boxes or JSON around them, in plain letters."""
    answer = answer[-LONGEST:]
    boxed = re.findall(r"\\boxed\s*\{([^{}]+)\}", answer)
    tagged = re.findall(r"<answer>(.*?)</answer>", answer, re.S | re.I)
    text = tagged[-1] if tagged else boxed[-1] if boxed else answer
    text = _FRACTION.sub(lambda match: " " + unicodedata.normalize("NFKC", match[0]).replace("\u2044", "/"), text)
    text = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    for pattern, put in _WRAPPERS:
        while (shorter := pattern.sub(put, text)) != text:
            text = shorter
    return _of_json(text.strip())


def _of_json(text: str) -> str:
    """The answer inside a JSON value; the text itself if it is none."""
    if text[:1] not in ("{", "["):
        return text
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        match = _KEY_AND_VALUE.search(text)
        return match[1].strip() if match else text
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    if isinstance(data, dict):
        known = {str(key).casefold(): value for key, value in data.items()}
        data = next((known[key] for key in _ANSWER_KEYS if key in known), data)
    if isinstance(data, bool):
        return "yes" if data else "no"
    return str(data) if isinstance(data, str | int | float) else text


# ------------------------------------------------------------------------------------------------------- yes and no

_YES = set("yes y yea yeah yep yup true correct oui sí si ja да 是 是的 对 对的 正确 有 有的 はい 예 네".split())
_NO = set("no n nah nope false incorrect non nein нет 否 不是 不 不对 错误 没有 いいえ 아니요".split())
_STATED = re.compile(
    r"(?:answer|conclusion|response|答案)\s*(?:is|would be|should be|是|为)?\s*[:=\"'(\[]*\s*(yes|no|是|否)\b"
)


def yes_or_no(answer: str) -> str | None:
    """`yes` or `no`: the first word, else what is stated to be the answer, else the only one of the two words."""
    text = plain(answer).casefold()
    if re.fullmatch(r"\W*n/a\W*", text):
        return None
    first = re.match(r"[\W_]*([^\W\d_]+)", text)
    if first and first[1] in _YES | _NO:
        said = "yes" if first[1] in _YES else "no"
        then = re.match(r"\s*(?:[,.;/]|or|and|but)?\s*(?:(?:or|but)\s+)?(yes|no)\b(?!\s+\w)", text[first.end() :])
        return None if then and then[1] != said else said
    stated = _STATED.findall(text)
    if stated:
        return "yes" if stated[-1] in _YES else "no"
    if re.search(r"(?:\b(?:not|cannot)\b|n't\b)[^.,;\n]{0,60}\b(?:yes|no)\b", text):
        return None
    words = set(re.findall(r"\b(?:yes|no)\b(?!\s+(?:one|more|longer|other|doubt|sign|visible)\b)", text))
    return words.pop() if len(words) == 1 else None


# --------------------------------------------------------------------------------------------------------- numbers

_NUMBER = re.compile(r"(?<![\w.])[-+\u2212]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w]*\d)")


def numbers(text: str) -> list[float]:
    """All numbers in a text, in order; 1,234 is one."""
    found = (match[0].replace(",", "").replace("\u2212", "-") for match in _NUMBER.finditer(text))
    return [float(number) for number in found if re.search(r"\d", number)]


# --------------------------------------------------------------------------------------------------- spans of time

_CLOCK = r"(?:\d{1,3}:)?\d{1,5}:\d{1,5}(?:\.\d{1,9})?|\d{1,9}(?:\.\d{1,9})?|(?<![\d.])\.\d{1,9}"
_BETWEEN = r"\s*(?:s|sec|secs|seconds?|秒)?\s*(?:-|\u2013|\u2014|~|to|until|till|through|and|到|至)\s*"
_SPAN = re.compile(rf"({_CLOCK}){_BETWEEN}({_CLOCK})", re.I)


_DURATION = re.compile(
    r"(?:(\d{1,3})\s*(?:h|hours?|hrs?|小时)\s*)?(\d{1,5}(?:\.\d{1,9})?)\s*(?:m|mins?|minutes?|分钟?)(?![A-Za-z])"
    r"(?:\s*(?:and\s+)?(\d{1,5}(?:\.\d{1,9})?)\s*(?:s|secs?|seconds?|秒)(?![A-Za-z]))?",
    re.I,
)
"""`1 h 2 min 3.5 s`, of which the minutes must be there."""


def spans(answer: str) -> list[tuple[float, float]]:
    """Spans of time in seconds, each (begin, end): `from 3.2 to 8`, `0:05 - 0:12`; else its numbers in pairs."""
    text = _DURATION.sub(lambda match: f"{_seconds(':'.join(part or '0' for part in match.groups()))}s", plain(answer))
    found = _SPAN.findall(text)
    if not found:
        times = re.findall(_CLOCK, text)
        times = times[len(times) % 2 :]
        found = list(zip(times[::2], times[1::2], strict=True))
    return [(min(pair), max(pair)) for pair in ((_seconds(begin), _seconds(end)) for begin, end in found)]


def _seconds(clock: str) -> float:
    """`83.5` or `1:23.5` or `0:01:23.5`."""
    total = 0.0
    for part in clock.split(":"):
        total = 60 * total + float(part)
    return total


def spans_iou(said: Sequence[tuple[float, float]], true: tuple[float, float]) -> float:
    """Overlap of the union of spans with one span. Several spans that overlap each other are not counted twice."""
    merged: list[list[float]] = []
    for begin, end in sorted(said):
        if merged and begin <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([begin, end])
    both = sum(max(0.0, min(end, true[1]) - max(begin, true[0])) for begin, end in merged)
    either = sum(end - begin for begin, end in merged) + true[1] - true[0] - both
    return both / either if either > 0 else 0.0
