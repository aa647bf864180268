"""What is where: boxes -> the text of each visual token."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vl3.data.regions import Region, parse_regions, token_texts
from vl3.data.schema import parse
from vl3.errors import UserError

SIDES = st.tuples(st.integers(0, 999), st.integers(1, 1000)).filter(lambda pair: pair[0] < pair[1])


def test_a_region_owns_the_tokens_that_it_fills() -> None:
    regions = [Region((0, 0, 500, 1000), "left"), Region((750, 500, 1000, 1000), "corner")]
    assert token_texts(regions, 2, 4) == ["left", "left", "", "", "left", "left", "", "corner"]


def test_a_thin_line_between_two_rows_belongs_to_both() -> None:
    assert token_texts([Region((0, 450, 1000, 550), "words")], 2, 2) == ["words"] * 4
    assert token_texts([Region((0, 480, 1000, 600), "words")], 2, 1) == ["", "words"]


def test_the_later_of_two_lies_on_top_and_the_fuller_wins() -> None:
    assert token_texts([Region((0, 0, 1000, 1000), "under"), Region((0, 0, 1000, 1000), "over")], 1, 1) == ["over"]
    assert token_texts([Region((0, 0, 1000, 1000), "whole"), Region((0, 0, 600, 1000), "part")], 1, 1) == ["part"]
    assert token_texts([Region((0, 0, 900, 1000), "more"), Region((0, 0, 600, 1000), "less")], 1, 1) == ["less"]


@given(x=SIDES, y=SIDES, rows=st.integers(1, 9), columns=st.integers(1, 9))
def test_every_region_is_seen_somewhere_and_only_where_it_is(
    x: tuple[int, int], y: tuple[int, int], rows: int, columns: int
) -> None:
    texts = token_texts([Region((x[0], y[0], x[1], y[1]), "thing")], rows, columns)
    assert "thing" in texts
    for place, text in enumerate(texts):
        row, column = divmod(place, columns)
        inside = (
            min(x[1] * columns, 1000 * (column + 1)) > max(x[0] * columns, 1000 * column)
            and min(y[1] * rows, 1000 * (row + 1)) > max(y[0] * rows, 1000 * row)
        )  # fmt: skip
        assert inside or not text


@pytest.mark.parametrize(
    ("regions", "fault"),
    [
        ("dog", "list"),
        ([{"text": "dog"}], "four integers"),
        ([{"box": [0, 0, 10.5, 10], "text": "dog"}], "four integers"),
        ([{"box": [0, 0, 10, 10]}], "text"),
        ([{"box": [10, 0, 10, 10], "text": "dog"}], "x1 < x2"),
        ([{"box": [0, 0, 1001, 10], "text": "dog"}], "x1 < x2"),
    ],
)
def test_what_is_no_region_is_named(regions: object, fault: str) -> None:
    with pytest.raises(UserError, match=fault):
        parse_regions(regions)


def test_regions_need_one_image() -> None:
    turns = [{"from": "human", "value": "?"}, {"from": "gpt", "value": "!"}]
    regions = [{"box": [0, 0, 10, 10], "text": "dog"}]
    assert parse({"image": "a.jpg", "conversations": turns, "regions": regions}, "here").regions is not None
    for media in ({}, {"video": "a.mp4"}, {"image": ["a.jpg", "b.jpg"]}):
        with pytest.raises(UserError, match="one image"):
            parse({**media, "conversations": turns, "regions": regions}, "here")
