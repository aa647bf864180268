"""A fault, or a cancellation, of one request at any stage of its way harms no other: their answers are those of an
undisturbed run, and what it held is free again."""

import gc
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.generate.test_service import CLIP, REQUESTS
from vl3.chat import question
from vl3.generate import Assistant, Cancelled, Service, ServiceConfig, Ticket
from vl3.generate.answer import Job
from vl3.generate.engine import Engine, Sequence
from vl3.generate.prefixes import PrefixStore
from vl3.generate.sampling import Sampler
from vl3.generate.scheduler import Scheduler
from vl3.generate.sight import VisionStore, VisualTokens
from vl3.generate.text import TextStream
from vl3.log import logger
from vl3.media import Decoder
from vl3.model import KVCache, Visual
from vl3.model.language import DecoderLayer
from vl3.model.projector import Projector
from vl3.model.vision import VisionBlock
from vl3.processing import Processor, load, processor

SMALL = ServiceConfig(prefill_chunk=16, vision_chunk=24)
CACHING = replace(SMALL, prefix_bytes=64 << 20, vision_bytes=64 << 20)
UNLUCKY = question([CLIP[:5]], "What?")
"""Known by its five frames, its seed and its stop string."""
OPTIONS: dict[str, Any] = {"max_new_tokens": 12, "seed": 13, "stop": ["unlucky"], "logprobs": 1}


class OddError(RuntimeError):
    """A fault that is injected."""


@dataclass(frozen=True)
class Stage:
    """A function of the engine, and whether a call of it is about the unlucky request."""

    where: Any
    name: str
    about: Callable[..., bool]
    inside: tuple[Any, str, Callable[..., bool]] | None = None
    """A function around it, if only that knows whom it is about."""


def _its_visual(arg: Any) -> bool:
    return isinstance(arg, Visual) and arg.grid[0] == 5


def _its_sequence(arg: Any) -> bool:
    return isinstance(arg, Sequence) and arg.config.seed == 13


def _among(visuals: list[Visual]) -> bool:
    return any(map(_its_visual, visuals))


def _work(at: Callable[[Sequence], bool]) -> Callable[..., bool]:
    return lambda _self, work: any(_its_sequence(sequence) and at(sequence) for sequence, _ in work)


_ENCODING = (VisualTokens, "_encode", lambda _self, _model, visual, _frames: _its_visual(visual))
_FEEDING = (Engine, "feed", _work(lambda _: True))
STAGES = {
    "decoding": Stage(Decoder, "salvage", lambda _self, info, _size: len(info.times_s) == 5),
    "choosing frames": Stage(Decoder, "probe", lambda _self, source, *_: np.shape(source)[:1] == (5,)),
    "making patches": Stage(load, "make_visual", lambda frames, *_: len(frames) == 5),
    "pruning": Stage(processor, "keep_mask", lambda _patches, num_frames, *_: num_frames == 5),
    "writing the prompt": Stage(Processor, "inputs", lambda _self, _messages, visuals, *_: _among(visuals)),
    "beginning": Stage(Engine, "sequence", lambda _self, inputs, *_: _among(inputs.visuals)),
    "looking up what was seen": Stage(VisionStore, "look_up", lambda _self, visual: _its_visual(visual)),
    "looking for what was read": Stage(Scheduler, "_reuse", lambda _self, job: _its_sequence(job.running)),
    "encoding": Stage(VisionBlock, "forward", lambda *_: True, _ENCODING),
    "projecting": Stage(Projector, "forward", lambda *_: True, _ENCODING),
    "embedding": Stage(Engine, "_embeddings", lambda _self, sequence, _n: _its_sequence(sequence)),
    "a stretch of the prompt": Stage(Engine, "feed", _work(lambda s: s.prompt_left > 0)),
    "a layer": Stage(DecoderLayer, "forward", lambda *_: True, _FEEDING),
    "storing keys and values": Stage(KVCache, "append", lambda _self, layer, *_: layer == 1, _FEEDING),
    "a later token": Stage(Engine, "feed", _work(lambda s: len(s.generated) >= 3)),
    "drawing a token": Stage(Sampler, "next", lambda self, *_: self.config.seed == 13),
    "scoring a token": Stage(Sequence, "accept", lambda self, _: _its_sequence(self) and len(self.generated) > 1),
    "text": Stage(TextStream, "push", lambda self, _token: self._stop == ("unlucky",)),
    "the last text": Stage(TextStream, "finish", lambda self: self._stop == ("unlucky",)),
    "the answer": Stage(Job, "answer", lambda self: _its_sequence(self.running)),
}


def inject(patch: pytest.MonkeyPatch, stage: Stage, act: Callable[[], None]) -> None:
    """Calls `act` whenever the stage is reached with the unlucky request."""
    inside = threading.local()

    def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            if (stage.inside is None or getattr(inside, "on", False)) and stage.about(*args):
                act()
            return function(*args, **named)

        return call

    def marking(function: Callable[..., Any], about: Callable[..., bool]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            inside.on = about(*args)
            try:
                return function(*args)
            finally:
                inside.on = False

        return call

    patch.setattr(stage.where, stage.name, wrapped(getattr(stage.where, stage.name)))
    if stage.inside is not None:
        where, name, about = stage.inside
        patch.setattr(where, name, marking(getattr(where, name), about))


def fail() -> None:
    raise OddError("injected")


@pytest.fixture(scope="module")
def alone(assistant: Assistant) -> list[str]:
    return [assistant.chat(messages, max_new_tokens=12).text for messages in REQUESTS]


def among_others(service: Service, alone: list[str], told: list[Ticket]) -> Exception | None:
    """Submits the unlucky request among others, whose answers must be right; gives its error."""
    others = [service.submit(messages, max_new_tokens=12) for messages in REQUESTS[:3]]
    told.append(service.submit(UNLUCKY, **OPTIONS))
    others += [service.submit(messages, max_new_tokens=12) for messages in REQUESTS[3:]]
    assert [ticket.answer.text for ticket in others] == alone
    try:
        _ = told[-1].answer
    except Exception as error:
        return error
    return None


@pytest.mark.parametrize("stage", STAGES)
def test_a_fault_at_any_stage_harms_no_other(
    assistant: Assistant, alone: list[str], stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Service(assistant, CACHING) as service:
        inject(monkeypatch, STAGES[stage], fail)
        assert isinstance(among_others(service, alone, []), OddError)
        monkeypatch.undo()
        stats = service.stats()
        assert (stats.failed, stats.running, stats.waiting, stats.kv_bytes) == (1, 0, 0, 0)
        again = service.submit(UNLUCKY, **OPTIONS).answer
        assert again.text == assistant.chat(UNLUCKY, **OPTIONS).text, "what it left behind spoils nothing"


@pytest.mark.parametrize("stage", STAGES)
def test_a_cancellation_at_any_stage_harms_no_other(
    assistant: Assistant, alone: list[str], stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Ticket] = []
    reached = threading.Event()

    def cancel() -> None:
        if not reached.is_set():
            reached.set()
            threading.Thread(target=lambda: told[0].cancel()).start()  # as from a client: not the engine's thread
            told[0]._ended.wait(10)

    with Service(assistant, CACHING) as service:
        inject(monkeypatch, STAGES[stage], cancel)
        error = among_others(service, alone, told)
        assert reached.is_set()
        assert isinstance(error, Cancelled)
        while not service.stats().cancelled:  # the other thread is about to say so
            time.sleep(0.01)
        stats = service.stats()
        assert (stats.cancelled, stats.finished, stats.failed) == (1, 6, 0)
        monkeypatch.undo()
        assert service.submit(UNLUCKY, **OPTIONS).answer.num_generated_tokens
        assert service.stats().kv_bytes == 0


@pytest.mark.parametrize("where", [(PrefixStore, "add"), (KVCache, "shrink")])
def test_what_cannot_be_kept_is_not_missed(
    assistant: Assistant, alone: list[str], where: tuple[Any, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*where, lambda *_: fail())
    with Service(assistant, CACHING) as service:
        assert [service.submit(messages, max_new_tokens=12).answer.text for messages in REQUESTS] == alone
        assert service.stats().prefix_bytes == 0


class Broken:
    """A constraint with a fault after three tokens."""

    def allowed(self, generated: list[int]) -> torch.Tensor:
        if len(generated) == 3:
            fail()
        return torch.ones(272, dtype=torch.bool)


def test_a_broken_constraint_and_a_broken_reader(assistant: Assistant, alone: list[str]) -> None:
    with Service(assistant, SMALL) as service:
        broken = service.submit(REQUESTS[2], constraint=Broken())
        others = [service.submit(messages, max_new_tokens=12) for messages in REQUESTS]
        for piece in others[0]:  # whose reader gives up midway
            if piece.text:
                break
        assert [ticket.answer.text for ticket in others] == alone
        with pytest.raises(OddError):
            _ = broken.answer

        def on_answer(_index: int, _answer: Any) -> None:
            fail()

    with pytest.raises(OddError):
        assistant.batch(REQUESTS, on_answer=on_answer, max_new_tokens=12)
    assert [str(answer) for answer in assistant.batch(REQUESTS, max_new_tokens=12)] == alone


def test_errors_hold_no_tensors(assistant: Assistant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever keeps a failed ticket does not keep the keys and values that its request had."""
    held: list[weakref.ref[Any]] = []
    begin = Engine.sequence

    def watching(self: Engine, *args: Any, **named: Any) -> Sequence:
        sequence = begin(self, *args, **named)
        held.append(weakref.ref(sequence.cache))
        return sequence

    monkeypatch.setattr(Engine, "sequence", watching)
    monkeypatch.setattr(logger, "disabled", True)  # pytest's handlers keep what they are told, tracebacks included
    inject(monkeypatch, STAGES["a later token"], fail)
    with Service(assistant, SMALL) as service:
        ticket = service.submit(UNLUCKY, **OPTIONS)
        with pytest.raises(OddError):
            _ = ticket.answer
        other = service.submit(REQUESTS[1], max_new_tokens=3)
        assert other.answer.text
        gc.collect()
        assert held[0]() is None
        assert isinstance(ticket._result, OddError)


def test_cancelled_requests_do_not_pile_up_in_the_store(assistant: Assistant) -> None:
    """What they had not yet encoded counts, and gives way."""
    limit = 60_000
    clips = np.random.default_rng(1).integers(0, 256, (40, 6, 56, 84, 3), dtype=np.uint8)
    with Service(assistant, replace(SMALL, vision_bytes=limit)) as service:
        for clip in clips:
            service.submit(question([clip], "?"), max_new_tokens=50).cancel()
            ticket = service.submit(question([clip[:2]], "?"), max_new_tokens=50)
            next(ticket)
            ticket.cancel()
            assert service.submit(REQUESTS[0], max_new_tokens=1).answer.num_generated_tokens == 1
            assert service.stats().vision_bytes <= limit
        patches = sum(
            visual._visual.patches.numel() for visual in service._engine.vision._known.values() if visual._visual
        )
        assert patches <= limit
