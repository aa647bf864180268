"""A stand-in for OpenAI-compatible servers."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[dict[str, Any]], str | tuple[int, str, dict[str, str]]]
"""The body of a request -> the answer's text, or (status, message, headers)."""


class Server:
    """What was asked, and where."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.url = ""


@contextmanager
def serving(answer: Answer) -> Iterator[Server]:
    """A server whose one model is called `fake`."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(200, {"data": [{"id": "fake"}]}, {})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            server.bodies.append(body)
            server.keys.append(self.headers.get("authorization"))
            found = answer(body)
            if isinstance(found, tuple):
                status, message, headers = found
                self._send(status, {"error": {"message": message}}, headers)
            else:
                choice = {"message": {"role": "assistant", "content": found}, "finish_reason": "stop"}
                self._send(200, {"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 9}}, {})

        def _send(self, status: int, data: Any, headers: dict[str, str]) -> None:
            content = json.dumps(data).encode()
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{http.server_port}/v1"
    thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
