"""The page on an application that is there already, with its folder, its limits and its lock."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio.to_thread
import gradio as gr
from fastapi import FastAPI
from gradio.routes import App
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from vl3.ui.desk import Desk
from vl3.ui.page import HERE, THEME, build, examples_folder

TEMP_DIR = "GRADIO_TEMP_DIR"
UPLOAD = "/gradio_api/upload"
LOGIN = "Any name, and an API key as the password."


@contextmanager
def page_folder() -> Iterator[Path]:
    """Where dropped files are kept, for as long as the page runs."""
    with tempfile.TemporaryDirectory(prefix="vl3-page-") as name:
        before = {key: os.environ[key] for key in (TEMP_DIR,) if key in os.environ}
        os.environ[TEMP_DIR] = name
        try:
            yield Path(name)
        finally:
            del os.environ[TEMP_DIR]
            os.environ.update(before)


def mount(
    app: FastAPI, desk: Desk, folder: Path, key_is_good: Callable[[str], bool] | None = None
) -> Callable[[], None]:
    """Adds the page to an app, at its root; what to call when the server is told to stop, so that open pages do not
    hold it up.

    key_is_good: whether a key lets somebody in; None lets everyone in.
    """
    examples = examples_folder()
    page = build(desk)
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        auth=None if key_is_good is None else lambda _name, key: key_is_good(key),
        auth_message=LOGIN,
        allowed_paths=[] if examples is None else [str(examples)],
        max_file_size=desk.config.max_file_bytes,
        show_error=False,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        theme=THEME,
        css_paths=HERE / "page.css",
    )
    # Gradio takes only files that were dropped, but on a mounted page not before it is told that the page is up
    page.has_launched = True
    app.add_middleware(_Quota, folder=folder, most_bytes=desk.config.quota_bytes)
    mounted = app.routes[-1]
    assert isinstance(mounted, Mount)
    pages: App = mounted.app  # type: ignore[assignment]
    return pages.stop_event.set


class _Quota:
    """ASGI: refuses to take a dropped file when those kept, and those on their way, leave no room for it (413), or when
    it does not say how large it is (411), as every browser does."""

    def __init__(self, app: ASGIApp, folder: Path, most_bytes: int) -> None:
        self._app = app
        self._folder = folder
        self._most_bytes = most_bytes
        self._coming = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].rstrip("/") != UPLOAD or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        if not length.isdecimal():
            await JSONResponse({"detail": "say how large the file is: Content-Length"}, 411)(scope, receive, send)
            return
        size = int(length[:20])
        used = await anyio.to_thread.run_sync(_used_bytes, self._folder)
        if size + self._coming + used > self._most_bytes:
            refusal = JSONResponse({"detail": "the page has no room for more files; try again later"}, 413)
            await refusal(scope, receive, send)
            return
        self._coming += size
        try:
            await self._app(scope, receive, send)
        finally:
            self._coming -= size


def _used_bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # deleted meanwhile
            total += path.stat().st_size if path.is_file() else 0
    return total
