"""Who answers: a model here or behind an endpoint, the same without the picture, or the most frequent answer.

The two baselines say how much of a score the words of the questions alone are worth.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from vl3.errors import UserError
from vl3.eval.endpoint import EndpointAnswerer
from vl3.eval.log import Reply, prompt_text
from vl3.eval.streams import first_word
from vl3.eval.task import STREAM, Item
from vl3.generate import Answer, Assistant, Options
from vl3.media import Decoder, MediaInfo
from vl3.remote import ChatClient, VideoForm

OnReply = Callable[[Item, Reply | UserError], None]
Answerer = Callable[[Sequence[Item], OnReply], None]
"""Answers all items, in any order, and tells each reply as soon as it is there."""


@dataclass(frozen=True)
class Examinee:
    """Who is measured."""

    facts: Mapping[str, Any]
    """What decides its answers, for the settings of a run."""
    answer: Answerer
    blank: Callable[[], AbstractContextManager[Answerer]]
    """The same, seeing grey in the place of every picture."""
    streams: bool = True
    """Whether it can be asked when it would first speak about a stream."""


def model_examinee(assistant: Assistant, batch_size: int, options: Options) -> Examinee:
    """A model in this process."""

    @contextmanager
    def blank() -> Iterator[Answerer]:
        blind = without_pictures(assistant)
        try:
            yield model_answerer(blind, batch_size, options)
        finally:
            blind.close()

    return Examinee(assistant.facts, model_answerer(assistant, batch_size, options), blank)


def endpoint_examinee(client: ChatClient, options: Options, video: VideoForm, num_parallel: int) -> Examinee:
    """A model behind an OpenAI-compatible server."""

    @contextmanager
    def blank() -> Iterator[Answerer]:
        if video == "url":
            raise UserError("--baseline no-picture shows grey frames: it needs --endpoint-video frames")
        with BlankDecoder() as decoder:
            yield EndpointAnswerer(client, decoder, options, video, num_parallel)

    facts = {"endpoint": client.base, "endpoint_video": video}
    return Examinee(facts, EndpointAnswerer(client, Decoder(), options, video, num_parallel), blank, streams=False)


def model_answerer(assistant: Assistant, batch_size: int, options: Options) -> Answerer:
    """Asks the model. A question that fails (a missing file, say) does not stop the others."""

    def answer(items: Sequence[Item], on_reply: OnReply) -> None:
        def told(index: int, found: Answer | UserError) -> None:
            item = items[index]
            on_reply(item, found if isinstance(found, UserError) else _reply(item, found))

        for item in items:
            if item.kind == STREAM:
                try:
                    on_reply(item, first_word(assistant, item, options))
                except UserError as error:
                    on_reply(item, error)
        items = [item for item in items if item.kind != STREAM]
        requests = [item.messages for item in items]
        assistant.batch(requests, batch_size=batch_size, return_errors=True, on_answer=told, **options)

    return answer


def _reply(item: Item, found: Answer) -> Reply:
    return Reply(
        text=found.text,
        prompt=prompt_text(item.messages, found.frame_times_s),
        visual_tokens=found.num_visual_tokens,
        seconds=sum(found.timings_s.values()),
        finish_reason=found.finish_reason,
        frames_s=found.frame_times_s,
    )


class BlankDecoder(Decoder):
    """Reads media as ever and hands out grey of the same size, number of frames and times.

    So a model asked through it sees a prompt of the same form with nothing in it. It is a `Decoder` because that is
    what an assistant reads media with.
    """

    def read(self, info: MediaInfo, size: tuple[int, int] | None = None) -> Any:
        return np.full_like(super().read(info, size), 128)

    def salvage(self, info: MediaInfo, size: tuple[int, int] | None = None) -> tuple[MediaInfo, Any]:
        seen, frames = super().salvage(info, size)
        return seen, np.full_like(frames, 128)


def without_pictures(assistant: Assistant) -> Assistant:
    """The same model behind a `BlankDecoder`."""
    return Assistant(assistant.checkpoint, BlankDecoder(assistant.decoder.time_limit_s, assistant.decoder.limits))


# ------------------------------------------------------------------------------------------ the most frequent answer

SHARED_BY = 20
"""Media among which a wording must occur before its own most frequent answer is taken from the questions asked."""


def most_frequent(known: Sequence[Item], own: bool) -> Answerer:
    """Says what is most often true of a question's kind and wording among `known`, else of its kind.

    own: `known` are the very questions that are asked, for want of training data. The best constant answer is then
    chosen with a look at the truth, which favours this baseline a little, never the model; a wording counts only where
    it is shared by so many media that this is small. (To leave each question out of its own count is no cure: where
    answers are evenly spread it always says the wrong one.)
    """
    by_kind: dict[str, list[Item]] = defaultdict(list)
    by_wording: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in known:
        by_kind[item.kind].append(item)
        by_wording[item.kind, item.question].append(item)
    if own:
        by_wording = {k: found for k, found in by_wording.items() if len({i.cluster for i in found}) >= SHARED_BY}
    kinds = {kind: _mode(found) for kind, found in by_kind.items()}
    wordings = {key: _mode(found) for key, found in by_wording.items()}

    def answer(items: Sequence[Item], on_reply: OnReply) -> None:
        for item in items:
            said = wordings.get((item.kind, item.question), kinds.get(item.kind))
            if said is None:
                on_reply(item, UserError(f"no question of kind {item.kind} among the training data"))
            else:
                on_reply(item, Reply(said))

    return answer


def _mode(items: Sequence[Item]) -> str:
    """The answer that is true most often; of equals the first in the alphabet. Accepted answers count each."""
    counts = Counter(truth for item in items for truth in item.truths)
    return min(counts, key=lambda truth: (-counts[truth], truth))
