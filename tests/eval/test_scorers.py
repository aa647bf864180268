"""Scorers: against brute force, and against answers that try to get away with it."""

import random
from functools import cache

import pytest

from vl3.eval.scorers import SCORERS, box_iou, score, span_iou, things
from vl3.eval.task import Item, Score
from vl3.eval.words import edit_distance, normalised


def scored(kind: str, answer: str, truth: str | list[str]) -> Score:
    return score(Item("1", kind, [{"role": "user", "content": "?"}], truth, "medium"), answer)


@pytest.mark.parametrize(
    ("answer", "truth"),
    [
        ("A Red Circle.", "red circle"),
        ("three", "3"),
        ("Twenty-one!", "21"),
        ("gray", "grey"),
        ("  the   dog ", "Dog"),
        ("1,200", "1200"),
        ("\u201cdog\u201d", "dog"),
        ("5 %", "5%"),
        ("A", "A"),
    ],
)
def test_the_same_answer_in_other_clothes(answer: str, truth: str) -> None:
    assert scored("name", answer, truth).score == 1


@pytest.mark.parametrize(
    ("kind", "answer", "truth"),
    [
        ("name", "", "dog"),
        ("name", "?!", "!"),
        ("name", "a dog or a cat", "dog"),
        ("name", "hot dog", "dog"),
        ("count", "2 3 4", "3"),
        ("count", "13", "3"),
        ("colour", "not red", "red"),
        ("chart_value", "-5", "5"),
        ("yes_no", "", "Yes"),
        ("yes_no", "Yesterday", "Yes"),
        ("yes_no", "I say yes", "yes"),
        ("yes_no", "No, yes", "Yes."),
        ("yes_no", "Nobody", "No"),
        ("read", "stop sign", "stop"),
        ("read", "", ""),
        ("box", "[0, 0, 1000, 1000]", "[100, 100, 200, 200]"),
        ("box", "[200, 200, 100, 100]", "[100, 100, 200, 200]"),
        ("box", "100 100 200 200", "[100, 100, 200, 200]"),
        ("box", "[100, 100, 200, 200]", "a red circle"),
        ("box", "", "a red circle"),
        ("when", "3.2 seconds", "from 3.2 to 8.0 seconds"),
        ("when", "from 8.0 to 3.2 seconds", "from 3.2 to 8.0 seconds"),
        ("when", "1.0, 2.0, 3.0", "at 2.0 seconds"),
        ("when", "2.6", "at 2.0 seconds"),
        ("list", "red dog, red dog", "red dog"),
        ("list", "dog", "dog, cat"),
        ("list", "", "dog"),
        ("order", "cat, dog", "dog, cat"),
        ("caption", "", "a dog runs"),
    ],
)
def test_wrong_answers_that_look_right(kind: str, answer: str, truth: str) -> None:
    assert scored(kind, answer, truth).score == 0


@pytest.mark.parametrize(
    ("kind", "answer", "truth"),
    [
        ("yes_no", "Yes, there is a dog.", "Yes."),
        ("yes_no", "NO", "No, there is none."),
        ("read", '"Stop Here"', "STOP  here"),
        ("key_value", "12.50", "12.50"),
        ("box", "It is at [100, 100, 200, 200].", "[100, 100, 200, 190]"),
        ("box", "Red circle.", "a red circle"),
        ("when", "at 2.5 s", "at 2.0 seconds"),
        ("when", "from 3.2 to 8.0 seconds", "From 3.2 to 8.0 seconds."),
        ("when", "at the end", "At the end."),
        ("list", "A cat, a dog and two birds.", "dog, 2 birds and cat"),
        ("order", "First a dog, then a cat", "dog, cat"),
        ("caption", "A dog runs.", "a dog runs"),
        ("name", "puppy", ["dog", "puppy"]),
    ],
)
def test_right_answers(kind: str, answer: str, truth: str | list[str]) -> None:
    assert scored(kind, answer, truth).score == 1


@pytest.mark.parametrize("kind", [*SCORERS, "name", "colour", "exact"])
def test_every_truth_answers_itself_and_noise_breaks_nothing(kind: str) -> None:
    truth = {"box": "[1, 2, 30, 40]", "when": "from 1.0 to 2.0 seconds", "yes_no": "no", "stream": "3.0"}.get(
        kind, "two red dogs"
    )
    assert scored(kind, truth, truth).score == 1
    rng = random.Random(kind)
    for _ in range(200):
        noise = "".join(rng.choice("ab01 ,.[]()-%yesno\u0130\u00df\n") for _ in range(rng.randrange(40)))
        assert 0 <= scored(kind, noise, truth).score <= 1


def test_boxes_overlap_as_counted_cells_do() -> None:
    rng = random.Random(0)
    for _ in range(200):
        a, b = ([*sorted(rng.sample(range(12), 2)), *sorted(rng.sample(range(12), 2))] for _ in range(2))
        a, b = ((x1, y1, x2, y2) for x1, x2, y1, y2 in (a, b))
        cells_a, cells_b = ({(x, y) for x in range(c[0], c[2]) for y in range(c[1], c[3])} for c in (a, b))
        assert box_iou(a, b) == pytest.approx(len(cells_a & cells_b) / len(cells_a | cells_b))


def test_spans_overlap_as_counted_ticks_do() -> None:
    rng = random.Random(0)
    for _ in range(200):
        a, b = (sorted(rng.sample(range(30), 2)) for _ in range(2))
        ticks_a, ticks_b = set(range(*a)), set(range(*b))
        assert span_iou(a, b) == pytest.approx(len(ticks_a & ticks_b) / len(ticks_a | ticks_b))
    assert scored("when", "from 0.0 to 2.0", "from 1.0 to 3.0 seconds").score == pytest.approx(1 / 3)
    assert scored("when", "from 0.0 to 2.0", "from 1.0 to 3.0 seconds").also == {"iou_0.5": 0}


def test_edit_distance_is_the_recursive_one() -> None:
    @cache
    def slow(a: str, b: str) -> int:
        if not a or not b:
            return len(a) + len(b)
        return min(slow(a[1:], b) + 1, slow(a, b[1:]) + 1, slow(a[1:], b[1:]) + (a[0] != b[0]))

    rng = random.Random(0)
    for _ in range(100):
        a, b = ("".join(rng.choices("abc", k=rng.randrange(7))) for _ in range(2))
        assert edit_distance(a, b) == slow(a, b)


def test_other_measures() -> None:
    assert scored("read", "Total 12", "Total 13").also["anls"] == pytest.approx(7 / 8)
    assert scored("read", "nothing", "Total 13").also["anls"] == 0
    assert scored("chart_value", "97", "100").also == {"relaxed": 1}
    assert scored("chart_value", "94", "100").also == {"relaxed": 0}
    assert scored("chart_value", "94 to 106", "100").also == {"relaxed": 0}
    assert scored("list", "dog, fish", "dog and cat").also["f1"] == pytest.approx(0.5)
    caption = scored("caption", "dog dog dog dog", "a dog on the grass")
    assert caption.score == pytest.approx(2 / 7) and caption.also == {"recall": 0.5}
    assert scored("box", "[0, 0, 10, 10]", "[0, 0, 10, 20]").also == {"iou": 0.5}


def test_enumerations() -> None:
    assert things("1. a dog\n2. the cat") == ["dog", "cat"]
    assert things("First a dog; then two cats and finally a fish.") == ["dog", "2 cats", "fish"]
    assert normalised("The dog's 3 left-hand toys") == "dog's 3 left hand toys"
