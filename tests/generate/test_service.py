"""The service: many requests side by side, and none harmed by another's cancellation or fault at any stage."""

import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tiny import tiny_checkpoint, tiny_config
from vl3.chat import Message, question
from vl3.errors import UserError
from vl3.generate import Answer, Assistant, Busy, Cancelled, Service, ServiceConfig
from vl3.generate.engine import Engine
from vl3.generate.prefixes import Prefix, PrefixStore, text_fingerprints
from vl3.generate.sight import VisualTokens
from vl3.media import Decoder, FetchLimits
from vl3.model import KVCache

RNG = np.random.default_rng(0)
PICTURE = Image.fromarray(RNG.integers(0, 256, (60, 80, 3), dtype=np.uint8))
CLIP = RNG.integers(0, 256, (6, 56, 84, 3), dtype=np.uint8)
REQUESTS: list[list[Message]] = [
    question([], "Hello?"),
    question([PICTURE], "What?"),
    question([CLIP], "What happens?"),
    question([PICTURE, PICTURE.resize((40, 40))], "Same?"),
    question([CLIP[:2], PICTURE], "And?"),
    question([], "A longer question, " * 12),
]
SMALL = ServiceConfig(prefill_chunk=16, vision_chunk=24)
CACHING = replace(SMALL, prefix_bytes=64 << 20, vision_bytes=64 << 20)
LONG = 100_000


@pytest.fixture(scope="module")
def assistant() -> Iterator[Assistant]:
    assistant = Assistant(tiny_checkpoint(), Decoder(60, FetchLimits()))
    yield assistant
    assistant.close()


@pytest.fixture(scope="module")
def alone(assistant: Assistant) -> list[str]:
    return [assistant.chat(messages, max_new_tokens=12).text for messages in REQUESTS]


@pytest.mark.parametrize("config", [ServiceConfig(), SMALL, replace(SMALL, max_running=2), CACHING])
def test_answers_are_those_of_each_alone(assistant: Assistant, alone: list[str], config: ServiceConfig) -> None:
    assert len(set(alone)) == len(alone), "answers must differ for this to mean anything"
    with Service(assistant, config) as service:
        for order in (range(6), reversed(range(6))):
            tickets = {i: service.submit(REQUESTS[i], max_new_tokens=12) for i in order}
            assert [tickets[i].answer.text for i in range(6)] == alone
        stats = service.stats()
    assert (stats.finished, stats.failed, stats.running, stats.waiting) == (12, 0, 0, 0)
    assert stats.generated_tokens == 12 * 12


def test_the_pieces_are_the_answer(assistant: Assistant, alone: list[str]) -> None:
    with Service(assistant, SMALL) as service:
        ticket = service.submit(REQUESTS[2], max_new_tokens=12)
        pieces = list(ticket)
        assert len(pieces) > 3
        assert "".join(piece.text for piece in pieces) == ticket.answer.text == alone[2]
        assert list(ticket) == []


def test_settings_are_each_requests_own(assistant: Assistant) -> None:
    options: list[Any] = [
        {"max_new_tokens": 3},
        {"temperature": 1.5, "seed": 1, "max_new_tokens": 15},
        {"temperature": 1.5, "seed": 2, "max_new_tokens": 15},
        {"repetition_penalty": 1.5, "max_new_tokens": 15},
    ]
    alone = [assistant.chat(REQUESTS[1], **each).text for each in options]
    with Service(assistant, SMALL) as service:
        tickets = [service.submit(REQUESTS[1], **each) for each in options]
        assert [ticket.answer.text for ticket in tickets] == alone
    assert len(set(alone)) == 4


def test_answers_go_on_while_a_long_prompt_is_read(assistant: Assistant) -> None:
    """Between two tokens of a running answer at most one chunk of another's prompt is fed."""
    fed: list[list[int]] = []
    feed = Engine.feed

    def watching(self: Engine, work: Any) -> Any:
        fed.append([n for _, n in work])
        return feed(self, work)

    with pytest.MonkeyPatch.context() as patch, Service(assistant, SMALL) as service:
        patch.setattr(Engine, "feed", watching)
        first = service.submit(REQUESTS[0], max_new_tokens=200)
        next(first)
        service.submit(REQUESTS[5], max_new_tokens=2).answer  # noqa: B018
        first.cancel()
    mixed = [lengths for lengths in fed if len(lengths) == 2]
    assert len(mixed) >= 10
    assert all(lengths[0] == 1 and lengths[1] <= 16 for lengths in mixed)


def test_a_full_queue_refuses(assistant: Assistant) -> None:
    with Service(assistant, replace(SMALL, max_running=1, max_waiting=2)) as service:
        running = service.submit(REQUESTS[0], max_new_tokens=LONG)
        next(running)
        waiting = [service.submit(REQUESTS[i], max_new_tokens=1) for i in (0, 1)]
        with pytest.raises(Busy, match="2 requests are waiting"):
            service.submit(REQUESTS[0])
        running.cancel()
        assert all(isinstance(ticket.answer, Answer) for ticket in waiting)


def test_cancelling_frees_at_once(assistant: Assistant) -> None:
    with Service(assistant, replace(SMALL, max_running=1)) as service:
        running = service.submit(REQUESTS[0], max_new_tokens=LONG)
        next(running)
        queued = service.submit(REQUESTS[2], max_new_tokens=LONG)
        assert service.stats().kv_bytes > 0
        for ticket in (queued, running, running):
            ticket.cancel()
            with pytest.raises(Cancelled):
                _ = ticket.answer
        with pytest.raises(Cancelled):
            list(running)
        assert service.submit(REQUESTS[1], max_new_tokens=2).answer.text
        stats = service.stats()
        assert (stats.cancelled, stats.finished, stats.kv_bytes) == (2, 1, 0)


def test_cancelling_breaks_off_a_medium_that_is_being_read(assistant: Assistant, tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "a.png")
    messages = question([tmp_path / "a.png"], "?")
    other = Assistant(assistant.checkpoint, Decoder(60, FetchLimits()))
    with Service(other, replace(SMALL, num_decoders=1)) as service:
        assert service.submit(messages, max_new_tokens=2).answer.text
        child = other.decoder._child
        assert child is not None
        child.send_signal(signal.SIGSTOP)  # now whatever it is asked to read hangs
        stuck = service.submit(messages, max_new_tokens=2)
        after = service.submit(messages, max_new_tokens=2)
        time.sleep(0.2)
        assert service.stats().waiting == 2
        stuck.cancel()
        assert after.answer.num_generated_tokens == 2
        with pytest.raises(Cancelled):
            _ = stuck.answer
    other.close()


def test_draining_finishes_what_was_accepted(assistant: Assistant) -> None:
    with Service(assistant, SMALL) as service:
        tickets = [service.submit(messages, max_new_tokens=8) for messages in REQUESTS]
        assert service.drain(60)
        assert all(ticket.ended for ticket in tickets)
        with pytest.raises(Busy, match="shutting down"):
            service.submit(REQUESTS[0])
    with Service(assistant, SMALL) as service:
        endless = service.submit(REQUESTS[0], max_new_tokens=LONG)
        assert not service.drain(0.05)
    with pytest.raises(Cancelled):
        _ = endless.answer


def test_bad_media_fail_alone(assistant: Assistant, alone: list[str], tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with Service(assistant, SMALL) as service:
        bad = [service.submit(question([tmp_path / name], "?")) for name in ("bad.png", "none.mp4")]
        good = service.submit(REQUESTS[1], max_new_tokens=12)
        for ticket in bad:
            with pytest.raises(UserError, match=r"bad\.png|none\.mp4"):
                _ = ticket.answer
        assert good.answer.text == alone[1]
        with pytest.raises(UserError, match="temperature"):
            service.submit(REQUESTS[0], temperature=-1)


def test_a_request_too_large_for_memory_is_refused(assistant: Assistant) -> None:
    with Service(assistant, replace(SMALL, kv_bytes=200_000)) as service:
        large = service.submit(question([], "x" * 3000), max_new_tokens=2)
        small = service.submit(REQUESTS[0], max_new_tokens=2)
        with pytest.raises(UserError, match="keys and values, more than the limit"):
            _ = large.answer
        assert small.answer.num_generated_tokens == 2


def test_a_fault_of_the_engine_itself_leaves_nobody_waiting(
    assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    monkeypatch.setattr("vl3.generate.scheduler.Scheduler.tick", lambda _: 1 / 0)
    with Service(assistant, SMALL) as service:
        with pytest.raises(RuntimeError, match="the engine stopped"):
            _ = service.submit(REQUESTS[0]).answer
        with pytest.raises(Busy):
            service.submit(REQUESTS[0])


# ----------------------------------------------------------------------------------------------------------- reuse


def test_the_same_clip_again_is_neither_encoded_nor_read_again(assistant: Assistant) -> None:
    first, second = (question([CLIP], text, system="Be brief.") for text in ("What happens?", "Who is it?"))
    expected = [assistant.chat(messages, max_new_tokens=8).text for messages in (first, second)]
    encoded: list[int] = []
    encode = VisualTokens._encode

    def counting(self: VisualTokens, model: Any, visual: Any, frames: list[int]) -> None:
        encoded.append(len(frames))
        encode(self, model, visual, frames)

    with pytest.MonkeyPatch.context() as patch, Service(assistant, CACHING) as service:
        patch.setattr(VisualTokens, "_encode", counting)
        answers = [service.submit(messages, max_new_tokens=8).answer for messages in (first, second)]
        stats = service.stats()
    assert [answer.text for answer in answers] == expected
    assert sum(encoded) == 6
    assert answers[0].num_cached_tokens == 0
    assert answers[1].num_cached_tokens > answers[1].num_visual_tokens + len("Be brief.")
    assert stats.vision_hits == 1 and stats.prefix_bytes > 0 and stats.vision_bytes > 0


def test_a_kept_prefix_is_taken_over_without_a_copy(assistant: Assistant) -> None:
    questions = [question([CLIP], text) for text in ("What happens?", "Who is it?", "Where?")]
    expected = [assistant.chat(messages, max_new_tokens=8).text for messages in questions]
    moved: list[int] = []

    def refused(_self: KVCache, _other: KVCache, length: int) -> None:
        moved.append(length)

    with pytest.MonkeyPatch.context() as patch, Service(assistant, CACHING) as service:
        patch.setattr(KVCache, "copy_prefix", refused)
        answers = [service.submit(messages, max_new_tokens=8).answer for messages in questions]
    assert [answer.text for answer in answers] == expected and not moved
    assert all(answer.num_cached_tokens > answer.num_visual_tokens for answer in answers[1:])


def test_a_long_prefix_is_not_given_up_for_a_short_one() -> None:
    store, config = PrefixStore(1 << 20), tiny_config().language

    def read(tokens: list[int]) -> Prefix:
        cache = KVCache(config, torch.device("cpu"), torch.float32, capacity=len(tokens))
        rows = torch.tensor(tokens, dtype=torch.float32)[:, None, None].expand(-1, config.num_kv_heads, config.head_dim)
        for layer in range(config.num_layers):
            cache.append(layer, rows, rows)
        cache.advance(len(tokens))
        return Prefix(text_fingerprints(tokens), cache)

    def keys(cache: KVCache) -> list[float]:
        nothing = torch.empty(0, config.num_kv_heads, config.head_dim)
        return cache.append(1, nothing, nothing)[0][0, :, 0].tolist()

    long, empty = read(list(range(100))), KVCache(config, torch.device("cpu"), torch.float32)
    store.add(long)
    given = store.give(long, 20, empty)
    assert given is empty and keys(given) == list(range(20)) and store.prefixes == [long]
    given = store.give(long, 60, empty)
    assert given is long.cache and keys(given) == list(range(60)) and not store.prefixes


def test_what_a_cancelled_request_had_read_is_kept(assistant: Assistant) -> None:
    asked = question([], "A beginning that takes its time. " * 20)
    with Service(assistant, CACHING) as service:
        ticket = service.submit(asked, max_new_tokens=500)
        next(iter(ticket))
        ticket.cancel()
        again = service.submit(asked, max_new_tokens=4).answer
    assert again.num_cached_tokens >= again.num_prompt_tokens - 1
    assert again.text == assistant.chat(asked, max_new_tokens=4).text


def test_one_changed_pixel_is_another_clip(assistant: Assistant) -> None:
    other = CLIP.copy()
    other[3, 10, 10] ^= 128
    expected = [assistant.chat(question([clip], "?"), max_new_tokens=8).text for clip in (CLIP, other)]
    with Service(assistant, CACHING) as service:
        answers = [service.submit(question([clip], "?"), max_new_tokens=8).answer for clip in (CLIP, other)]
    assert [answer.text for answer in answers] == expected
    assert answers[1].num_cached_tokens < 30


def test_requests_in_flight_share_what_is_read(assistant: Assistant) -> None:
    with Service(assistant, replace(SMALL, vision_bytes=1 << 20)) as service:
        tickets = [service.submit(question([], "The same long beginning, " * 8 + text)) for text in ("a", "b", "c")]
        answers = [ticket.answer for ticket in tickets]
    fed = sum(answer.num_prompt_tokens - answer.num_cached_tokens for answer in answers)
    assert fed < 1.5 * answers[0].num_prompt_tokens


@pytest.mark.parametrize("limit", [1, 20_000, 100_000])
def test_what_is_kept_stays_within_its_limit(assistant: Assistant, alone: list[str], limit: int) -> None:
    with Service(assistant, replace(SMALL, prefix_bytes=limit, vision_bytes=limit)) as service:
        for _ in range(2):
            assert [service.submit(m, max_new_tokens=12).answer.text for m in REQUESTS] == alone
            stats = service.stats()
            assert stats.prefix_bytes <= limit and stats.vision_bytes <= limit


# ------------------------------------------------------------------------------------------ logprobs and constraints


def test_logprobs_are_the_models(assistant: Assistant) -> None:
    messages = question([], "Hello?")
    with Service(assistant, SMALL) as service:
        ticket = service.submit(messages, max_new_tokens=5, logprobs=3, temperature=0.7, seed=1)
        pieces = [token for piece in ticket for token in piece.tokens]
    answer = ticket.answer
    assert pieces == answer.tokens and len(answer.tokens) == answer.num_generated_tokens
    model, processor = assistant.checkpoint.model, assistant.processor
    ids = torch.cat([processor.inputs(messages, [], []).input_ids, torch.tensor([token.id for token in pieces])])
    with torch.inference_mode():
        logits = model.logits(model(ids, [len(ids)]))
    expected = logits.log_softmax(-1)[-len(pieces) - 1 : -1]
    for token, row in zip(pieces, expected, strict=True):
        assert token.logprob == pytest.approx(float(row[token.id]), abs=1e-4)
        assert [top.id for top in token.top] == row.topk(3).indices.tolist()
        assert token.text == assistant.checkpoint.tokenizer.decode([token.id], skip_special_tokens=False)
    with pytest.raises(UserError, match="logprobs"):
        assistant.chat(messages, logprobs=21)


class Spell:
    """Allows one text only, then the end."""

    def __init__(self, ids: list[int], end: int) -> None:
        self.ids = [*ids, end]

    def allowed(self, generated: list[int]) -> torch.Tensor:
        mask = torch.zeros(max(self.ids) + 1, dtype=torch.bool)
        mask[self.ids[len(generated)]] = True
        return mask


class Nothing:
    def allowed(self, _generated: list[int]) -> torch.Tensor:
        return torch.zeros(10, dtype=torch.bool)


def test_constraints_hold_and_fail_alone(assistant: Assistant, alone: list[str]) -> None:
    tokenizer, end = assistant.checkpoint.tokenizer, assistant.checkpoint.eos_token_ids[0]
    with Service(assistant, SMALL) as service:
        spelt = service.submit(REQUESTS[1], constraint=Spell(tokenizer.encode('{"a": 1}').ids, end))
        stuck = service.submit(REQUESTS[1], constraint=Nothing())
        free = service.submit(REQUESTS[1], max_new_tokens=12)
        assert spelt.answer.text == '{"a": 1}' and spelt.answer.finish_reason == "stop"
        assert free.answer.text == alone[1]
        with pytest.raises(UserError, match="allows no token"):
            _ = stuck.answer


def test_what_the_model_sees_is_there_before_the_answer(assistant: Assistant) -> None:
    with Service(assistant, SMALL) as service:
        ticket = service.submit(REQUESTS[2], max_new_tokens=LONG)
        prepared = ticket.prepared
        assert prepared is not None and not ticket.ended
        assert prepared.inputs.visuals[0].grid[0] == len(CLIP)
        ticket.cancel()
        broken = service.submit(question(["/nowhere.mp4"], "?"))
        assert broken.prepared is None
        with pytest.raises(UserError, match="no such file"):
            _ = broken.answer


@pytest.mark.parametrize("when", ["at once", "midway", "after the end"])
def test_listening_gives_what_iterating_gives(assistant: Assistant, alone: list[str], when: str) -> None:
    with Service(assistant, SMALL) as service:
        ticket = service.submit(REQUESTS[0], max_new_tokens=12)
        heard: list[str | None] = []
        while when == "midway" and ticket._pieces.qsize() < 3:
            time.sleep(0.001)
        if when == "after the end":
            _ = ticket.answer
        ticket.listen(lambda piece: heard.append(None if piece is None else piece.text))
        assert ticket.answer.text == alone[0]
        end = time.monotonic() + 5
        while None not in heard and time.monotonic() < end:
            time.sleep(0.001)
    assert heard[-1] is None and heard.count(None) == 1
    assert "".join(text for text in heard if text is not None) == alone[0]
