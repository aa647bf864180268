"""A service whose model says what a test wants, by way of the real engine: each token that it draws is constrained."""

import time
from collections.abc import Sequence
from typing import Any

import torch

from vl3.chat import Message
from vl3.generate import Assistant, Service, ServiceConfig, Ticket

DEFAULTS = ServiceConfig()


class _Saying:
    """Allows the tokens of one text, one after another, and then the end."""

    def __init__(self, tokens: list[int], vocabulary: int, delay_s: float) -> None:
        self._tokens = tokens
        self._vocabulary = vocabulary
        self._delay_s = delay_s

    def allowed(self, generated: list[int]) -> torch.Tensor:
        time.sleep(self._delay_s)
        mask = torch.zeros(self._vocabulary, dtype=torch.bool)
        mask[self._tokens[len(generated)]] = True
        return mask


class Saying(Service):
    """Says `text`, with a pause before each token; without a text it says what it likes."""

    def __init__(self, assistant: Assistant, config: ServiceConfig = DEFAULTS) -> None:
        super().__init__(assistant, config)
        self.text: str | None = None
        self.delay_s = 0.0
        self.asked: list[list[Message]] = []
        """The messages of all requests."""
        self.options: list[Any] = []
        self._tokenizer = assistant.checkpoint.tokenizer
        self._end = assistant.checkpoint.eos_token_ids[0]
        self._vocabulary = assistant.checkpoint.config.language.vocab_size

    def submit(self, messages: Sequence[Message], **options: Any) -> Ticket:  # type: ignore[override]
        self.asked.append(list(messages))
        self.options.append(dict(options))
        if self.text is not None:
            tokens = [*self._tokenizer.encode(self.text, add_special_tokens=False).ids, self._end]
            options["constraint"] = _Saying(tokens, self._vocabulary, self.delay_s)
        return super().submit(messages, **options)
