"""What models really say: at least a hundred shapes of answers for each family, and what they are understood as.

answers/*.tsv: the answer (\\n is a line's end, \\\\ a backslash), a tab, what it says; `-` is nothing. In value.tsv a
true result stands between them, and `y` says that the two are equal.
"""

import random
import re
import time
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vl3.eval.choices import choice
from vl3.eval.mathematics import equal, stated, value
from vl3.eval.parse import plain, spans, spans_iou, yes_or_no

OPTIONS = {"A": "red car", "B": "blue truck", "C": "green bus", "D": "yellow dog"}


def rows(family: str) -> list[list[str]]:
    lines = (Path(__file__).parent / "answers" / f"{family}.tsv").read_text(encoding="utf-8").split("\n")
    return [
        [re.sub(r"\\(.)", lambda match: {"n": "\n"}.get(match[1], match[1]), part) for part in line.split("\t")]
        for line in lines
        if line
    ]


def shapes(family: str) -> list[tuple[str, str]]:
    return [(answer, meant) for answer, meant in rows(family)]


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


@pytest.mark.parametrize(("answer", "truth", "meant"), rows("value"))
def test_results_of_other_values(answer: str, truth: str, meant: str) -> None:
    assert equal(stated(answer), truth) == (meant == "y")


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
            if any(other in answer for other in ("A", "C", "D", "red", "bus", "乙", "Ⓑ", "⒝", "\uff22", "Blue Truck")):
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


SAYINGS = [
    "{}",
    "({})",
    "{}.",
    "{})",
    "The answer is {}.",
    "Answer: {}",
    "I choose {}.",
    "The correct option is ({}).",
    "答案是{}",
]
WRAPPINGS = [
    "{}", "**{}**", "`{}`", "<answer>{}</answer>", "<think>Is it A? Or {{B}}?</think>{}", "Let me look.\n\n{}", 
    "{}<|im_end|>",
    "{}\n\nExplanation: it is plain to see.", "> {}", "# {}", "\n{}\n",
]  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.sampled_from("ABCD"), st.sampled_from(SAYINGS), st.lists(st.sampled_from(WRAPPINGS), max_size=2))
def test_wrappings_in_wrappings_change_nothing(letter: str, saying: str, wrappings: list[str]) -> None:
    said = saying.format(letter)
    for wrapping in wrappings:
        said = wrapping.format(said)
    assert choice(said, OPTIONS) == letter


@settings(max_examples=100, deadline=None)
@given(
    st.permutations("ABCD"),
    st.sampled_from([" or ", " and ", ", ", "/", " & ", " as well as ", "、", "或"]),
    st.sampled_from(SAYINGS),
)
def test_two_letters_are_never_one(letters: list[str], between: str, saying: str) -> None:
    assert choice(saying.format(between.join(letters[:2])), OPTIONS) is None


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ABCDabcd 01.,:()[]{}\\-\n\"'是选oryesnot", max_size=60))
def test_any_text_is_read_or_nothing(answer: str) -> None:
    assert choice(answer, OPTIONS) in {None, *OPTIONS}
    assert yes_or_no(answer) in {None, "yes", "no"}
    assert all(begin <= end for begin, end in spans(answer))
    assert not equal(stated(answer), "12345.678")


@settings(max_examples=100, deadline=None)
@given(st.fractions(min_value=-1000, max_value=1000, max_denominator=40))
def test_fractions_are_their_values(number: Fraction) -> None:
    top, bottom = abs(number.numerator), number.denominator
    sign = "-" if number < 0 else ""
    written = [f"{sign}{top}/{bottom}", rf"{sign}\frac{{{top}}}{{{bottom}}}", f"{float(number):.6f}"]
    if bottom > 1 and top > bottom:
        written.append(f"{sign}{top // bottom} {top % bottom}/{bottom}")
    for said in written:
        assert value(said) == pytest.approx(float(number), abs=1e-5), said
        assert equal(stated(f"The answer is ${said}$."), written[1])


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 5000), st.integers(0, 5000))
def test_clocks_words_and_seconds_are_the_same_span(one: int, other: int) -> None:
    begin, end = min(one, other), max(one, other)

    def clock(time_s: int) -> str:
        return f"{time_s // 3600}:{time_s // 60 % 60:02d}:{time_s % 60:02d}"

    def words(time_s: int) -> str:
        return f"{time_s // 60} min {time_s % 60} s"

    said = [
        f"from {begin}s to {end}s",
        f"{clock(begin)} - {clock(end)}",
        f"{words(begin)} to {words(end)}",
        f"[{begin}, {end}]",
    ]
    assert [spans(text) for text in said] == [[(begin, end)]] * len(said)
