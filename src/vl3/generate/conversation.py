"""A conversation: turns that build on each other and never read the same tokens twice."""

import time
from collections.abc import Generator
from typing import Any, Unpack

from vl3.chat import Message, media_of, question
from vl3.errors import UserError
from vl3.generate.answer import Answer, AnswerStream
from vl3.generate.assistant import Assistant
from vl3.generate.options import Options
from vl3.generate.prefixes import Prefix, common_length, fingerprints
from vl3.generate.prepare import Prepared
from vl3.media import MediaInfo
from vl3.model import Visual
from vl3.processing import load_visuals, times_of


class Conversation:
    """Keeps messages, media and the key/value cache of one conversation.

    Each turn feeds only what the cache does not hold; its media share a budget of visual tokens of their own. A turn
    that fails or is broken off leaves no trace in `messages`.
    """

    def __init__(self, assistant: Assistant, system: str | None = None, **options: Unpack[Options]) -> None:
        self.assistant = assistant
        self._settings = assistant.settings(options)
        self._processor = assistant.processor.with_config(self._settings.processing)
        self.messages: list[Message] = [{"role": "system", "content": system}] if system else []
        self._visuals: list[Visual] = []
        self._infos: list[MediaInfo] = []
        self._known: Prefix | None = None
        self._unfinished: Generator[str, None, Answer] | None = None

    def ask(self, *media_then_question: Any) -> AnswerStream:
        """The next turn: new images and videos, if any, then what is said.

        An earlier answer that was not read to its end is broken off, and its turn forgotten.
        """
        if not media_then_question:
            raise UserError("ask something: ask([media...], question)")
        *media, text = media_then_question
        if self._unfinished is not None:
            self._unfinished.close()
        self._unfinished = self._turn(question(media, text))
        return AnswerStream(self._unfinished)

    def _turn(self, turn: list[Message]) -> Generator[str, None, Answer]:
        start = time.perf_counter()
        self.assistant.on_stage("reading media")
        new_visuals, new_infos = load_visuals(media_of(turn), self._processor.config, self.assistant.decoder)
        messages = [*self.messages, *turn]
        visuals, infos = [*self._visuals, *new_visuals], [*self._infos, *new_infos]
        inputs = self._processor.inputs(messages, visuals, times_of(infos))
        cache = self.assistant.checkpoint.model.new_cache()
        if self._known is not None:
            cache = self._known.cache
            # the last token is fed in any case, since what follows from it is wanted
            cache.truncate(
                min(common_length(fingerprints(inputs), self._known.marks), cache.length, len(inputs.input_ids) - 1)
            )
        job = self.assistant.job(Prepared(inputs, infos), self._settings, time.perf_counter() - start, cache)
        try:
            answer = yield from self.assistant.run(job)
        finally:  # also when the reader stops reading: what the cache holds is known to the token
            self._known = job.running.known
        self.messages = [*messages, {"role": "assistant", "content": answer.text}]
        self._visuals, self._infos = visuals, infos
        return answer
