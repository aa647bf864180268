"""A request on its way through a service: its pieces as they come, its answer, and how to call it off."""

import threading
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING

from vl3.chat import Message
from vl3.errors import UserError
from vl3.generate.answer import Answer, Piece
from vl3.generate.options import Settings
from vl3.generate.prepare import Prepared

if TYPE_CHECKING:
    from vl3.generate.service import Service


class Busy(UserError):  # noqa: N818 (named as HTTP's and Python's own such conditions are)
    """The service takes no request now: its queue is full, or it is being shut down."""


class Cancelled(UserError):  # noqa: N818
    """The request was cancelled."""


class EngineStopped(RuntimeError):  # noqa: N818
    """The engine came to its end by a fault of its own; it says nothing of the request."""


class Ticket(Iterator[Piece]):
    """A request on its way. Iterate for the answer's pieces as they come, or take `answer`; from any thread."""

    def __init__(self, service: "Service", messages: Sequence[Message], chosen: Settings) -> None:
        self.messages = messages
        self.chosen = chosen
        self._service = service
        self._pieces: SimpleQueue[Piece | None] = SimpleQueue()
        self._told_pieces: Callable[[Piece | None], None] = self._pieces.put
        self._ended = threading.Event()
        self._read = threading.Event()
        self._prepared: Prepared | None = None
        self._result: Answer | Exception | None = None
        self._lock = threading.Lock()
        self._told: list[SimpleQueue[Ticket]] = []

    def __next__(self) -> Piece:
        """Blocks until there is a piece. Raises the request's error."""
        piece = self._pieces.get()
        if piece is not None:
            return piece
        self._pieces.put(None)  # for whoever asks again
        if isinstance(self._result, Exception):
            raise self._result
        raise StopIteration

    @property
    def answer(self) -> Answer:
        """Blocks to the end. Raises the request's error: UserError for what its sender can mend."""
        self._ended.wait()
        if isinstance(self._result, Exception):
            raise self._result
        assert self._result is not None
        return self._result

    @property
    def prepared(self) -> Prepared | None:
        """Blocks until the media are read: what the model sees of them. None when the request ended before."""
        self._read.wait()
        return self._prepared

    @property
    def ended(self) -> bool:
        """Whether `answer` is there."""
        return self._ended.is_set()

    def cancel(self) -> None:
        """Ends the request with `Cancelled`, wherever it is, and frees what it holds; nothing once it has ended."""
        if self.end(Cancelled("the request was cancelled")):
            self._service.forget(self)

    def show(self, prepared: Prepared) -> None:
        """Called by the service once the media are read."""
        self._prepared = prepared
        self._read.set()

    def push(self, piece: Piece) -> None:
        """Called by the service."""
        with self._lock:
            self._told_pieces(piece)

    def end(self, result: Answer | Exception) -> bool:
        """Called by the service; whether it had not ended before."""
        with self._lock:
            if self._ended.is_set():
                return False
            self._result = result
            self._ended.set()
            self._read.set()
            told = list(self._told)
            self._told_pieces(None)
        for queue in told:
            queue.put(self)
        return True

    def listen(self, call: Callable[[Piece | None], None]) -> None:
        """Calls with each piece, and with None once the ticket has ended, instead of keeping them to be iterated over.

        The calls come from the service's threads, which wait for them; they must be short and raise nothing.
        """
        with self._lock:
            while not self._pieces.empty():
                call(self._pieces.get())
            self._told_pieces = call

    def tell(self, queue: "SimpleQueue[Ticket]") -> None:
        """Puts this ticket into the queue once it has ended."""
        with self._lock:
            if not self._ended.is_set():
                self._told.append(queue)
                return
        queue.put(self)
