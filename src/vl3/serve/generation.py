"""One request in the engine: its n answers side by side, until they are whole, too late, or nobody waits for them."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from starlette.requests import Request

from vl3.chat import Message
from vl3.generate import Answer, Options
from vl3.generate.answer import Piece
from vl3.generate.service import Service
from vl3.generate.ticket import Busy, Ticket
from vl3.serve.constraint import JsonConstraint
from vl3.serve.errors import NO_RETRY, ApiError, busy

T = TypeVar("T")
Event = tuple[int, Piece | Answer]
"""(number of the answer, what it grows by, or the whole of it at its end)."""


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


class Asker:
    """Whoever sent a request: notices when they hang up, and how long they have waited."""

    def __init__(self, request: Request, limit_s: float) -> None:
        self._start = time.monotonic()
        self._limit_s = limit_s
        self._gone = asyncio.create_task(_disconnect(request))

    async def while_waiting(self, work: Awaitable[T]) -> T:
        """The result of `work`. When it is not done in time it is cancelled: ClientGoneError, or ApiError 408."""
        task = asyncio.ensure_future(work)
        left_s = self._limit_s - self.waited_s()
        try:
            await asyncio.wait({task, self._gone}, timeout=max(0.0, left_s), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            if self._gone.done():
                raise ClientGoneError
            raise self._too_slow()
        finally:
            task.cancel()

    def check(self) -> None:
        """ApiError 408 once the time is over: also for an answer that is ready, but taken too slowly."""
        if self.waited_s() > self._limit_s:
            raise self._too_slow()

    def waited_s(self) -> float:
        """Since the request."""
        return time.monotonic() - self._start

    def close(self) -> None:
        """Stops watching."""
        self._gone.cancel()

    def _too_slow(self) -> ApiError:
        message = f"no answer within the limit of {self._limit_s:g} s: ask for fewer tokens, frames or answers"
        return ApiError(408, message, code="timeout", headers=NO_RETRY)


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue


class Tickets:
    """The answers of one request. Once cancelled, whatever still arrives is cancelled too: none is left running."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled = False
        self.all: list[Ticket] = []

    def submit(
        self,
        service: Service,
        conversations: Sequence[Sequence[Message]],
        options: Options,
        constraints: Sequence[JsonConstraint | None],
    ) -> None:
        """Hands each conversation to the engine once for each of `constraints`. ApiError 429 when its queue is full.

        With a seed, each further answer has the next seed, so that they differ and can be repeated.
        """
        for messages in conversations:
            for number, constraint in enumerate(constraints):
                chosen: Options = {**options, "constraint": constraint}
                if "seed" in options:
                    chosen["seed"] = options["seed"] + number
                try:
                    self._add(service.submit(messages, **chosen))
                except Busy as error:
                    raise busy() from error

    def cancel(self) -> None:
        """Frees what the answers hold. Nothing happens to those that are done."""
        with self._lock:
            self._cancelled = True
        for ticket in self.all:
            ticket.cancel()

    def _add(self, ticket: Ticket) -> None:
        with self._lock:
            self.all.append(ticket)
            late = self._cancelled
        if late:
            ticket.cancel()


async def events(tickets: Sequence[Ticket], asker: Asker) -> AsyncGenerator[Event]:
    """What the tickets bring, as it comes. May be dropped anywhere."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[int, Piece | None]] = asyncio.Queue()

    def tell(number: int, piece: Piece | None) -> None:
        with suppress(RuntimeError):  # the loop has ended: a server that stopped has nobody to tell
            loop.call_soon_threadsafe(queue.put_nowait, (number, piece))

    for number, ticket in enumerate(tickets):
        ticket.listen(partial(tell, number))
    left = len(tickets)
    while left:
        asker.check()
        number, piece = await asker.while_waiting(queue.get()) if queue.empty() else queue.get_nowait()
        if piece is not None:
            yield number, piece
        else:
            left -= 1
            yield number, tickets[number].answer  # raises the request's error
