"""Who comes in: keys, room and the size of a request are looked at before a byte of its body is kept."""

import asyncio
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vl3.serve.config import ServerConfig
from vl3.serve.errors import NO_RETRY, ApiError, busy
from vl3.serve.keys import Keys
from vl3.serve.logs import facts

GUARDED = ("/v1/", "/metrics")
"""What needs a key. Health, documentation and the page do not."""
UPLOADS = "/v1/files"
PAGE_UPLOADS = "/gradio_api/upload"
FORM_BYTES = 64 << 10
"""What a form may hold beside the uploaded file."""


class Gate:
    """ASGI: refuses callers without a key (401), requests beyond the server's room (429), and, also where no key is
    needed, bodies that are too large (413) or too slow (408). Several uploads at once may together be no larger than
    the store, since each is on the disk before it is known whether it is kept."""

    def __init__(self, app: ASGIApp, config: ServerConfig, keys: Keys) -> None:
        self._app = app
        self._config = config
        self._keys = keys
        self._inside = 0
        self._uploading = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        guarded = scope["path"].startswith(GUARDED)
        counted = guarded and scope["method"] == "POST"
        try:
            if guarded:
                facts(scope).owner = self._owner(headers)
            body = _Body(receive, headers, *self._limits(scope["path"]))
            size = self._upload_size(scope, headers)
            if counted and self._inside >= self._config.max_requests:
                raise busy()
            if size and self._uploading and self._uploading + size > self._config.files_quota_bytes:
                raise busy()
        except ApiError as error:
            await error.response()(scope, receive, send)
            return
        self._inside += counted
        self._uploading += size
        try:
            await self._app(scope, body.receive, send)
        finally:
            self._inside -= counted
            self._uploading -= size

    def _owner(self, headers: Headers) -> str:
        owner = self._keys.owner(headers.get("authorization"))
        if owner is None:
            message = "no valid API key: send the header Authorization: Bearer KEY"
            raise ApiError(401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
        return owner

    def _upload_size(self, scope: Scope, headers: Headers) -> int:
        """Bytes that an upload may take; 0 for what is none."""
        if scope["method"] != "POST" or scope["path"].rstrip("/") != UPLOADS:
            return 0
        length = headers.get("content-length", "")
        return int(length[:20]) if length.isdecimal() else self._config.max_upload_bytes

    def _limits(self, path: str) -> tuple[int, float]:
        if path.rstrip("/") in (UPLOADS, PAGE_UPLOADS):
            return self._config.max_upload_bytes + FORM_BYTES, self._config.upload_timeout_s
        return self._config.max_body_bytes, self._config.body_timeout_s


class _Body:
    """The body of a request as it arrives."""

    def __init__(self, receive: Receive, headers: Headers, max_bytes: int, timeout_s: float) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._deadline = time.monotonic() + timeout_s
        self._size = 0
        self._whole = False
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length[:20]) > max_bytes:
            raise self._too_large()

    async def receive(self) -> Message:
        """The next message. ApiError when the body passes a limit; when it is whole, there is none."""
        if self._whole:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._deadline - time.monotonic())
        except TimeoutError as error:
            text = f"the request did not arrive whole within {self._timeout_s:g} s"
            raise ApiError(408, text, code="timeout", headers=NO_RETRY) from error
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            if self._size > self._max_bytes:
                raise self._too_large()
            self._whole = not message.get("more_body", False)
        return message

    def _too_large(self) -> ApiError:
        message = f"the request is larger than the limit of {self._max_bytes} bytes; upload media to {UPLOADS}"
        return ApiError(413, message, code="request_too_large")
