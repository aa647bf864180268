"""What models really say: at least a hundred shapes of answers for each family, and what they are understood as.

answers/*.tsv: the answer (\\n is a line's end, \\\\ a backslash), a tab, what it says; `-` is nothing.
"""

import random
import re
import time
from pathlib import Path

import pytest

from vl3.eval.choices import choice
from vl3.eval.mathematics import equal, stated
from vl3.eval.parse import plain, spans, spans_iou, yes_or_no

OPTIONS = {"A": "red car", "B": "blue truck", "C": "green bus", "D": "yellow dog"}


def shapes(family: str) -> list[tuple[str, str]]:
    lines = (Path(__file__).parent / "answers" / f"{family}.tsv").read_text(encoding="utf-8").split("\n")
    pairs = [line.split("\t") for line in lines if line]
    return [(answer.replace("\\n", "\n").replace("\\\\", "\\"), meant) for answer, meant in pairs]


def test_there_are_a_hundred_shapes_of_each_family() -> None:
    for family in ("choice", "yes_no", "result", "span"):
        assert len(set(shapes(family))) >= 100


@pytest.mark.parametrize(("answer", "meant"), shapes("choice"))
def test_an_option(answer: str, meant: str) -> None:
    assert (choice(answer, OPTIONS) or "-") == meant


@pytest.mark.parametrize(("answer", "meant"), shapes("yes_no"))
def test_yes_or_no(answer: str, meant: str) -> None:
    assert (yes_or_no(answer) or "-") == meant


@pytest.mark.parametrize(("answer", "meant"), shapes("result"))
def test_a_result_of_12_and_a_half(answer: str, meant: str) -> None:
    assert equal(stated(answer), "12.5") == (meant == "y")


@pytest.mark.parametrize(("answer", "meant"), shapes("span"))
def test_spans_of_time(answer: str, meant: str) -> None:
    said = ", ".join(f"{begin:g} {end:g}" for begin, end in spans(answer))
    assert (said or "-") == meant


def test_every_letter_is_read_as_every_other_would_be() -> None:
    """Shapes that name B only, with B's letter and text put for another's."""
    others = {"A": "red car", "C": "green bus", "D": "yellow dog"}
    named = [answer for answer, meant in shapes("choice") if meant == "B"]
    for letter, text in others.items():
        for answer in named:
            if any(other in answer for other in ("A", "C", "D", "red", "bus", "乙", "Ⓑ", "⒝", "\uff22")):
                continue
            if re.search(r"\bb\b", answer):
                continue
            put = answer.replace("blue truck", text).replace("Blue truck", text.capitalize()).replace("B", letter)
            assert choice(put, OPTIONS) == letter, put


def test_long_and_hostile_answers_take_no_time() -> None:
    rng = random.Random(0)
    pieces = [
        "A",
        "B",
        " ",
        "(",
        ")",
        "the answer is ",
        "or ",
        "not ",
        "\n",
        "{",
        "\\boxed{",
        "1",
        "-",
        ":",
        "<think>",
        "是",
    ]
    hostile = [piece * 20_000 for piece in pieces] + ["".join(rng.choices(pieces, k=20_000)) for _ in range(5)]
    start = time.perf_counter()
    for answer in hostile:
        choice(answer, OPTIONS)
        yes_or_no(answer)
        equal(stated(answer), "1")
        spans_iou(spans(answer), (0.0, 1.0))
        plain(answer)
    assert time.perf_counter() - start < 5
