"""Questions about real photographs: well-formed, and scored without loopholes."""

import json
from pathlib import Path

import pytest

from recipes.nano.data.real import PACKAGES
from vl3.errors import UserError
from vl3.eval.task import Item
from vl3.eval.tasks.photos import QUESTIONS, accepted, photos

LINES = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]


def score(kind: str, answers: list[str], answer: str) -> float:
    return accepted(Item("1", kind, [], answers, "m"), answer).score


def test_every_question_is_of_a_medium_that_is_fetched_and_every_medium_is_asked_about(tmp_path: Path) -> None:
    fetched = {
        f"{package.name}/{package.renamed.get(path, Path(path).name).removesuffix('.gz')}"
        for package in PACKAGES
        for path in package.files
    }
    assert {line["media"] for line in LINES} == fetched
    task = photos(tmp_path)
    assert len(task.items) == len(LINES) >= 60
    assert {item.kind for item in task.items} == {"name", "colour", "count", "position", "yes_no", "read", "motion"}
    truths = [item.truths for item in task.items if item.kind == "yes_no"]
    assert truths.count(["yes"]) == truths.count(["no"])


def test_every_accepted_answer_is_right_and_no_other_questions_answer_is() -> None:
    for line in LINES:
        for answer in line["answers"]:
            assert score(line["kind"], line["answers"], answer) == 1
            assert score(line["kind"], line["answers"], f"{answer.capitalize()}.") == 1
        assert score(line["kind"], line["answers"], "") == 0
        assert score(line["kind"], line["answers"], "zebra crossing") == 0


@pytest.mark.parametrize(
    ("kind", "answers", "answer"),
    [
        ("name", ["cat"], "It is a cat."),
        ("name", ["cat"], "A tabby cat, looking into the camera"),
        ("count", ["4"], "There are four of them."),
        ("colour", ["red"], "The car is red."),
        ("read", ["no parking"], "It says: NO PARKING"),
        ("yes_no", ["no"], "No, there is no dog."),
    ],
)
def test_right(kind: str, answers: list[str], answer: str) -> None:
    assert score(kind, answers, answer) == 1


@pytest.mark.parametrize(
    ("kind", "answers", "answer"),
    [
        ("name", ["cat"], "caterpillar"),
        ("name", ["cat"], "not a cat"),
        ("name", ["cat"], "It isn't a cat"),
        ("name", ["cat"], "a dog or a cat"),
        (
            "name",
            ["cat"],
            "dog bird fish cow pig goat sheep hen duck frog lion tiger bear wolf fox owl rat cat bee ant elk",
        ),
        ("count", ["4"], "3 or 4"),
        ("count", ["4"], "1 2 3 4 5"),
        ("count", ["4"], "four and then five"),
        ("colour", ["red"], "red and blue"),
        ("colour", ["red"], "infrared"),
        ("position", ["left"], "left and right"),
        ("yes_no", ["no"], "There is no dog."),
        ("yes_no", ["yes"], "No. Yes."),
    ],
)
def test_wrong(kind: str, answers: list[str], answer: str) -> None:
    assert score(kind, answers, answer) == 0


def test_without_media_it_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"recipes\.nano\.data\.real"):
        photos(tmp_path / "none")
