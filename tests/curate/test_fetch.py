"""Downloads: what is fetched, what is refused, how hosts are treated."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.curate.pools import recipe, rows_after, write_table
from vl3.curate import curate
from vl3.curate.record import parts_of

LOCAL = {"allow_private": True}
PLAIN = {"runner": {"kind": "plain"}}


class Site:
    """A server that counts what it is asked and how many at a time."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, str]] = []
        self.at_once = self.most_at_once = 0
        self.robots: str | None = None
        self.pause_s = 0.0
        self.failures: dict[str, int] = {}
        """How often a path is answered with 503 before it works."""
        self.lock = threading.Lock()

    def answer(self, path: str) -> tuple[int, bytes]:
        with self.lock:
            self.asked.append((time.monotonic(), path))
            if self.failures.get(path, 0):
                self.failures[path] -= 1
                return 503, b""
        if path == "/robots.txt":
            return (200, self.robots.encode()) if self.robots is not None else (404, b"")
        if path == "/gone.jpg":
            return 404, b""
        return 200, b"x" * 5000 if path == "/large.jpg" else path.encode()


@contextmanager
def serving() -> Iterator[tuple[Site, str]]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with site.lock:
                site.at_once += 1
                site.most_at_once = max(site.most_at_once, site.at_once)
            time.sleep(site.pause_s)
            status, body = site.answer(self.path)
            with site.lock:
                site.at_once -= 1
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield site, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def run(folder: Path, urls: list[str], **settings: Any) -> list[dict[str, Any]]:
    table = write_table(folder, [{"url": url} for url in urls])
    config = recipe(folder, table, {"fetch": {**LOCAL, **settings}}, **PLAIN)
    return rows_after(curate(config)[-1])


def test_files_are_fetched_once_and_refusals_are_told(tmp_path: Path) -> None:
    with serving() as (site, base):
        urls = [f"{base}/a.jpg", f"{base}/gone.jpg", f"{base}/large.jpg", f"{base}/b.jpg", "ftp://x/y.jpg"]
        rows = run(tmp_path, urls, max_bytes=1000)
        assert [Path(row["path"]).read_bytes() for row in rows if row["dropped_by"] is None] == [b"/a.jpg", b"/b.jpg"]
        reasons = [row["drop_reason"].partition(": ")[0] for row in rows if row["dropped_by"]]
        assert reasons[:2] == ["the server answered 404", "download failed"]
        before = len(site.asked)
        for part in parts_of(tmp_path / "out/steps/01_fetch"):
            part.unlink()
        (tmp_path / "out/steps/01_fetch/step.json").unlink()
        assert run(tmp_path, urls, max_bytes=1000)[0]["path"] == rows[0]["path"]
        asked_again = {path for _, path in site.asked[before:]}
        assert asked_again == {"/robots.txt", "/gone.jpg", "/large.jpg"}


def test_robots_txt_is_kept_to(tmp_path: Path) -> None:
    with serving() as (site, base):
        site.robots = "User-agent: *\nDisallow: /private/\nCrawl-delay: 0.1\n"
        rows = run(tmp_path, [f"{base}/private/a.jpg", f"{base}/b.jpg"])
        assert [row["drop_reason"] and row["drop_reason"].partition(": ")[0] for row in rows] == [
            "robots.txt forbids it",
            None,
        ]
        assert "/private/a.jpg" not in {path for _, path in site.asked}
        assert run(tmp_path, [f"{base}/private/a.jpg"], robots=False)[0]["dropped_by"] is None


def test_a_host_is_asked_a_few_at_a_time_and_with_pauses(tmp_path: Path) -> None:
    with serving() as (site, base):
        site.pause_s = 0.05
        run(tmp_path, [f"{base}/{number}.jpg" for number in range(12)], per_host=2, robots=False)
        assert site.most_at_once == 2
        site.asked.clear()
        run(tmp_path, [f"{base}/x{number}.jpg" for number in range(4)], delay_s=0.15, robots=False)
        times = sorted(at for at, _ in site.asked)
        assert times[-1] - times[0] >= 3 * 0.15 - 0.1


def test_a_busy_server_is_asked_again_and_a_final_answer_is_not(tmp_path: Path) -> None:
    with serving() as (site, base):
        site.failures = {"/a.jpg": 1}
        rows = run(tmp_path, [f"{base}/a.jpg", f"{base}/gone.jpg"], robots=False, attempts=2)
        assert [row["dropped_by"] for row in rows] == [None, "fetch"]
        assert sorted(path for _, path in site.asked) == ["/a.jpg", "/a.jpg", "/gone.jpg"]


@pytest.mark.parametrize("robots", [False, True])
def test_what_cannot_be_fetched_is_told_apart_from_what_is_forbidden(tmp_path: Path, robots: bool) -> None:
    reasons = {
        "http://127.0.0.1:9/a.jpg": "private address",
        "http://169.254.169.254/latest": "private address",
        "file:///etc/passwd": "only http, https",
        "https://[bad/a.jpg": "not a URL",
    }
    rows = run(tmp_path, list(reasons), allow_private=False, robots=robots, attempts=1)
    for row, reason in zip(rows, reasons.values(), strict=True):
        assert row["drop_reason"].startswith("download failed: ") and reason in row["drop_reason"]


def test_without_an_answer_about_robots_nothing_is_fetched(tmp_path: Path) -> None:
    with serving() as (site, base):
        site.failures = {"/robots.txt": 1}
        [row] = run(tmp_path, [f"{base}/a.jpg"])
        assert "robots.txt cannot be had" in row["drop_reason"] and "503" in row["drop_reason"]
        assert [path for _, path in site.asked] == ["/robots.txt"]
