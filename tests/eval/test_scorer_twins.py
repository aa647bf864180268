"""Every scorer that is not geometry or a distance, beside a second one written plainly, on 200 random and adversarial
answers each."""

import itertools
import random
import re
from collections.abc import Callable

import pytest

from vl3.eval.measures import open_answer, same, short
from vl3.eval.scorers import score
from vl3.eval.task import Item, Score
from vl3.eval.tasks.blink import macro
from vl3.eval.tasks.mme import COGNITION, points

VOCABULARY = ("dog", "cat", "2", "red", "sun")
ODD = ("", " ", ".", "?!", "\n", "None", "nan", "-", "0", "é", "\u3002", "[]", "yes no", "A", "the", "1e9", "\ufeff")


def item(kind: str, truth: str | list[str]) -> Item:
    return Item("1", kind, [{"role": "user", "content": "?"}], truth, "c")


def plain_exact(said: list[str], true: list[str]) -> float:
    return float(said == true)


def plain_several(said: list[str], true: list[str]) -> float:
    """Some order of what is said is the truth."""
    return float(any(list(order) == true for order in itertools.permutations(said)))


def plain_f1(said: list[str], true: list[str]) -> float:
    """Words are struck off the truth one after the other."""
    left, common = list(true), 0
    for word in said:
        if word in left:
            left.remove(word)
            common += 1
    return 2 / (len(said) / common + len(true) / common) if common else 0.0


@pytest.mark.parametrize(
    ("kind", "between", "plain"),
    [
        ("name", " ", plain_exact),
        ("order", ", ", plain_exact),
        ("list", ", ", plain_several),
        ("caption", " ", plain_f1),
    ],
)
def test_words(kind: str, between: str, plain: Callable[[list[str], list[str]], float]) -> None:
    rng = random.Random(kind)
    right = 0
    for _ in range(200):
        true = rng.choices(VOCABULARY, k=rng.randrange(1, 4))
        said = rng.choice([true, true[::-1], true[1:], [*true, true[0]], rng.choices(VOCABULARY, k=rng.randrange(5))])
        dressed = [rng.choice([word, word.upper(), f"the {word}", f"{word} "]) for word in said]
        answer = between.join(dressed) + rng.choice(["", ".", "\n", "!"])
        found = score(item(kind, between.join(true)), answer).score
        assert found == pytest.approx(plain(said, true)), (answer, true)
        right += found == 1
    assert 20 < right < 180
    for odd in ODD:
        assert score(item(kind, "dog"), odd).score == 0, odd


def test_numbers_and_moments_and_streams() -> None:
    """A number read off a chart, to 5 %; a moment, to half a second; a first word, to a second."""
    rng = random.Random(0)
    for kind, tolerance in (("chart_value", None), ("when", 0.5), ("stream", 1.0)):
        for _ in range(200):
            true = rng.randrange(10, 900) / 10
            allowed = 0.05 * true if tolerance is None else tolerance
            off = rng.choice([0.0, allowed * 0.97, -allowed * 0.97, allowed * 1.03, -allowed * 1.03, 5 * allowed])
            said = round(true + off, 3)
            answer = rng.choice(["{}", "about {}", "{} s", "It is {}."]).format(said)
            truth = f"at {true} seconds" if kind == "when" else f"{true}"
            found = score(item(kind, truth), answer)
            close = float(abs(off) < allowed)
            if kind == "chart_value":
                assert found.also["relaxed"] == close, (answer, truth)
                assert found.score == float(off == 0 and answer == f"{true}"), (answer, truth)
            else:
                assert found.score == close, (kind, answer, truth)
        for odd in ODD:
            truth = "at 25.0 seconds" if kind == "when" else "25.0"
            assert score(item(kind, truth), odd).score == 0, (kind, odd)


def test_yes_and_no() -> None:
    rng = random.Random(1)
    for _ in range(200):
        first, true = rng.choice(["yes", "no", "not", "yesterday", "maybe", "nobody"]), rng.choice(["Yes.", "no"])
        answer = rng.choice(["", " ", "\n", '"']) + rng.choice([first, first.upper(), first.title()])
        answer += rng.choice(["", ".", ", it is", " no", " yes"])
        said = re.split(r"[^a-z]+", answer.lower().lstrip(' \n"'))[0]
        assert score(item("yes_no", true), answer).score == float(said == true.lower().strip(".")), (answer, true)


def test_characters_of_a_reading() -> None:
    """Read text is right to the character but for case, outer quotes, spaces and a final stop."""
    rng = random.Random(2)
    for _ in range(200):
        true = "".join(rng.choices("ab1-/", k=rng.randrange(1, 6)))
        said = rng.choice([true, true[::-1], true[:-1], true + "b", true.replace("1", "l")])
        answer = rng.choice(["{}", " {} ", '"{}"', "{}.", "\u201c{}\u201d"]).format(rng.choice([said, said.upper()]))
        assert score(item("read", true), answer).score == float(said == true), (answer, true)


PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"


@pytest.mark.parametrize("measure", [same, short])
def test_same_words(measure: Callable[[Item, str], Score]) -> None:
    rng = random.Random(3)
    for _ in range(200):
        true = " ".join(rng.choices(["light", "t-shirt", "St.", "no"], k=rng.randrange(1, 3)))
        said = rng.choice([true, true.upper(), f"{true}.", f" {true}\n", f"the {true}", true[1:], "", "no", "no light"])
        bare = ["".join(c for c in text.lower() if c not in PUNCTUATION).strip() for text in (said, true)]
        assert measure(item("k", true), said).score == float(bare[0] == bare[1] != ""), (said, true)


def test_open_numbers() -> None:
    """MMMU's open numbers: right if the true one, to two decimals, is among those of what is announced."""
    rng = random.Random(4)
    for _ in range(200):
        true, other = (round(rng.uniform(1, 999), rng.randrange(3)) for _ in range(2))
        said = rng.choice([true, other, true + 0.004, true + 0.02])
        answer = rng.choice(["{}", "The answer is {}", "x = {}", "so it must be {}", "I get {} cm"]).format(said)
        assert open_answer(item("k", str(true)), answer).score == float(round(said, 2) == round(true, 2)), (said, true)


def test_sums_of_benchmarks() -> None:
    rng = random.Random(5)
    for _ in range(50):
        kinds = rng.sample(["count", "color", *sorted(COGNITION)], 3)
        rows = [
            (f"{k} {p} {q}", k, f"{k} {p}", float(rng.random() < 0.7)) for k in kinds for p in range(4) for q in "ab"
        ]
        by = {kind: [row for row in rows if row[1] == kind] for kind in kinds}
        accuracy = {kind: sum(row[3] for row in found) / 8 for kind, found in by.items()}
        plus = {k: sum(a[3] == b[3] == 1 for a, b in zip(f[::2], f[1::2], strict=True)) / 4 for k, f in by.items()}
        rng.shuffle(rows)
        found = points(rows)
        for name, wanted in (("cognition", True), ("perception", False)):
            expected = sum(100 * (accuracy[kind] + plus[kind]) for kind in kinds if (kind in COGNITION) == wanted)
            assert found[name] == pytest.approx(expected)
        assert macro(rows) == {"mean over kinds": pytest.approx(sum(accuracy.values()) / 3)}
