"""Streamed text is the text, in whole characters, and stops where it should."""

from hypothesis import given
from hypothesis import strategies as st

from tests.tiny import SPECIALS, tiny_tokenizer, token_id
from vl3.generate.text import TextStream

TOKENIZER = tiny_tokenizer()


def stream(ids: list[int], stop: tuple[str, ...] = ()) -> tuple[list[str], TextStream]:
    text = TextStream(TOKENIZER, stop)
    pieces = [text.push(token) for token in ids]
    return [*pieces, text.finish()], text


@given(st.text(max_size=30).filter(lambda text: not any(token in text for token in SPECIALS)))
def test_pieces_make_up_the_whole_text(text: str) -> None:
    pieces, _ = stream(TOKENIZER.encode(text, add_special_tokens=False).ids)
    assert "".join(pieces) == text
    assert all("\ufffd" not in piece for piece in pieces) or "\ufffd" in text


@given(st.lists(st.integers(0, 255), max_size=12))
def test_any_bytes_end_as_the_tokenizer_decodes_them(ids: list[int]) -> None:
    pieces, _ = stream(ids)
    whole = TOKENIZER.decode(ids)
    assert "".join(pieces) == whole or "\ufffd" in whole


@given(st.text("abc", max_size=30), st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=3))
def test_a_stop_string_ends_the_text_before_it_and_never_shows(text: str, stop: list[str]) -> None:
    pieces, state = stream(TOKENIZER.encode(text, add_special_tokens=False).ids, tuple(stop))
    shown = "".join(pieces)
    assert text.startswith(shown)
    assert not any(s in shown for s in stop)
    assert state.stopped == any(s in text for s in stop)
    if not state.stopped:
        assert shown == text


def test_special_tokens_are_not_shown() -> None:
    ids = TOKENIZER.encode("a", add_special_tokens=False).ids
    pieces, _ = stream([*ids, token_id("<|stream_end|>"), *ids])
    assert "".join(pieces) == "aa"
