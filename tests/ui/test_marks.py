"""Times and boxes in answers."""

import numpy as np
import pytest
from PIL import Image

from vl3.ui.marks import boxes, draw, linked, moments


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("from 3.2 to 8.0 seconds", [3.2, 8.0]),
        ("It opens at 4s and shuts at 5.5 s.", [4.0, 5.5]),
        ("At 00:07 and 0:01:05.5 it rings", [7.0, 65.5]),
        ("between 2 and 4 seconds", [2.0, 4.0]),
        ("3-5 secs", [3.0, 5.0]),
        ("after 1 second", [1.0]),
        ("There are 3 people, 5 dogs and 12 sheep.", []),
        ("4 squares and 2.5 metres", []),
        ("at 500.0 s", []),  # after the end
        ("v1.2.3 at 10:99", []),
    ],
)
def test_times(text: str, times: list[float]) -> None:
    found = moments(text, 0, 100)
    assert [moment.time_s for moment in found] == times
    assert all(text[moment.start : moment.end].strip() == text[moment.start : moment.end] != "" for moment in found)


def test_boxes() -> None:
    some = "dog [10, 20, 300, 400], again [10,20,300,400], cat [0, 0, 1000, 1000]"
    none = "[5, 5, 5, 9] [1, 2, 3] [1, 2, 1001, 9]"
    assert boxes(some + none) == [
        (10, 20, 300, 400),
        (0, 0, 1000, 1000),
    ]


def test_links_and_what_could_do_harm() -> None:
    text = "<img src=x onerror=alert(1)> ![x](http://evil/?q) at 3.0 s, `a < 4 s` & 5 s"
    shown = linked(text, lambda time_s: f"#t={time_s:g}", 0, 10)
    assert shown == (
        "&lt;img src=x onerror=alert(1)> !\\[x](http://evil/?q) at [3.0](#t=3) s, `a < 4 s` &amp; [5](#t=5) s"
    )
    assert linked("at 3.0 s") == "at 3.0 s"


def test_boxes_are_drawn_where_the_convention_says() -> None:
    picture = Image.new("RGB", (1000, 500), "white")
    drawn = np.asarray(draw(picture, [(100, 200, 400, 600)]))
    coloured = np.argwhere((drawn != 255).any(axis=2))
    (top, left), (bottom, right) = coloured.min(axis=0), coloured.max(axis=0)
    for side, pixel in ((left, 100), (top, 100), (right, 400), (bottom, 300)):
        assert abs(int(side) - pixel) <= 1
    assert (drawn[150:250, 150:350] == 255).all()  # an outline, not a patch
    assert (np.asarray(picture) == 255).all()


def test_a_small_picture_is_enlarged() -> None:
    assert draw(Image.new("RGB", (64, 32)), [(0, 0, 500, 500), (0, 0, 1000, 1000)]).size == (640, 320)
