"""One JSON line for each request: when, which route, how it ended, how long it took. Never what was said or shown."""

import json
import logging
import sys
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vl3.log import logger
from vl3.serve.metrics import Metrics

access = logging.getLogger("vl3.access")
FACTS = "vl3.facts"


@dataclass
class Facts:
    """What is noted of a request while it is answered."""

    id: str = field(default_factory=lambda: f"req-{uuid.uuid4().hex}")
    owner: str = ""
    """Whose files it may use."""
    start: float = field(default_factory=time.monotonic)
    numbers: dict[str, int | float] = field(default_factory=dict)
    """Tokens and the like, for the log."""


def facts(scope: Scope) -> Facts:
    """The facts of the request that a scope belongs to."""
    noted: Facts = scope[FACTS]
    return noted


class JsonLines(logging.Formatter):
    """Log records as JSON, one a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {"time": round(record.created, 3), "level": record.levelname.lower()}
        line |= record.msg if isinstance(record.msg, dict) else {"event": record.getMessage()}
        if record.exc_info is not None:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def setup_server_logging(verbose: bool = False) -> None:
    """Sends all of vl3's log to standard error as JSON lines, requests included."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logger.handlers[:] = [handler]
    logger.setLevel(logging.DEBUG if verbose else logging.WARNING)
    access.setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").handlers[:] = [handler]


class AccessLog:
    """ASGI: gives each request an id and its facts, and logs and counts how it ended."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        noted = scope[FACTS] = Facts()
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (b"x-request-id", noted.id.encode())]}
            await send(message)

        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            self._metrics.in_flight.dec()
            self._note(scope, noted, status)

    def _note(self, scope: Scope, noted: Facts, status: int) -> None:
        route = scope["route"].path if "route" in scope else "other"  # a path may hold what a client thought up
        method = scope["method"] if scope["method"] in ("GET", "POST", "DELETE", "HEAD", "OPTIONS") else "other"
        seconds = time.monotonic() - noted.start
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.duration_s.labels(route).observe(seconds)
        line = {"event": "request", "id": noted.id, "method": method, "route": route, "status": status}
        access.info({**line, "seconds": round(seconds, 4), **noted.numbers})
