"""Running the app on a port until a signal; then what was accepted is finished first."""

import socket
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

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


class Server(uvicorn.Server):
    """uvicorn, telling `serving` when it was told to stop.

    On SIGTERM or Ctrl-C it takes no new connections, finishes the requests that have arrived, within the drain time,
    and cancels the rest.
    """

    def __init__(self, app: ASGIApp, serving: Serving) -> None:
        self._serving = serving
        config = uvicorn.Config(
            app,
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
