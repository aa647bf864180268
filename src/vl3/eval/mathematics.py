"""Answers to problems of mathematics: found in what is said, and compared by value."""

import ast
import math
import operator
import re
from collections.abc import Callable, Sequence

from vl3.eval.choices import choice
from vl3.eval.parse import numbers, plain
from vl3.eval.task import Item, Score
from vl3.eval.words import edit_distance, normalised

_ANNOUNCED = re.compile(r"(?:final answer|correct answer|answer|答案)\s*(?:is|should be|:|=|是|为)+\s*", re.I)

_CONCLUDED = re.compile(
    r"(?:\b(?:is|are|equals?|be)\b|=|≈|\\approx)(?:\s+(?:approximately|about|equal to|exactly|only))*\s*"
)
_CONCLUSION = 200
"""Characters at the end of an answer in which a result is looked for that nothing announces."""


def stated(answer: str) -> str:
    """The part of an answer that states the result: what is boxed, what follows `the answer is`, the value that it
    ends with, or all of it."""
    boxed = _boxed(answer)
    if boxed is not None:
        return boxed.strip().rstrip(".")
    text = plain(answer)
    parts = _ANNOUNCED.split(text)
    if len(parts) > 1:
        return re.split(r"\n|\.\s", parts[-1])[0].strip().rstrip(".").strip()
    whole = text.strip().rstrip(".")
    concluded = _CONCLUDED.split(whole[-_CONCLUSION:])
    return concluded[-1] if len(concluded) > 1 and value(concluded[-1]) is not None else whole


def _boxed(text: str) -> str | None:
    """The content of the last \\boxed{...}, with its braces balanced."""
    start = text.rfind("oxed{")
    if start < 0:
        return None
    depth, begin = 1, start + len("oxed{")
    for place in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[begin:place]
    return text[begin:]


# ----------------------------------------------------------------------------------------------- values of formulas

_REWRITE: Sequence[tuple[str, str]] = (
    (r"\\(?:left|right|displaystyle|,|!|;|:| |quad|qquad)", ""),
    (r"\\(?:text|mathrm|mathbf|mbox|operatorname)\s*\{[^{}]*\}", ""),
    (r"\\[dt]frac", r"\\frac"),
    (r"\\frac\s*(\d)\s*(\d)", r"((\1)/(\2))"),
    (r"\\sqrt\s*\[\s*([^\[\]{}]+)\s*\]\s*\{([^{}]*)\}", r"((\2)**(1/(\1)))"),
    (r"\\sqrt\s*\{([^{}]*)\}", r"((\1)**0.5)"),
    (r"\\sqrt\s*(\d+)", r"((\1)**0.5)"),
    (r"\\frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"((\1)/(\2))"),
    (r"\^\s*\{([^{}]*)\}", r"**(\1)"),
)
_SYMBOLS = {
    "\\cdot": "*",
    "\\times": "*",
    "\\div": "/",
    "\\pi": "pi",
    "π": "pi",
    "√": "sqrt",
    "\u2212": "-",
    "\u00d7": "*",
    "÷": "/",
}
_DROPPED = re.compile(r"\^\s*\{?\s*\\circ\s*\}?|\\circ|\\degree|\\%|\\\$|[°$%]")
_UNIT = re.compile(
    r"(?<=[\d)])\s*(?!(?:hundreds?|thousands?|millions?|billions?|dozens?|or|and|to|if|times)\b|sqrt|pi)"
    r"(?:(?:square|cubic)\s+)?(?:[a-z]{2,}|(?<=\s)[a-z]{2,}|[mgshlnjwv])(?:/[a-z]+)?(?:\*\*\(?\d\)?|\^?\d)?\s*$",
    re.I,
)
"""One word behind a number, such as `cm`, `km/h`, `square units` or `apples`."""
_ABOUT = re.compile(r"^(?:approximately|about|around|roughly|exactly|nearly|~|≈|\\approx|\\sim)\s*", re.I)
_MIXED = re.compile(r"^(-?)(\d+)(?:\s+(\d+)\s*/\s*(\d+)|\s*\\[dt]?frac\s*\{?(\d+)\}?\s*\{?(\d+)\}?)$")
"""A whole number and a fraction: `1 1/2`."""
_LARGEST = 1e15
_EXPONENT = 64.0


def value(formula: str) -> float | None:
    """The number that a short formula is, in LaTeX or plain: `\\frac{3}{4}`, `2\\sqrt{5}`, `3pi/2`; else None."""
    if len(formula) > 200:
        return None
    text = formula.strip()
    if "=" in text:
        text = text.rsplit("=", 1)[1].strip()
    text = _ABOUT.sub("", text)
    if mixed := _MIXED.match(text):
        sign, whole, *parts = mixed.groups()
        top, bottom = (int(part) for part in parts if part)
        return (-1 if sign else 1) * (int(whole) + top / bottom) if bottom else None
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    for symbol, put in _SYMBOLS.items():
        text = text.replace(symbol, put)
    text = _DROPPED.sub("", text)
    while True:
        before = text
        for pattern, put in _REWRITE:
            text = re.sub(pattern, put, text)
        if text == before:
            break
    text = _UNIT.sub("", text)
    text = (
        re.sub(r"sqrt\s*\(?(\d+(?:\.\d+)?)\)?", r"((\1)**0.5)", text)
        .replace("^", "**")
        .replace("{", "(")
        .replace("}", ")")
    )
    text = re.sub(r"(?<=[\d)i])\s*(?=[(p])", "*", text).replace("p*i", "pi")
    text = re.sub(r"\)\s*(?=\d)", ")*", text)
    return _number(text)


def _number(text: str) -> float | None:
    """The value of an arithmetic expression; nothing but numbers, pi and + - * / ** is evaluated."""
    try:
        found = _evaluate(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError):
        return None
    return found if math.isfinite(found) else None


_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def _evaluate(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return float(number)
        case ast.Name(id="pi"):
            return math.pi
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_evaluate(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _evaluate(operand)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            base, exponent = _evaluate(left), _evaluate(right)
            if abs(exponent) > _EXPONENT or abs(base) > _LARGEST or (base < 0 and exponent != int(exponent)):
                raise ValueError("out of bounds")
            return float(base**exponent)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_evaluate(left), _evaluate(right))
        case _:
            raise ValueError("not arithmetic")


def _compact(text: str) -> str:
    """Without spaces and sizes of brackets; a number word as its number; of `y=2x+1` the right side."""
    text = re.sub(r"\\(?:left|right)(?![a-z])", "", "".join(text.lower().split()))
    return re.sub(r"^[a-z](?:\([a-z]\))?=", "", normalised(text) if text.isalpha() else text)


def equal(said: str, true: str) -> bool:
    """Whether two results are the same in words or, to two decimals, in value; tuples part by part."""
    a, b = (_compact(text) for text in (said, true))
    if not a or not b:
        return False
    if a == b:
        return True
    first, second = value(said) if not a.isdecimal() else float(a), value(true)
    if first is not None and second is not None:
        return round(first, 2) == round(second, 2)
    parts = [text[1:-1].split(",") if text[0] + text[-1] in ("()", "[]") else [] for text in (a, b)]
    return (
        len(parts[0]) == len(parts[1]) > 1
        and (a[0], a[-1]) == (b[0], b[-1])
        and all(equal(*pair) for pair in zip(*parts, strict=True))
    )


def problem(item: Item, answer: str) -> Score:
    """MathVision's rule: the right letter, or a result that equals the truth or the true option's text.

    https://github.com/mathllm/MATH-V/blob/main/evaluation/evaluate.py
    """
    said = stated(answer)
    if item.choices:
        letter = choice(answer, item.choices)
        if letter is not None:
            return Score(float(letter in item.truths), letter)
    true = [*item.truths, *(item.choices[truth] for truth in item.truths if truth in item.choices)]
    return Score(float(any(equal(said, truth) for truth in true)), said or None)


# ------------------------------------------------------------------------------------------------------- MathVista


def vista(item: Item, answer: str) -> Score:
    """MathVista's rule, by what the answer must be: an option (else one that is spelt half alike), a number to the
    given decimals, or a list, word for word. The result is found by rules instead of by a language model.

    https://github.com/lupantech/MathVista/blob/main/evaluation/calculate_score.py
    """
    said = vista_result(item, stated(answer), answer)
    return Score(float(said is not None and said in item.truths), said)


def vista_result(item: Item, found: str, answer: str) -> str | None:
    """A result in the form in which MathVista's truths are written."""
    if item.choices:
        letter = choice(answer, item.choices)
        if letter is not None:
            return item.choices[letter]
        if not found or len(found) > 200:
            return None
        nearest = min(item.choices.values(), key=lambda text: edit_distance(found, text))
        return nearest if edit_distance(found, nearest) <= max(len(found), len(nearest)) / 2 else None
    kind, digits = item.facts["answer_type"], int(item.facts.get("precision") or 0)
    if kind == "list":
        lists = re.findall(r"\[[^\[\]]*\]", found)
        if lists:
            return str(lists[-1])
        return str([int(n) if n == int(n) else n for n in numbers(found)]) if numbers(found) else None
    number = _number(found)
    said = [number] if number is not None else numbers(found)
    if not said:
        return None
    return str(int(said[-1])) if kind == "integer" else str(round(said[-1], digits))
