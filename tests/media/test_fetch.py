"""Downloads, from a server on this machine."""

import io
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from PIL import Image

from vl3.errors import UserError
from vl3.media import Decoder, FetchLimits, probe, read
from vl3.media.fetch import _is_public

from .clips import number_in, picture

OPEN = FetchLimits(timeout_s=5)


class Handler(BaseHTTPRequestHandler):
    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.seen.append(self.path)
        out = io.BytesIO()
        Image.fromarray(picture(77)).save(out, "PNG")
        data = out.getvalue()
        port = self.server.server_address[1]
        redirects = {
            "/loop": "/loop",
            "/hop": "/image%20file",
            "/file": "file:///etc/passwd",
            "/private": f"http://127.0.0.1:{port}/image%20file",
        }
        self.protocol_version = "HTTP/1.1"
        if self.path in redirects:
            self.send_response(302)
            self.send_header("Location", redirects[self.path])
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path.startswith("/image%20file"):
            self.answer(data, len(data))
        elif self.path == "/short":
            self.answer(data[:100], len(data))
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            for _ in range(1000):
                self.wfile.write(bytes(10000))
        elif self.path == "/drip":
            self.send_response(200)
            self.end_headers()
            for _ in range(200):
                self.wfile.write(b".")
                self.wfile.flush()
                time.sleep(0.05)
        else:
            self.send_error(404)

    def answer(self, data: bytes, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:  # the client hung up, as it should
            return


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_address[1]}"
    httpd.shutdown()
    httpd.server_close()


def test_download(server: str) -> None:
    for path in ("/image%20file", "/image file?token=secret", "/hop"):
        info = probe(server + path, limits=OPEN)
        assert number_in(read(info)[0]) == 77
        assert "secret" not in info.name
    secret = server.replace("http://", "http://user:password@")
    assert "password" not in probe(secret + "/image%20file", limits=OPEN).name


def test_download_lives_as_long_as_its_info(server: str) -> None:
    with Decoder(limits=OPEN) as decoder:
        info = decoder.probe(server + "/hop")
        path = info.source.path_or_bytes()
        assert number_in(decoder.read(info)[0]) == 77
        assert path.exists()
        del info
        assert not path.exists()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/loop", "more than 5 redirects"),
        ("/file", "only http, https and data"),
        ("/missing", "answered 404"),
        ("/short", "closed the connection after 100 of"),
    ],
)
def test_refusals(server: str, path: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        probe(server + path, limits=OPEN)
    assert server + path in str(caught.value)


def test_size_limit(server: str) -> None:
    for path in ("/endless", "/image%20file"):
        with pytest.raises(UserError, match="larger than the limit of 50 bytes"):
            probe(server + path, limits=FetchLimits(max_bytes=50))


def test_time_limit_covers_the_whole_transfer(server: str) -> None:
    """Each byte of the slow server comes in time; all of them do not."""
    started = time.monotonic()
    with pytest.raises(UserError, match=r"took longer than the limit of 0\.5 s"):
        probe(server + "/drip", limits=FetchLimits(timeout_s=0.5))
    assert time.monotonic() - started < 2


def test_silent_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(UserError, match="took longer"):
            probe(f"http://127.0.0.1:{silent.getsockname()[1]}/", limits=FetchLimits(timeout_s=0.5))
        assert time.monotonic() - started < 2


def test_private_addresses(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = FetchLimits(allow_private=False, timeout_s=5)
    Handler.seen.clear()
    for url in (server + "/hop", server.replace("127.0.0.1", "localhost") + "/hop"):
        with pytest.raises(UserError, match="private address"):
            probe(url, limits=closed)
    assert Handler.seen == []

    # A public name whose server redirects inwards: the first hop is let through here, the second must not be.
    monkeypatch.setattr("vl3.media.fetch._is_public", lambda _: len(Handler.seen) == 0)
    with pytest.raises(UserError, match="private address"):
        probe(server + "/private", limits=closed)
    assert Handler.seen == ["/private"]


def test_name_is_looked_up_once(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection goes to the address that was checked, so a second, different answer cannot help an attacker."""
    port = int(server.rpartition(":")[2])
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    monkeypatch.setattr("vl3.media.fetch._resolve", lambda *_: answers.pop(0))
    monkeypatch.setattr("vl3.media.fetch._is_public", lambda address: address == "127.0.0.1")
    info = probe(f"http://rebind.example:{port}/image%20file", limits=FetchLimits(allow_private=False))
    assert number_in(read(info)[0]) == 77
    assert answers == [["10.0.0.1"]]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("::7f00:1", False),
        ("64:ff9b:1::7f00:1", False),
        ("::", False),
        ("2001:0:4136:e378:8000:63bf:80ff:fffe", False),
        ("2001:db8::1", False),
        ("ff02::1", False),
        ("198.18.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert _is_public(address) is public
