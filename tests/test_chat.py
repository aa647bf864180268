"""Prompts: the published format, labels, jinja templates that render the same, and the message forms people send."""

from typing import Any

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vl3.chat import MediaPart, Slot, Text, from_authors, jinja_template, media_of, question, render
from vl3.errors import UserError


def flat(pieces: list[Text | Slot], placeholder: str = "<image>") -> str:
    return "".join(piece.text if isinstance(piece, Text) else placeholder for piece in pieces)


def supervised(pieces: list[Text | Slot]) -> list[str]:
    return [piece.text for piece in pieces if isinstance(piece, Text) and piece.supervised]


IMAGE: dict[str, Any] = {"type": "image", "image": "a.jpg"}
VIDEO: dict[str, Any] = {"type": "video", "video": "b.mp4"}


def test_image_prompt() -> None:
    pieces = render([{"role": "user", "content": [IMAGE, {"type": "text", "text": "What?"}]}], [None])
    assert flat(pieces) == "<|im_start|>user\n<image>\nWhat?<|im_end|>\n<|im_start|>assistant\n"
    assert supervised(pieces) == []


def test_video_prompt_with_times_and_several_media() -> None:
    content = [VIDEO, IMAGE, VIDEO, {"type": "text", "text": "Compare."}]
    pieces = render([{"role": "user", "content": content}], [[0.0, 1.04], None, [2.25]])
    expected = "<|im_start|>user\nTime 0.0s:<image>,Time 1.0s:<image>\n<image>\nTime 2.2s:<image>\nCompare.<|im_end|>\n"
    assert flat(pieces) == expected + "<|im_start|>assistant\n"
    assert [(p.media, p.frame) for p in pieces if isinstance(p, Slot)] == [(0, 0), (0, 1), (1, 0), (2, 0)]


def test_only_assistant_turns_are_trained_on_without_the_last_newline() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Bye"},
        {"role": "assistant", "content": "Bye."},
    ]
    pieces = render(messages, [], add_generation_prompt=False)
    assert supervised(pieces) == ["Hello.<|im_end|>", "Bye.<|im_end|>"]
    assert flat(pieces).endswith("<|im_start|>assistant\nBye.<|im_end|>\n")


def test_stream_turns_show_times_and_train_the_decision_after_each_frame() -> None:
    frames = [{"type": "image", "image": f"{i}.jpg", "time": float(i)} for i in range(3)]
    messages = [{"role": "stream", "content": frames}, {"role": "assistant", "content": "A cat."}]
    pieces = render(messages, [None] * 3, add_generation_prompt=False)
    assert flat(pieces) == (
        "<|stream_start|>stream\nTime 0.0s: <image>\nTime 1.0s: <image>\nTime 2.0s: <image>\n<|stream_end|>\n"
        "<|im_start|>assistant\nA cat.<|im_end|>\n"
    )
    assert supervised(pieces) == ["Time", "Time", "<|stream_end|>", "A cat.<|im_end|>"]


def test_a_stream_frame_without_its_time_is_an_error() -> None:
    with pytest.raises(UserError, match="needs its time"):
        render([{"role": "stream", "content": [IMAGE]}], [None])


text = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)


turn = st.tuples(text, st.sampled_from(["none", "image", "video"]), text)


@given(st.lists(turn, min_size=1, max_size=4), st.booleans())
def test_jinja_templates_render_the_same(turns: list[tuple[str, str, str]], generate: bool) -> None:
    messages: list[dict[str, Any]] = [{"role": "system", "content": "S"}]
    times: list[list[float] | None] = []
    for said, medium, answer in turns:
        content: list[dict[str, Any]] = [{"type": "text", "text": said}]
        if medium == "image":
            content.insert(0, dict(IMAGE))
            times.append(None)
        elif medium == "video":
            content.insert(0, {**VIDEO, "num_frames": 3, "timestamps": [0.0, 1.5, 3.96]})
            times.append([0.0, 1.5, 3.96])
        messages += [{"role": "user", "content": content}, {"role": "assistant", "content": answer}]
    pieces = render([_plain(message) for message in messages], times, generate)
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False)
    for layout, placeholder in (("authors", "<image>"), ("transformers", "<|image_pad|>")):
        template = environment.from_string(jinja_template(layout))  # type: ignore[arg-type]
        rendered = template.render(messages=messages, add_generation_prompt=generate)
        if layout == "transformers":  # its processor expands each video placeholder into frames with their times
            frames = ",".join(f"Time {t}s:{placeholder}" for t in ("0.0", "1.5", "4.0"))
            rendered = rendered.replace("<|video_pad|>", frames)
        assert rendered == flat(pieces, placeholder)


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    """Without what only the authors' template reads."""
    if isinstance(message["content"], str):
        return message
    parts = [{k: v for k, v in p.items() if k not in ("num_frames", "timestamps")} for p in message["content"]]
    return {**message, "content": parts}


def test_a_stream_renders_the_same_in_jinja() -> None:
    messages = [{"role": "stream", "content": [{**IMAGE, "time": 0.5}, {**IMAGE, "time": 1.5}]}]
    rendered = jinja2.Environment().from_string(jinja_template("authors")).render(messages=messages)
    assert rendered == flat(render(messages, [None, None], add_generation_prompt=False))


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {"type": "image_url", "image_url": {"url": "http://x/a.png", "detail": "low"}},
            ("image", "http://x/a.png", {}),
        ),
        ({"type": "image_url", "image_url": "http://x/a.png"}, ("image", "http://x/a.png", {})),
        ({"type": "image", "url": "http://x/a.png"}, ("image", "http://x/a.png", {})),
        ({"type": "image", "image": {"image_path": "a.png"}}, ("image", "a.png", {})),
        ({"type": "video_url", "video_url": {"url": "b.mp4"}, "fps": 2}, ("video", "b.mp4", {"fps": 2})),
        (
            {"type": "video", "video": {"video_path": "b.mp4", "fps": 1, "max_frames": 9, "start_time": 3}},
            ("video", "b.mp4", {"fps": 1, "max_frames": 9, "start_s": 3}),
        ),
        ({"type": "video", "path": "b.mp4"}, ("video", "b.mp4", {})),
        ({"type": "media", "media": "c"}, (None, "c", {})),
    ],
)
def test_part_forms(part: dict[str, Any], expected: tuple[str | None, str, dict[str, Any]]) -> None:
    [found] = media_of([{"role": "user", "content": [part]}])
    assert found == MediaPart(expected[0], expected[1], None, expected[2])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([{"role": "robot", "content": "x"}], "unknown role 'robot'"),
        ([{"role": "user", "content": 3}], "must be text or a list"),
        ([{"role": "user", "content": [{"type": "audio"}]}], "its type must be"),
        ([{"role": "user", "content": [{"type": "video", "video": "a", "fsp": 1}]}], "unknown option 'fsp'"),
        ([{"role": "user", "content": [{"type": "image"}]}], "must name its image"),
        ([{"role": "user", "content": [{"type": "text"}]}], "needs its text"),
        ([{"role": "user", "content": [4]}], "must be text or a mapping"),
        ([{"role": "user", "content": [IMAGE]}], "place more images"),
        ([{}], "unknown role None"),
        (["hi"], "must be a mapping"),
    ],
)
def test_bad_messages_say_what_is_wrong(messages: list[Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        render(messages, [])


def test_unplaced_media_are_an_error() -> None:
    with pytest.raises(UserError, match="1 images and videos given, but the messages place 0"):
        render([{"role": "user", "content": "Hi"}], [None])


def test_authors_conversations() -> None:
    turns = [{"from": "human", "value": "<image>\nAnd <image> differ?"}, {"from": "gpt", "value": "Yes <image>."}]
    messages = from_authors(turns, images=["a", "b"])
    assert messages == [
        {
            "role": "user",
            "content": [
                {"type": "image", "image": "a"},
                {"type": "text", "text": "And"},
                {"type": "image", "image": "b"},
                {"type": "text", "text": "differ?"},
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "Yes <image>."}]},
    ]


def test_authors_media_without_placeholder_go_first() -> None:
    [message] = from_authors([{"from": "human", "value": "What?"}], videos=["v"])
    assert message["content"] == [{"type": "video", "video": "v"}, {"type": "text", "text": "What?"}]


@pytest.mark.parametrize(
    ("value", "images", "says"),
    [("<image> <image>", ["a"], "more <image> placeholders"), ("<image>", ["a", "b"], "2 images and videos, but 1")],
)
def test_authors_mismatches(value: str, images: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        from_authors([{"from": "human", "value": value}], images=images)


def test_question_builds_one_user_message() -> None:
    [system, user] = question(["a.jpg", "b.mp4"], "What?", system="S")
    assert system == {"role": "system", "content": "S"}
    assert [part["type"] for part in user["content"]] == ["media", "media", "text"]
