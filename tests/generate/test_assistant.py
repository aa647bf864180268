"""The Python API: asking, streaming, batching, conversing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vl3.chat import Message, question
from vl3.errors import UserError
from vl3.generate import Answer, Assistant, Conversation

RNG = np.random.default_rng(0)
PICTURE = Image.fromarray(RNG.integers(0, 256, (60, 80, 3), dtype=np.uint8))
CLIP = RNG.integers(0, 256, (4, 56, 84, 3), dtype=np.uint8)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    PICTURE.save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_ask_a_file(assistant: Assistant, photo: Path) -> None:
    answer = assistant.ask(photo, "What is this?", max_new_tokens=12)
    assert answer.finish_reason in ("stop", "length")
    assert 0 < answer.num_generated_tokens <= 12
    assert answer.num_visual_tokens == answer.num_visual_tokens_unpruned == 4 * 6
    assert answer.num_prompt_tokens > answer.num_visual_tokens + len("What is this?")
    assert answer.frame_times_s == [[0.0]]
    assert set(answer.timings_s) == {"media", "prefill", "generate"}
    assert str(answer) == answer.text
    assert answer.text == assistant.ask(PICTURE, "What is this?", max_new_tokens=12).text


def test_pictures_and_clips_change_the_answer(assistant: Assistant) -> None:
    answers = {
        assistant.ask(*media, "What?", max_new_tokens=20).text
        for media in ([], [PICTURE], [PICTURE.rotate(90)], [CLIP], [CLIP, PICTURE], [PICTURE, CLIP])
    }
    assert len(answers) == 6


def test_options_reach_the_pipeline(assistant: Assistant) -> None:
    clip = np.kron(CLIP, np.ones((1, 2, 2, 1), np.uint8))
    full = assistant.ask(clip, "?", max_new_tokens=1, prune="off")
    few = assistant.ask(clip, "?", max_new_tokens=1, num_frames=2)
    small = assistant.ask(clip, "?", max_new_tokens=1, max_tokens=64)
    still = assistant.ask(np.repeat(CLIP[:1], 4, axis=0), "?", max_new_tokens=1)
    assert full.frame_times_s == [[0.0, 1.0, 2.0, 3.0]]
    assert len(few.frame_times_s[0]) == 2 and few.num_visual_tokens_unpruned < full.num_visual_tokens_unpruned
    assert small.num_visual_tokens_unpruned <= 64 < full.num_visual_tokens_unpruned
    assert still.num_visual_tokens == still.num_visual_tokens_unpruned // 4 + 3


def test_the_stream_is_the_answer(assistant: Assistant) -> None:
    messages = question([CLIP], "What?")
    stream = assistant.stream(messages, max_new_tokens=20)
    pieces = list(stream)
    assert len(pieces) > 3
    assert "".join(pieces) == stream.answer.text == assistant.chat(messages, max_new_tokens=20).text
    assert list(stream) == []


def test_stop_strings_and_limits(assistant: Assistant) -> None:
    whole = assistant.ask("Tell me.", max_new_tokens=30)
    assert whole.num_generated_tokens == 30 and whole.finish_reason == "length"
    mark = whole.text[5:8]
    stopped = assistant.ask("Tell me.", max_new_tokens=30, stop=[mark])
    assert stopped.text == whole.text[: whole.text.find(mark)]
    assert stopped.finish_reason == "stop"


def test_sampling_is_repeatable_with_a_seed(assistant: Assistant) -> None:
    options: dict[str, Any] = {"temperature": 1.5, "max_new_tokens": 20}
    a, b, c = (assistant.ask("Hi", seed=seed, **options).text for seed in (1, 1, 2))
    assert a == b != c


REQUESTS: list[list[Message]] = [
    question([], "Hello?"),
    question([PICTURE], "What?"),
    question([PICTURE, PICTURE.resize((40, 40))], "Same?"),
    question([CLIP], "What happens?"),
    question([CLIP[:2], PICTURE], "And?"),
]


def without_timings(answers: list[Answer | UserError]) -> list[tuple[Any, ...]]:
    return [(a.text, a.finish_reason, a.num_prompt_tokens) for a in answers if isinstance(a, Answer)]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 8])
def test_batches_of_any_size_give_the_answers_of_each_alone(assistant: Assistant, batch_size: int) -> None:
    alone = [assistant.chat(messages, max_new_tokens=15) for messages in REQUESTS]
    told: list[int] = []
    together = assistant.batch(
        REQUESTS, batch_size=batch_size, max_new_tokens=15, on_answer=lambda index, _: told.append(index)
    )
    assert without_timings(together) == without_timings(list(alone))
    assert sorted(told) == list(range(len(REQUESTS)))


def test_sampled_answers_do_not_depend_on_the_batch(assistant: Assistant) -> None:
    alone = [assistant.chat(messages, temperature=1.0, seed=3, max_new_tokens=12) for messages in REQUESTS]
    together = assistant.batch(REQUESTS, temperature=1.0, seed=3, max_new_tokens=12)
    assert without_timings(together) == without_timings(list(alone))


def test_a_failing_request_harms_no_other(assistant: Assistant, tmp_path: Path) -> None:
    requests = [REQUESTS[0], question([tmp_path / "none.png"], "?"), REQUESTS[1]]
    with pytest.raises(UserError, match=r"request 1: .*none\.png"):
        assistant.batch(requests, max_new_tokens=5)
    first, failed, last = assistant.batch(requests, max_new_tokens=5, return_errors=True)
    assert isinstance(failed, UserError) and "none.png" in str(failed)
    assert without_timings([first, last]) == without_timings(
        [assistant.chat(r, max_new_tokens=5) for r in (REQUESTS[0], REQUESTS[1])]
    )


def converse(assistant: Assistant) -> tuple[Conversation, list[Answer]]:
    talk = Conversation(assistant, system="Be brief.", max_new_tokens=10)
    return talk, [talk.ask(CLIP, "What?").answer, talk.ask("Why?").answer, talk.ask(PICTURE, "And this?").answer]


def test_a_conversation_answers_as_if_it_were_read_anew(assistant: Assistant, monkeypatch: pytest.MonkeyPatch) -> None:
    talk, answers = converse(assistant)
    assert [message["role"] for message in talk.messages] == ["system", *["user", "assistant"] * 3]
    for turn in range(2):
        assert assistant.chat(talk.messages[: 2 + 2 * turn], max_new_tokens=10).text == answers[turn].text
    monkeypatch.setattr("vl3.generate.conversation.common_length", lambda *_: 0)
    assert without_timings(list(converse(assistant)[1])) == without_timings(list(answers))


def test_a_conversation_reads_only_what_is_new(assistant: Assistant, monkeypatch: pytest.MonkeyPatch) -> None:
    fed: list[int] = []
    language = assistant.checkpoint.model.language
    forward = language.forward

    def counting(x: torch.Tensor, *rest: Any) -> torch.Tensor:
        fed.append(x.shape[0])
        return forward(x, *rest)

    monkeypatch.setattr(language, "forward", counting)
    talk = Conversation(assistant, max_new_tokens=5)
    first = talk.ask(CLIP, "What?").answer
    fed.clear()
    second = talk.ask("Why?").answer
    assert fed[0] < second.num_prompt_tokens - first.num_prompt_tokens + 5
    assert fed[0] >= len("<|im_start|>user\nWhy?".replace("<|im_start|>", "x"))


def test_a_broken_off_turn_leaves_no_trace(assistant: Assistant) -> None:
    talk = Conversation(assistant, max_new_tokens=10)
    kept = talk.ask(PICTURE, "What?").answer
    broken = talk.ask(CLIP, "And?")
    next(broken)
    del broken
    with pytest.raises(UserError):
        list(talk.ask("no-such-file.mp4", "And this?"))
    assert len(talk.messages) == 2
    again = talk.ask("Why?").answer
    assert again.text == assistant.chat(talk.messages[:-1], max_new_tokens=10).text
    assert kept.text == talk.messages[1]["content"]


def test_mistakes_are_named(assistant: Assistant) -> None:
    with pytest.raises(UserError, match="question comes last"):
        assistant.ask(PICTURE)
    with pytest.raises(UserError, match="no messages"):
        assistant.chat([])
    with pytest.raises(UserError, match="did you mean 'max_frames'"):
        assistant.ask("Hi", max_frame=3)  # type: ignore[call-arg]
    with pytest.raises(UserError, match="temperature must be 0 or"):
        assistant.ask("Hi", temperature=-1)
    for option in ({"seed": 2**70}, {"temperature": 1e-320}, {"repetition_penalty": 1e-45}, {"start_s": float("nan")}):
        with pytest.raises(UserError, match="options"):
            assistant.ask("Hi", **option)  # type: ignore[typeddict-item]
    for option in ({"max_tokens": 0}, {"prune": "budget=inf"}, {"prune": "off=3"}, {"patch_size": 7}):
        with pytest.raises(UserError):
            assistant.ask(PICTURE, "Hi", **option)  # type: ignore[typeddict-item, call-arg]
    assert assistant.ask("half a pair \ud800", max_new_tokens=1).num_generated_tokens == 1
    with pytest.raises(UserError, match=r"more than the model's 4096.*--max-frames"):
        assistant.ask("x" * 5000)


def test_a_later_question_breaks_off_an_unread_answer(assistant: Assistant) -> None:
    talk = Conversation(assistant, max_new_tokens=8)
    unread = talk.ask("A first story")
    next(unread)
    second = talk.ask("A second one").answer
    assert second.text == Conversation(assistant, max_new_tokens=8).ask("A second one").answer.text
    assert [message["role"] for message in talk.messages] == ["user", "assistant"]
    with pytest.raises(UserError, match="broken off"):
        _ = unread.answer
    with pytest.raises(UserError, match="ask something"):
        talk.ask()
