"""The page over HTTP, without a browser: what it serves, and what it does not."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import vl3
from tests.serve.running import Running
from tests.ui.conftest import page_running
from vl3.cli.ui import command
from vl3.errors import UserError
from vl3.serve.config import ServerConfig
from vl3.ui.page import _Controls
from vl3.weights.demo import save_demo_model

QUESTION = "Hello?"


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode("utf-8", "replace")


def post(url: str, data: bytes, kind: str = "application/json") -> tuple[int, str]:
    request = urllib.request.Request(url, data, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode("utf-8", "replace")


def upload(url: str, name: str, data: bytes) -> tuple[int, str]:
    head = f'Content-Disposition: form-data; name="files"; filename="{name}"'.encode()
    form = b"--X\r\n" + head + b"\r\n\r\n" + data + b"\r\n--X--\r\n"
    return post(f"{url}/gradio_api/upload", form, "multipart/form-data; boundary=X")


def ask(url: str, file: str) -> str:
    """Asks as the page does, with a file of any name; the events that come back."""
    config = json.loads(get(f"{url}/config")[1])
    asking = next(call for call in config["dependencies"] if len(call["inputs"]) == len(_Controls._fields))
    files: list[Any] = [{"path": file, "meta": {"_type": "gradio.FileData"}}]
    body = {
        "data": [QUESTION, files, None, 1, 8, 400, "published", 0, 4, 0],
        "fn_index": asking["id"],
        "session_hash": "s",
    }
    status, _ = post(f"{url}/gradio_api/queue/join", json.dumps(body).encode())
    assert status == 200
    return get(f"{url}/gradio_api/queue/data?session_hash=s")[1]


def test_the_page_and_the_api_share_a_port(page: Running) -> None:
    status, text = get(page.url)
    assert status == 200 and 'content="vl3: tiny"' in text
    assert page.client().models.list().data[0].id == "tiny"
    assert get(f"{page.url}/health") == (200, '{"status":"ok"}')


def test_the_page_loads_nothing_from_elsewhere(page: Running) -> None:
    text = get(page.url)[1]
    loaded = [part.split('"')[1] for part in text.replace("href=", "src=").split("src=")[1:] if part[0] == '"']
    assert not [address for address in loaded if address.startswith(("http", "//"))], loaded


def test_a_dropped_file_is_answered_about(page: Running, dropped: Path) -> None:
    status, text = upload(page.url, "a.png", (dropped / "a.png").read_bytes())
    assert status == 200
    events = ask(page.url, json.loads(text)[0])
    assert "visual tokens" in events and "process_completed" in events


@pytest.mark.parametrize("file", ["/etc/passwd", "/proc/self/environ", "{folder}/clip.mp4", "../../etc/passwd"])
def test_no_other_file_of_this_machine_is_reached(page: Running, dropped: Path, file: str) -> None:
    path = file.format(folder=dropped)
    status, text = get(f"{page.url}/gradio_api/file={urllib.parse.quote(path)}")
    assert status in (403, 404) and "root:" not in text
    events = ask(page.url, path)
    assert "root:" not in events and "vl3-notice" not in events and "visual tokens" not in events
    assert '"success":false' in events


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0x7f000001"])
def test_no_address_of_this_machine_is_fetched(page: Running, host: str) -> None:
    port = page.url.rpartition(":")[2]
    events = ask(page.url, f"http://{host}:{port}/health")
    assert '"success":false' in events and "visual tokens" not in events


def test_limits_of_a_dropped_file() -> None:
    with page_running(ServerConfig(max_upload_bytes=1000, files_quota_bytes=1500, max_body_bytes=5000)) as server:
        assert post(f"{server.url}/gradio_api/queue/join", b"x" * 6000)[0] == 413
        assert upload(server.url, "a.bin", bytes(900))[0] == 200
        assert upload(server.url, "b.bin", bytes(1100))[0] == 413
        status, text = upload(server.url, "c.bin", bytes(901))
        assert status == 413 and "no room" in text
        place = urllib.parse.urlsplit(server.url).netloc
        connection = http.client.HTTPConnection(place, timeout=20)
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        connection.request("POST", "/gradio_api/upload", iter([b"--x\r\n", b"x" * 5000]), kind)  # in chunks
        assert connection.getresponse().status == 411
        connection.close()


def test_files_on_their_way_count() -> None:
    with page_running(ServerConfig(files_quota_bytes=1500)) as server:
        where = urllib.parse.urlsplit(server.url)
        with socket.create_connection((where.hostname, where.port), timeout=20) as slow:
            head = b"POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
            slow.sendall(head + b"Content-Length: 1000\r\n\r\n--x\r\n")  # has room also after the first of the others
            end = time.monotonic() + 20
            while upload(server.url, "a.bin", bytes(400))[0] != 413 and time.monotonic() < end:
                time.sleep(0.05)
            assert time.monotonic() < end
        while (status := upload(server.url, "a.bin", bytes(400))[0]) == 413 and time.monotonic() < end:
            time.sleep(0.05)
        assert status == 200, "whoever hangs up makes room"


def test_with_keys_the_page_asks_for_one() -> None:
    with page_running(keys=("sesame-and-more",)) as server:
        assert get(f"{server.url}/config")[0] == 401
        assert upload(server.url, "a.bin", b"x")[0] == 401
        login = f"{server.url}/login"
        form = "application/x-www-form-urlencoded"
        assert post(login, b"username=me&password=wrong-and-more", form)[0] == 400
        assert post(login, b"username=me&password=sesame-and-more", form)[0] == 200


def test_an_open_page_does_not_hold_up_the_end() -> None:
    with page_running() as server:
        open_page = urllib.request.urlopen(f"{server.url}/gradio_api/heartbeat/abc", timeout=10)
        assert open_page.read(5) == b"data:"
        server.serving.drain()  # what SIGTERM does
        start = time.monotonic()
        open_page.read()  # to its end
        assert time.monotonic() - start < 5


def test_share_is_explained() -> None:
    outcome = CliRunner().invoke(command, ["--share"])
    assert isinstance(outcome.exception, UserError)
    assert str(outcome.exception).startswith("--share is not offered") and "ssh -L" in str(outcome.exception)


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    save_demo_model(tmp_path / "demo")
    arguments = ["ui", "--model", str(tmp_path / "demo"), "--name", "demo", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(Path(vl3.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-m", "vl3", *arguments],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("serving demo at http://127.0.0.1:") and "(the page; API: /v1" in line
        url = line.split()[3]
        while True:
            with suppress(OSError):
                assert 'content="vl3: demo"' in get(url)[1]
                break
            time.sleep(0.1)
        with urllib.request.urlopen(f"{url}/gradio_api/heartbeat/abc", timeout=30) as open_page:
            assert open_page.read(5) == b"data:"
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0  # well before the 60 seconds that a request may take to end
