"""Who writes what pictures do not say themselves: a model in this process, or one behind an OpenAI-compatible endpoint.

Many requests are answered side by side.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from vl3.chat import Message
from vl3.config import Count, configclass
from vl3.curate.named import checkpoint, refuse_missing
from vl3.errors import UserError
from vl3.media import Decoder
from vl3.remote import BadRequest, ChatClient, RequestWriter, server_config

if TYPE_CHECKING:  # loaded by those who write only, with torch
    from vl3.generate import Options, Service, Ticket

KEYS = ("VL3_CAPTION_KEY", "OPENAI_API_KEY")
"""Environment variables with an endpoint's API key: a recipe holds none, as it is kept with what it made."""

NotNegative = Annotated[float, Field(ge=0)]


@configclass
class WriterConfig:
    """A model that writes, and what that may cost."""

    model: str = "nano"
    """A checkpoint (hub id or folder); with an endpoint its name there, empty for the first it lists."""
    endpoint: str = ""
    """URL of an OpenAI-compatible server, up to /v1; its key is read from VL3_CAPTION_KEY or OPENAI_API_KEY."""
    num_parallel: Count = 8
    """Requests that are answered side by side."""
    attempts: Count = 2
    """How often the same is asked until nothing is wrong with the answer; the first time greedily."""
    temperature: Annotated[float, Field(ge=0.001, le=1000)] = 0.7
    """Of the further attempts."""
    prompt_price: NotNegative = 0.0
    """What a million tokens of prompts cost, in any currency."""
    completion_price: NotNegative = 0.0
    """What a million tokens of answers cost."""
    max_cost: NotNegative | None = None
    """What a step may cost; it stops before it spends more, and keeps what was written."""

    def files(self) -> list[Path]:
        """The model's folder, if it is one here."""
        return [] if self.endpoint else checkpoint(self.model)

    def ready(self, _columns: object = None) -> None:
        """UserError for a model here that there is not."""
        if not self.endpoint:
            refuse_missing(self.model)


@dataclass(frozen=True)
class Request:
    """Something to write."""

    messages: Sequence[Message]
    options: "Options"


@dataclass(frozen=True)
class Said:
    """What came back."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


Write = Callable[[Sequence[Request]], Iterator[tuple[int, Said | UserError]]]
"""Requests -> (number of the request, its answer or what is wrong with it), in the order in which they end.

What is wrong with the model or the server, rather than with one request, is raised as a UserError.
"""


@contextmanager
def opened(config: WriterConfig) -> Iterator[Write]:
    """The writer that a recipe names."""
    if config.endpoint:
        key = next((os.environ[name] for name in KEYS if os.environ.get(name)), "")
        server = server_config(config.endpoint, config.model, key)
        with ChatClient(server) as client, Decoder() as decoder:
            yield endpoint_writer(client, decoder, config.num_parallel)
        return
    from vl3.generate import Service, ServiceConfig, load

    assistant = load(config.model or "nano")
    limits = ServiceConfig(max_running=config.num_parallel, max_waiting=2 * config.num_parallel)
    try:
        with Service(assistant, limits) as service:
            yield local_writer(service)
    finally:
        assistant.close()


def local_writer(service: "Service") -> Write:
    """A model in this process."""

    def write(requests: Sequence[Request]) -> Iterator[tuple[int, Said | UserError]]:
        for number, ticket in service.ask_all((request.messages, request.options) for request in requests):
            yield number, _said(ticket)

    return write


def _said(ticket: "Ticket") -> Said | UserError:
    try:
        answer = ticket.answer
    except UserError as error:
        return error
    return Said(answer.text, answer.finish_reason, answer.num_prompt_tokens, answer.num_generated_tokens)


def endpoint_writer(client: ChatClient, decoder: Decoder, num_parallel: int) -> Write:
    """A model behind a server; media are sent inside the requests, videos as frames with their times."""

    def write(requests: Sequence[Request]) -> Iterator[tuple[int, Said | UserError]]:
        with ThreadPoolExecutor(num_parallel) as pool:
            waiting = {pool.submit(ask, request): number for number, request in enumerate(requests)}
            try:
                for done in as_completed(waiting):
                    yield waiting[done], done.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def ask(request: Request) -> Said | UserError:
        try:
            body = RequestWriter(decoder, request.options).body(request.messages, [])
        except UserError as error:  # its media cannot be read
            return error
        try:
            found = client.complete(body)
        except BadRequest as error:
            return error
        return Said(found.text, found.finish_reason, found.prompt_tokens, found.completion_tokens)

    return write
