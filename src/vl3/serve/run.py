"""Running the app on a port until a signal; then what was accepted is finished first."""

import asyncio
import socket
from types import FrameType

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from vl3.errors import UserError
from vl3.serve.serving import Serving

BACKLOG = 2048


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one. UserError when the address cannot be had."""
    # the protocol is named, since asyncio sends small pieces at once (TCP_NODELAY) only where it is
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        raise UserError(f"cannot listen on {host} port {port}: {error}; choose others by --host and --port") from error
    return listener


def address(listener: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Impatient(H11Protocol):
    """HTTP/1.1 that gives up connections on which no request's header arrives whole in time, or nobody takes the
    answer."""

    header_timeout_s: float
    write_timeout_s: float

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The clock starts with the connection."""
        super().connection_made(transport)
        self._unread: asyncio.TimerHandle | None = None
        self._deadline: asyncio.TimerHandle | None = self.loop.call_later(self.header_timeout_s, transport.abort)

    def data_received(self, data: bytes) -> None:
        """It starts again with the first byte of a further request, and stops when a header is whole."""
        if self._deadline is None and not self._answering():
            self._deadline = self.loop.call_later(self.header_timeout_s, self.transport.abort)
        super().data_received(data)
        if self._answering():
            self._stop_the_clock()

    def pause_writing(self) -> None:
        """Another clock runs while so much of an answer waits that no more is taken from the app."""
        super().pause_writing()
        self._unread = self.loop.call_later(self.write_timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has read on."""
        super().resume_writing()
        self._stop_waiting_for_the_reader()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing to wait for any more."""
        self._stop_the_clock()
        self._stop_waiting_for_the_reader()
        super().connection_lost(exc)

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _stop_the_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _stop_waiting_for_the_reader(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


class Server(uvicorn.Server):
    """uvicorn, telling `serving` when it was told to stop.

    On SIGTERM or Ctrl-C it takes no new connections, finishes the requests that have arrived, within the drain time,
    and cancels the rest.
    """

    def __init__(self, app: ASGIApp, serving: Serving) -> None:
        self._serving = serving
        limits = {
            "header_timeout_s": serving.config.header_timeout_s,
            "write_timeout_s": serving.config.write_timeout_s,
        }
        config = uvicorn.Config(
            app,
            http=type("Impatient", (_Impatient,), limits),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=max(1, round(serving.config.drain_s)),
        )
        super().__init__(config)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Called on a signal; the second one does not wait. The process then ends as one that did its work."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self._serving.drain()
