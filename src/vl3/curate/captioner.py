"""Who writes captions, many side by side: a model in this process, or one behind an OpenAI-compatible endpoint."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass

from vl3.chat import Message
from vl3.errors import UserError
from vl3.generate import Options, Service, ServiceConfig, Ticket, load
from vl3.media import Decoder
from vl3.remote import BadRequest, ChatClient, RequestWriter, server_config

KEYS = ("VL3_CAPTION_KEY", "OPENAI_API_KEY")
"""Environment variables with an endpoint's API key: a recipe holds none, as it is kept with what it made."""


@dataclass(frozen=True)
class Request:
    """One caption to write."""

    messages: Sequence[Message]
    options: Options


@dataclass(frozen=True)
class Said:
    """What came back."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


Captioner = Callable[[Sequence[Request]], Iterator[tuple[int, Said | UserError]]]
"""Requests -> (number of the request, its caption or what is wrong with it), in the order in which they end.

What is wrong with the model or the server, rather than with one request, is raised as a UserError.
"""


@contextmanager
def captioner(model: str, endpoint: str, num_parallel: int) -> Iterator[Captioner]:
    """The captioner that a recipe names: a checkpoint, or what the endpoint calls `model` (empty: its first)."""
    if endpoint:
        key = next((os.environ[name] for name in KEYS if os.environ.get(name)), "")
        with ChatClient(server_config(endpoint, model, key)) as client, Decoder() as decoder:
            yield endpoint_captioner(client, decoder, num_parallel)
        return
    assistant = load(model or "nano")
    try:
        with Service(assistant, ServiceConfig(max_running=num_parallel, max_waiting=2 * num_parallel)) as service:
            yield local_captioner(service)
    finally:
        assistant.close()


def local_captioner(service: Service) -> Captioner:
    """A model in this process."""

    def write(requests: Sequence[Request]) -> Iterator[tuple[int, Said | UserError]]:
        for number, ticket in service.ask_all((request.messages, request.options) for request in requests):
            yield number, _said(ticket)

    return write


def _said(ticket: Ticket) -> Said | UserError:
    try:
        answer = ticket.answer
    except UserError as error:
        return error
    return Said(answer.text, answer.finish_reason, answer.num_prompt_tokens, answer.num_generated_tokens)


def endpoint_captioner(client: ChatClient, decoder: Decoder, num_parallel: int) -> Captioner:
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
