"""The benchmarks' measures against brute force, on 200 random and adversarial answers each."""

import math
import random
from functools import cache

import pytest

from vl3.eval.mathematics import equal, value, vista
from vl3.eval.measures import anls, choices, grounding, relaxed, says, yes_no
from vl3.eval.parse import spans, spans_iou
from vl3.eval.task import Item

ALPHABET = "ab1. "


def item(truth: str | list[str], **more: object) -> Item:
    return Item("1", "k", [{"role": "user", "content": "?"}], truth, "c", **more)  # type: ignore[arg-type]


def word(rng: random.Random, most: int) -> str:
    return "".join(rng.choices(ALPHABET, k=rng.randrange(most)))


def distance(a: str, b: str) -> int:
    """The definition of the Levenshtein distance, word for word."""

    @cache
    def between(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        return min(between(i - 1, j) + 1, between(i, j - 1) + 1, between(i - 1, j - 1) + (a[i - 1] != b[j - 1]))

    return between(len(a), len(b))


def test_anls() -> None:
    rng = random.Random(0)
    for _ in range(200):
        said, truths = word(rng, 9), [word(rng, 9) or "a" for _ in range(2)]
        tidy = [" ".join(text.split()) for text in (said, *truths)]
        shares = [
            distance(tidy[0], true) / max(len(tidy[0]), len(true)) if tidy[0] or true else 0.0 for true in tidy[1:]
        ]
        best = 1 - min(shares)
        assert anls(item(truths), said).score == pytest.approx(best if best >= 0.5 else 0.0), (said, truths)


def test_relaxed_accuracy() -> None:
    rng = random.Random(1)
    for _ in range(200):
        true = rng.choice([rng.uniform(-100, 100), float(rng.randrange(1, 50))])
        factor = rng.choice([1, 1.049, 0.951, 1.051, 0.949, -1, 0])
        said = true * factor
        assert relaxed(item(repr(true)), repr(said)).score == float(0.94999 < factor < 1.05001)
    for said, true, right in (
        ("0", "0", 1),
        ("0.0", "0", 0),
        ("50%", "0.5", 1),
        ("50", "50%", 0),
        ("YES", "Yes", 1),
        ("", "1", 0),
    ):
        assert relaxed(item(true), said).score == right, (said, true)


def test_temporal_iou_of_several_spans_on_a_fine_grid() -> None:
    rng = random.Random(2)
    for _ in range(200):
        said = [tuple(sorted((rng.randrange(0, 400), rng.randrange(0, 400)))) for _ in range(rng.randrange(1, 4))]
        begin = rng.randrange(0, 300)
        true = (begin, begin + rng.randrange(1, 100))
        ticks = {tick for first, last in said for tick in range(first, last)}
        wanted = set(range(*true))
        expected = len(ticks & wanted) / len(ticks | wanted)
        assert spans_iou([(a / 10, b / 10) for a, b in said], (true[0] / 10, true[1] / 10)) == pytest.approx(expected)
        text = " and ".join(f"{a / 10} - {b / 10}" for a, b in said)
        found = grounding(item(f"{true[0] / 10} {true[1] / 10}"), text)
        assert found.score == pytest.approx(expected) and len(spans(text)) == len(said)
        for share in (0.3, 0.5, 0.7):
            if abs(expected - share) > 1e-9:
                assert found.also[f"R@{share}"] == float(expected > share)


def formula(rng: random.Random, depth: int) -> tuple[str, float]:
    """A random formula in LaTeX, and its value."""
    if depth == 0:
        number = rng.choice([rng.randrange(1, 20), round(rng.uniform(0.5, 9), 2)])
        return f"{number}", float(number)
    (a, x), (b, y) = formula(rng, depth - 1), formula(rng, depth - 1)
    return rng.choice(
        [
            (f"\\frac{{{a}}}{{{b}}}", x / y),
            (f"{a} + {b}", x + y),
            (f"({a}) - ({b})", x - y),
            (f"({a}) \\times ({b})", x * y),
            (f"({a}) \\cdot \\pi", x * math.pi),
            (f"\\sqrt{{{a}}}", math.sqrt(x) if x >= 0 else math.nan),
        ]
    )


def test_values_of_formulas() -> None:
    rng = random.Random(3)
    seen = 0
    while seen < 200:
        text, expected = formula(rng, rng.randrange(3))
        if not math.isfinite(expected) or len(text) > 150:
            continue
        seen += 1
        assert value(text) == pytest.approx(expected), text
        assert equal(text, f"{expected:.6f}") and not equal(text, f"{expected + 0.02:.6f}")


def test_the_right_letter_and_word_only() -> None:
    rng = random.Random(4)
    options = {letter: f"thing {number}" for number, letter in enumerate("ABCDE")}
    for _ in range(200):
        truth, said = rng.choice("ABCDE"), rng.choice("ABCDE")
        wording = rng.choice(["{}", "({})", "{}.", "The answer is {}", "**{}**", "{}) it is", "{}: yes"])
        assert choices(item(truth, choices=options), wording.format(said)).score == float(said == truth)
        yes, no = rng.choice(["yes", "no"]), rng.choice(["yes", "no"])
        assert yes_no(item(yes), rng.choice(["{}", "{}.", "{}, it is", "Answer: {}"]).format(no)).score == float(
            yes == no
        )
        inside, outside = word(rng, 4), word(rng, 9)
        found = says(item(inside), outside).score
        assert found == float(
            any(outside.strip()[i:].startswith(inside.strip()) for i in range(len(outside.strip()) + 1))
        )


@pytest.mark.parametrize(
    ("truth", "facts", "options", "said", "right"),
    [
        ("14", {"answer_type": "integer"}, {}, "The number missing is 14.", 1),
        ("14", {"answer_type": "integer"}, {}, "14.0", 1),
        ("14", {"answer_type": "integer"}, {}, "13 or so", 0),
        ("0.6", {"answer_type": "float", "precision": 1.0}, {}, "The fraction is 0.6, six of ten.", 1),
        ("0.6", {"answer_type": "float", "precision": 1.0}, {}, "The answer is 0.62", 1),
        ("1.45", {"answer_type": "float", "precision": 2.0}, {}, "$1.45", 1),
        ("[2007, 2008]", {"answer_type": "list"}, {}, "The answer is [2007, 2008]", 1),
        ("[2007, 2008]", {"answer_type": "list"}, {}, "between 2007 and 2008", 1),
        ("8/11", {"answer_type": "text"}, {"A": "3/11", "B": "8/11"}, "The correct answer is (B) 8/11.", 1),
        ("8/11", {"answer_type": "text"}, {"A": "3/11", "B": "8/11"}, "8/11", 1),
        ("tokyo", {"answer_type": "text"}, {"A": "osaka", "B": "tokyo"}, "Tokio", 1),
        ("tokyo", {"answer_type": "text"}, {"A": "osaka", "B": "tokyo"}, "I do not know the city", 0),
    ],
)
def test_mathvista(truth: str, facts: dict[str, object], options: dict[str, str], said: str, right: int) -> None:
    assert vista(item(truth, facts=facts, choices=options), said).score == right
