"""What a request may reach: nothing on this machine or its networks, and of its files those that were allowed."""

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import openai
import pytest

from tests.serve.asking import png, user
from tests.serve.running import MODEL, Running, running
from vl3.media import FetchLimits
from vl3.serve.config import ServerConfig


class Inside(BaseHTTPRequestHandler):
    """A server that strangers must not reach through ours."""

    seen: ClassVar[list[str]] = []
    redirect = ""

    def do_GET(self) -> None:
        self.seen.append(self.path)
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", self.redirect)
            self.end_headers()
            return
        data = png()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def inside() -> Iterator[int]:
    """Its port."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Inside)
    httpd.daemon_threads = True
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield httpd.server_address[1]
    httpd.shutdown()
    httpd.server_close()


def look(client: openai.OpenAI, url: str) -> Any:
    part = {"type": "image_url", "image_url": {"url": url}}
    return client.chat.completions.create(model=MODEL, messages=[user(part, "?")], max_tokens=2)  # type: ignore[call-overload]


HOSTS = [
    "127.0.0.1",
    "localhost",
    "LOCALHOST.",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.1.",
    "0",
    "0.0.0.0",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::127.0.0.1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "169.254.169.254",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "\N{CIRCLED DIGIT ONE}\N{CIRCLED DIGIT TWO}\N{CIRCLED DIGIT SEVEN}.0.0.1",
    "127\N{IDEOGRAPHIC FULL STOP}0\N{IDEOGRAPHIC FULL STOP}0\N{IDEOGRAPHIC FULL STOP}1",
    "user:password@127.0.0.1",
    "example.com@127.0.0.1",
    "127.0.0.1%00.example.com",
]


@pytest.mark.parametrize("host", HOSTS)
def test_no_spelling_reaches_this_machine_or_its_networks(client: openai.OpenAI, inside: int, host: str) -> None:
    Inside.seen.clear()
    with pytest.raises(openai.BadRequestError) as caught:
        look(client, f"http://{host}:{inside}/image")
    assert Inside.seen == []
    assert "password" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "file://localhost/etc/passwd",
        "file://example.com/etc/passwd",
        "/etc/passwd",
        "../../../../etc/passwd",
        "clip.mp4/../../../etc/passwd",
        "%2fetc%2fpasswd",
        "file:///proc/self/environ",
        "link.png",
        "folder",
        ".",
        "",
        "ftp://127.0.0.1/x",
        "gopher://127.0.0.1/x",
        "concat:/etc/passwd",
        "subfile,,start,0,end,9,,:/etc/passwd",
        "http:/etc/passwd",
        "http://",
        "https://[",
        "file_id:file-00",
        "file_id:../../x",
        "data:",
        "data:image/png",
        "a" * 5000,
        "x\0y",
        "clip.mp4\0.png",
    ],
)
def test_no_other_way_to_a_file(client: openai.OpenAI, folder: Path, url: str) -> None:
    link = folder / "link.png"
    if not link.is_symlink():
        link.symlink_to("/etc/passwd")
        (folder / "folder").mkdir()
    with pytest.raises(openai.BadRequestError) as caught:
        look(client, url)
    assert "root:" not in str(caught.value)


def test_without_a_media_folder_there_are_no_local_files(folder: Path) -> None:
    with running() as server, pytest.raises(openai.BadRequestError, match="local files are not served here"):
        look(server.client(), str(folder / "clip.mp4"))


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A resolver under the test's control: each lookup of a name gives the next of its answers."""

    def install(**answers: list[str]) -> None:
        real = socket.getaddrinfo
        left = {name.replace("_", "."): list(found) for name, found in answers.items()}

        def fake(host: str, port: Any, *args: Any, **more: Any) -> Any:
            if host in left:
                return real(left[host].pop(0) if len(left[host]) > 1 else left[host][0], port, *args, **more)
            return real(host, port, *args, **more)

        monkeypatch.setattr(socket, "getaddrinfo", fake)

    return install


def test_a_name_may_not_lead_inside(client: openai.OpenAI, inside: int, names: Callable[..., None]) -> None:
    names(evil_example=["127.0.0.1"])
    Inside.seen.clear()
    with pytest.raises(openai.BadRequestError, match=r"evil.example is the private address 127.0.0.1"):
        look(client, f"http://evil.example:{inside}/image")
    assert Inside.seen == []


def test_rebinding_a_name_does_not_help(
    client: openai.OpenAI, inside: int, names: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A public address first and this machine afterwards: the connection goes where the check went, or nowhere."""
    names(rebind_example=["93.184.216.34", "127.0.0.1"])
    tried: list[str] = []

    def connect(address: tuple[str, int], *_: Any, **__: Any) -> Any:
        tried.append(address[0])
        raise ConnectionRefusedError("no network in tests")

    client.models.list()  # opens the client's own connection, which stays
    monkeypatch.setattr(socket, "create_connection", connect)
    Inside.seen.clear()
    with pytest.raises(openai.BadRequestError, match="cannot reach"):
        look(client, f"http://rebind.example:{inside}/image")
    assert tried == ["93.184.216.34"]
    assert Inside.seen == []


def test_a_redirect_may_not_lead_inside(client: openai.OpenAI, inside: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first hop is let through by the test, as if it were public; the next is looked at anew."""
    Inside.seen.clear()
    monkeypatch.setattr("vl3.media.fetch._is_public", lambda _: not Inside.seen)
    for target in (f"http://127.0.0.1:{inside}/image", f"http://localhost:{inside}/image", "file:///etc/passwd"):
        Inside.seen.clear()
        monkeypatch.setattr(Inside, "redirect", target)
        with pytest.raises(openai.BadRequestError, match=r"private address|only http, https"):
            look(client, f"http://127.0.0.1:{inside}/away")
        assert Inside.seen == ["/away"]


@pytest.fixture(scope="module")
def trusting() -> Iterator[Running]:
    """A server that may fetch from this machine."""
    fetch = FetchLimits(allow_private=True, timeout_s=1, max_bytes=10_000)
    with running(ServerConfig(fetch=fetch, max_fetches=2)) as server:
        yield server


def test_fetching_where_it_is_allowed(trusting: Running, inside: int) -> None:
    said = look(trusting.client(), f"http://127.0.0.1:{inside}/image?token=secret")
    assert said.vl3["frame_times_s"] == [[0.0]]
    Inside.redirect = f"http://localhost:{inside}/image"
    assert look(trusting.client(), f"http://127.0.0.1:{inside}/away").choices


def test_a_slow_server_is_given_up(trusting: Running) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(openai.BadRequestError, match="took longer than the limit of 1 s") as caught,
    ):
        look(trusting.client(), f"http://127.0.0.1:{silent.getsockname()[1]}/video?token=secret")
    assert "secret" not in str(caught.value)


def test_no_path_of_this_machine_is_told(client: openai.OpenAI, folder: Path) -> None:
    (folder / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(openai.BadRequestError, match=r"400 - broken.mp4: not a readable") as caught:
        look(client, "broken.mp4")
    assert str(folder) not in str(caught.value)
    stored = client.files.create(file=("secret.bin", b"no video either"), purpose="user_data")
    part = {"type": "file", "file": {"file_id": stored.id}}
    with pytest.raises(openai.BadRequestError, match=f"400 - {stored.id}: not a readable"):
        client.chat.completions.create(model=MODEL, messages=[user(part, "?")])  # type: ignore[call-overload]
