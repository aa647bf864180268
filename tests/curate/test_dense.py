"""Training samples from dense captions: true to their events, in the documented form, never ambiguous."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vl3.chat import media_of
from vl3.curate.dense import KINDS, Dense, Event, dense, likeness, parse_events, samples
from vl3.data.schema import parse
from vl3.errors import UserError

COOK = dense(
    "cook.mp4",
    [
        Event(0.0, 3.2, "A cook cuts onions on a board"),
        Event(3.2, 8.0, "The pan is put on the stove."),
        Event(8.0, 12.04, "Guests sit down at a long table."),
    ],
)
SEA = dense("sea.mp4", [Event(0, 4, "Waves break over black rocks."), Event(4, 9, "A gull lands on a boat.")])


def turns(made: list[dict[str, Any]]) -> list[tuple[str, str]]:
    values = [turn["value"] for turn in made[0]["conversations"]]
    return list(zip(values[::2], values[1::2], strict=True))


def test_what_is_asked_of_a_video() -> None:
    assert turns(samples(COOK, [], ["timeline"]))[0][1] == (
        "From 0.0 to 3.2 seconds: A cook cuts onions on a board.\n"
        "From 3.2 to 8.0 seconds: The pan is put on the stove.\n"
        "From 8.0 to 12.0 seconds: Guests sit down at a long table."
    )
    asked = dict(turns(samples(COOK, [], ["when"])))
    assert {next(e.text for e in COOK.events if e.text in q): a for q, a in asked.items()} == {
        "A cook cuts onions on a board.": "From 0.0 to 3.2 seconds.",
        "The pan is put on the stove.": "From 3.2 to 8.0 seconds.",
        "Guests sit down at a long table.": "From 8.0 to 12.0 seconds.",
    }
    asked = dict(turns(samples(COOK, [], ["span"])))
    assert (
        next(answer for question, answer in asked.items() if "from 3.2 to 8.0 seconds" in question)
        == COOK.events[1].text
    )
    for question, answer in turns(samples(COOK, [], ["first"], max_each=9)):
        options = dict(re.findall(r"^([AB])\. (.*)$", question, re.MULTILINE))
        order = [event.text for event in COOK.events]
        other = options["B" if answer == "A" else "A"]
        assert order.index(options[answer]) < order.index(other)
    follows = turns(samples(COOK, [], ["next"]))
    assert len(follows) == 2
    for question, answer in follows:
        before = next(n for n, event in enumerate(COOK.events) if event.text in question)
        assert answer == COOK.events[before + 1].text


def test_yes_and_no_are_as_frequent_and_no_is_of_another_video() -> None:
    assert samples(COOK, [], ["happens"]) == []
    made = turns(samples(COOK, [COOK, SEA], ["happens"]))
    answers = {answer: question for question, answer in made}
    assert set(answers) == {"Yes.", "No."}
    assert any(event.text in answers["Yes."] for event in COOK.events)
    assert any(event.text in answers["No."] for event in SEA.events)
    like = dense("like.mp4", [Event(0, 2, "The pan is put on a stove."), Event(2, 5, "Guests sit at the long table.")])
    assert samples(COOK, [like], ["happens"]) == [], "what may be true of the video is no wrong answer"


def test_what_is_ambiguous_is_not_asked() -> None:
    twice = dense("a.mp4", [Event(0, 2, "A man talks."), Event(2, 5, "A dog runs."), Event(5, 7, "The man talks.")])
    asked = turns(samples(twice, [], ["when"]))
    assert len(asked) == 1 and "A dog runs." in asked[0][0]
    assert len(turns(samples(twice, [], ["span"]))) == 3
    overlap = dense(
        "b.mp4", [Event(0, 6, "It rains hard."), Event(4, 9, "A bus stops."), Event(9, 9.2, "Lights go out.")]
    )
    assert samples(overlap, [], ["when", "span", "first", "next"]) == []
    whole = dense("c.mp4", [Event(0, 60, "A concert.")])
    assert samples(whole, [], ["when", "span"]) == [] and len(samples(whole, [], ["timeline", "stream"])) == 2


def test_a_stream_tells_each_event_when_it_has_been_seen() -> None:
    together = dense(
        "a.mp4", [Event(1.0, 4, "It rains."), Event(2, 4.01, "A bus stops."), Event(4, 9, "Lights go on.")]
    )
    [made] = samples(together, [], ["stream"])
    assert (made["start_time"], made["end_time"]) == (1.0, 9)
    assert [(turn["role"], turn["time"]) for turn in made["conversation"]] == [
        ("user", 1.0),
        ("assistant", 4.0),
        ("assistant", 9),
    ]
    assert made["conversation"][1]["content"] == "It rains. A bus stops."
    sample = parse(made, "x")
    assert sample.kind == "stream"
    watched = [(part.options["start_s"], part.options["end_s"]) for part in media_of(sample.messages)]
    assert watched == [(1.0, 4.0), (4.0, 9)]


words = st.lists(st.sampled_from("a red dog cat runs sits sun rain falls door opens".split()), min_size=1, max_size=6)
times = st.tuples(st.integers(0, 300), st.integers(1, 100))
events = st.lists(st.tuples(times, words), min_size=1, max_size=6)


@given(events, events)
def test_samples_are_training_data_and_hold_true(mine: Any, others: Any) -> None:
    one, other = (
        dense(name, [Event(s / 10, (s + d) / 10, " ".join(text)) for (s, d), text in found])
        for name, found in (("a.mp4", mine), ("b.mp4", others))
    )
    made = samples(one, [other, one])
    assert made == samples(one, [other, one])
    for annotation in made:
        parse(json.loads(json.dumps(annotation)), "x", Path("/data"))
    for question, answer in turns(made):
        if re.match(r"When|Between|Find", question):
            said = {e.text: f"From {e.start_s:.1f} to {e.end_s:.1f} seconds." for e in one.events}
            [event] = [e for e in one.events if f" {e.text}" in question and answer == said[e.text]]
            assert all(likeness(event.text, e.text) < 0.5 for e in one.events if e is not event)


def test_dense_captions_of_both_forms_and_none() -> None:
    plain = [{"start_s": 0, "end_s": 2.5, "text": "A dog runs."}]
    pairs = {"timestamps": [[0, 2.5]], "sentences": ["A dog runs."]}
    assert parse_events(plain, "x") == parse_events(pairs, "x") == [Event(0, 2.5, "A dog runs.")]
    for bad in (["a"], [{"start_s": 0}], {"timestamps": [[0, 1]], "sentences": []}, {"timestamps": [[1]]}, 3, None):
        with pytest.raises(UserError, match="x: not a dense caption"):
            parse_events(bad, "x")
    with pytest.raises(UserError, match="must start before its end"):
        dense("a.mp4", [Event(3, 2, "x")])
    with pytest.raises(UserError, match=r"a\.mp4: no event"):
        dense("a.mp4", [Event(0, 1, " ")])
    assert isinstance(COOK, Dense) and len(KINDS) == 7
