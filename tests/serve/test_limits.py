"""Keys, sizes, queues, time and clients that go away."""

import asyncio
import concurrent.futures
import http.client
import json
import logging
import re
import socket
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import openai
import pytest
from starlette.requests import Request

from tests.saying import Saying
from tests.serve.asking import data_url, image, png, user
from tests.serve.running import MODEL, Running, running
from vl3.errors import UserError
from vl3.generate import Ticket
from vl3.generate.answer import Piece
from vl3.generate.service_config import ServiceConfig
from vl3.serve.config import ServerConfig
from vl3.serve.errors import ApiError
from vl3.serve.generation import Asker, events
from vl3.serve.keys import Keys, read_keys

KEYS = ("first-key-of-two", "second-key-of-two")
LONG = 3000
"""Tokens that take the tiny model seconds."""


@pytest.fixture(scope="module")
def locked() -> Iterator[Running]:
    with running(ServerConfig(max_body_bytes=100_000, max_upload_bytes=200_000, body_timeout_s=1), KEYS) as server:
        yield server


def ask(client: openai.OpenAI, **options: Any) -> Any:
    return client.chat.completions.create(model=MODEL, messages=[user("hello")], **{"max_tokens": 4, **options})  # type: ignore[call-overload]


def connect(server: Running) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc, timeout=30)


def get(server: Running, path: str, **headers: str) -> tuple[int, bytes]:
    connection = connect(server)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    return response.status, response.read()


# ---------------------------------------------------------------------------------------------------------------- keys


def test_keys(locked: Running) -> None:
    for key in KEYS:
        assert ask(locked.client(key)).choices
    for wrong in ("first-key-of-tw", "first-key-of-two ", "FIRST-KEY-OF-TWO", "x"):
        if wrong.strip() in KEYS:
            continue
        with pytest.raises(openai.AuthenticationError, match="no valid API key"):
            ask(locked.client(wrong))
    for header in ({}, {"Authorization": KEYS[0]}, {"Authorization": f"Basic {KEYS[0]}"}, {"X-Api-Key": KEYS[0]}):
        assert get(locked, "/v1/models", **header)[0] == 401
    assert get(locked, "/v1/models", Authorization=f"bearer {KEYS[0]}")[0] == 200
    assert get(locked, "/metrics")[0] == 401
    for path in ("/health", "/ready", "/openapi.json", "/docs"):
        assert get(locked, path)[0] == 200


def test_owners_do_not_see_each_others_files(locked: Running) -> None:
    one, two = (locked.client(key) for key in KEYS)
    stored = one.files.create(file=("a.png", png()), purpose="user_data")
    assert [file.id for file in one.files.list()] == [stored.id]
    assert list(two.files.list()) == []
    with pytest.raises(openai.NotFoundError):
        two.files.delete(stored.id)
    part: Any = {"type": "file", "file": {"file_id": stored.id}}
    with pytest.raises(openai.BadRequestError, match="no such file"):
        two.chat.completions.create(model=MODEL, messages=[user(part, "?")])  # type: ignore[list-item]
    assert one.chat.completions.create(model=MODEL, messages=[user(part, "?")], max_tokens=1).choices  # type: ignore[list-item]


def test_reading_keys(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys"
    file.write_text("# ours\nlong-enough-key\n\n  another-long-key  \n")
    assert len(read_keys(file)) == 2
    assert read_keys(file).owner("Bearer another-long-key")
    file.write_text("# none\n")
    with pytest.raises(UserError, match="holds no API key"):
        read_keys(file)
    with pytest.raises(UserError, match="cannot be read"):
        read_keys(tmp_path / "missing")
    with pytest.raises(UserError, match="shorter than 8"):
        Keys(["short"])
    monkeypatch.setenv("VL3_API_KEYS", "key-one-long, key-two-long")
    assert len(read_keys(None)) == 2
    monkeypatch.delenv("VL3_API_KEYS")
    assert Keys().owner(None) == "everyone"


# --------------------------------------------------------------------------------------------------------------- sizes


def test_a_large_request(locked: Running) -> None:
    big = {"type": "image_url", "image_url": {"url": data_url(bytes(200_000))}}
    with pytest.raises(openai.APIStatusError, match="larger than the limit of 100000 bytes; upload media") as caught:
        locked.client(KEYS[0]).chat.completions.create(model=MODEL, messages=[user(big)])  # type: ignore[list-item]
    assert caught.value.status_code == 413


def test_a_large_request_that_does_not_say_so(locked: Running) -> None:
    connection = connect(locked)
    headers = {"Authorization": f"Bearer {KEYS[0]}", "Content-Type": "application/json"}
    body = (b"x" * 1000 for _ in range(200))
    connection.request("POST", "/v1/chat/completions", body, headers, encode_chunked=True)
    assert connection.getresponse().status == 413


def test_a_large_upload(locked: Running) -> None:
    client = locked.client(KEYS[0])
    assert client.files.create(file=("a.bin", bytes(150_000)), purpose="user_data").bytes == 150_000
    with pytest.raises(openai.APIStatusError) as caught:
        client.files.create(file=("a.bin", bytes(400_000)), purpose="user_data")
    assert caught.value.status_code == 413


def test_uploads_at_once_fit_into_the_store() -> None:
    with running(ServerConfig(files_quota_bytes=100_000)) as server:
        client = server.client()
        where = urllib.parse.urlsplit(server.url)
        with socket.create_connection((where.hostname, where.port), timeout=5) as slow:
            head = b"POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
            slow.sendall(head + b"Content-Length: 90000\r\n\r\n--x\r\n")
            while server.serving.metrics.in_flight._value.get() == 0:
                time.sleep(0.01)
            assert client.files.create(file=("a.bin", bytes(100)), purpose="user_data").bytes == 100
            with pytest.raises(openai.RateLimitError) as caught:
                client.files.create(file=("a.bin", bytes(20_000)), purpose="user_data")
            assert caught.value.response.headers["Retry-After"]
        while server.serving.metrics.in_flight._value.get():
            time.sleep(0.01)
        assert client.files.create(file=("a.bin", bytes(20_000)), purpose="user_data").bytes == 20_000


def test_a_request_that_never_ends(locked: Running) -> None:
    with socket.create_connection(urllib.parse.urlsplit(locked.url).netloc.split(":")) as sock:  # type: ignore[arg-type]
        sock.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer " + KEYS[0].encode() + b"\r\nContent-Length: 1000\r\n\r\n{"
        )
        start = time.monotonic()
        assert b"408" in sock.recv(1000)
        assert time.monotonic() - start < 5


def test_without_a_key_no_body_is_read(locked: Running) -> None:
    with socket.create_connection(urllib.parse.urlsplit(locked.url).netloc.split(":")) as sock:  # type: ignore[arg-type]
        sock.sendall(b"POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
        assert b"401" in sock.recv(1000)


# ------------------------------------------------------------------------------------------------------ queue and time


def test_a_full_queue_says_when_to_come_again() -> None:
    limits = ServiceConfig(max_running=1, max_waiting=1)
    with running(ServerConfig(max_requests=2), service_config=limits) as server:
        client = server.client()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            streams = [ask(client, stream=True, max_tokens=LONG)]
            next(iter(streams[0]))
            waiting = pool.submit(ask, client, max_tokens=2)
            while server.serving.service.stats().waiting == 0:
                time.sleep(0.01)
            with pytest.raises(openai.RateLimitError) as caught:
                ask(client)
            assert int(caught.value.response.headers["Retry-After"]) >= 1
            assert get(server, "/health")[0] == 200  # however busy
            assert get(server, "/v1/models")[0] == 200
            streams[0].close()
            assert waiting.result(20).choices
        assert ask(client).choices


def test_more_answers_than_the_queue_holds() -> None:
    """All or none: the answers that did find room are given up."""
    with running(service_config=ServiceConfig(max_running=1, max_waiting=2)) as server:
        with pytest.raises(openai.RateLimitError):
            ask(server.client(), n=8, max_tokens=LONG)
        assert server.idle()


def test_too_slow_an_answer() -> None:
    with running(ServerConfig(request_timeout_s=0.5)) as server:
        with pytest.raises(openai.APIStatusError, match=r"no answer within the limit of 0\.5 s") as caught:
            ask(server.client(), max_tokens=LONG)
        assert caught.value.status_code == 408
        assert caught.value.response.headers["x-should-retry"] == "false"
        with pytest.raises(openai.APIError, match="no answer within the limit"):
            list(ask(server.client(), max_tokens=LONG, stream=True))
        assert server.idle()


# ------------------------------------------------------------------------------------------- clients that go away, logs


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_ends_its_answer(server: Running, stream: bool) -> None:
    before = server.serving.service.stats()
    connection = connect(server)
    body = {"model": MODEL, "messages": [user(image(), "hello")], "max_tokens": LONG, "stream": stream, "n": 2}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    while server.serving.service.stats().running < 2:
        time.sleep(0.01)
    if stream:
        response = connection.getresponse()
        assert response.read(10)
        response.close()  # it has a hold of the connection, too
    connection.close()
    assert server.idle(5)
    after = server.serving.service.stats()
    assert after.cancelled - before.cancelled == 2
    assert after.finished == before.finished


def test_the_log_tells_how_and_not_what(server: Running, caplog: pytest.LogCaptureFixture) -> None:
    access = logging.getLogger("vl3.access")
    access.setLevel(logging.INFO)
    caplog.set_level(logging.INFO)
    access.addHandler(caplog.handler)
    try:
        client = server.client("my-secret-key")
        client.chat.completions.create(model=MODEL, messages=[user(image(), "a secret question")], max_tokens=3)  # type: ignore[list-item]
        get(server, "/secret-path?secret=1")
        time.sleep(0.1)
    finally:
        access.removeHandler(caplog.handler)
    lines = [record.msg for record in caplog.records if record.name == "vl3.access"]
    asked = next(line for line in lines if line["route"] == "/v1/chat/completions")  # type: ignore[index]
    assert asked["status"] == 200  # type: ignore[index]
    assert asked["generated_tokens"] == 3  # type: ignore[index]
    assert asked["visual_tokens"] > 0  # type: ignore[index]
    assert any(line["route"] == "other" and line["status"] == 404 for line in lines)  # type: ignore[index]
    assert "secret" not in json.dumps(lines)


def test_metrics(server: Running) -> None:
    client = server.client()
    figures = _figures(server)
    ask(client, max_tokens=5)
    after = _figures(server)

    def grown(name: str) -> float:
        return after[name] - figures.get(name, 0)

    assert grown('vl3_requests_total{method="POST",route="/v1/chat/completions",status="200"}') == 1
    assert grown("vl3_generated_tokens_total") == 5
    assert grown("vl3_prompt_tokens_total") > 0
    assert grown("vl3_first_piece_seconds_count") == 1
    assert grown("vl3_engine_finished_total") == 1
    assert after["vl3_engine_running"] == 0


def _figures(server: Running) -> dict[str, float]:
    from prometheus_client.parser import text_string_to_metric_families

    page = get(server, "/metrics")[1].decode()
    found = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_pages_of_other_origins() -> None:
    with running(ServerConfig(cors_origins=("https://site.example",)), KEYS) as server:
        connection = connect(server)
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        for origin, allowed in (("https://site.example", 200), ("https://other.example", 400)):
            connection.request("OPTIONS", "/v1/chat/completions", headers={"Origin": origin, **asked})
            response = connection.getresponse()
            assert response.status == allowed
            response.read()


def test_a_body_that_is_not_json(server: Running) -> None:
    connection = connect(server)
    connection.request("POST", "/v1/chat/completions", '{"model": "m", }', {"Content-Type": "application/json"})
    response = connection.getresponse()
    said = json.loads(response.read())["error"]["message"]
    assert response.status == 400
    assert said.startswith("the body is not JSON: ") and said.endswith(" at character 15")


def test_a_form_of_another_page_is_not_taken_for_json(server: Running) -> None:
    """What a page may send without asking the server first: plain text."""
    connection = connect(server)
    body = json.dumps({"model": MODEL, "messages": [user("hi")]})
    connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "text/plain"})
    assert connection.getresponse().status == 400


# ------------------------------------------------------------------------------------------------------------- headers


def _dribble(sock: socket.socket, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sock.sendall(b"x: y\r\n")
        time.sleep(0.05)


@pytest.mark.parametrize("after_a_request", [False, True])
def test_a_header_that_dribbles(after_a_request: bool) -> None:
    with running(ServerConfig(header_timeout_s=0.5)) as server:
        where = urllib.parse.urlsplit(server.url)
        with socket.create_connection((where.hostname, where.port), timeout=5) as sock:
            if after_a_request:
                sock.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
                assert b"200" in sock.recv(1000)
            sock.sendall(b"GET /health HTTP/1.1\r\n")
            with pytest.raises(ConnectionError):
                _dribble(sock, 5.0)
        # whoever is quick is not hurt, however long the answer takes
        assert server.client().models.list().data[0].id == MODEL


def test_a_long_answer_is_not_given_up() -> None:
    with running(ServerConfig(header_timeout_s=0.2), make_service=Saying) as server:
        service = server.serving.service
        assert isinstance(service, Saying)
        service.text, service.delay_s = "word " * 10, 0.02
        assert ask(server.client(), max_tokens=60).choices[0].message.content == "word " * 10
        where = urllib.parse.urlsplit(server.url)
        with socket.create_connection((where.hostname, where.port), timeout=5) as silent:
            assert silent.recv(1) == b""


# -------------------------------------------------------------------------------------------------- who does not read


def test_a_client_that_does_not_read_is_given_up() -> None:
    with running(ServerConfig(write_timeout_s=1.5)) as server, socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        where = urllib.parse.urlsplit(server.url)
        deaf.connect((where.hostname, where.port))
        deaf.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 400)  # more than the system keeps for it
        connections = server.server.server_state.connections
        time.sleep(1)
        assert len(connections) == 1, "it is given some time"
        end = time.monotonic() + 20
        while connections and time.monotonic() < end:
            time.sleep(0.05)
        assert not connections
        assert server.client().models.list().data[0].id == MODEL


def test_an_answer_that_is_read_too_slowly() -> None:
    """The time is over, although each piece is ready when it is asked for."""

    class Ready:
        answer = None

        def listen(self, tell: Any) -> None:
            for _ in range(100):
                tell(Piece("word", []))

    async def silence() -> Any:
        await asyncio.Event().wait()

    read: list[Any] = []

    async def read_slowly() -> None:
        async for event in events([cast("Ticket", Ready())], Asker(Request({"type": "http"}, silence), 0.2)):
            read.append(event)
            await asyncio.sleep(0.02)

    with pytest.raises(ApiError, match=r"no answer within the limit of 0\.2 s"):
        asyncio.run(read_slowly())
    assert 1 <= len(read) <= 12


# ------------------------------------------------------------------------------------------------ what was asked before


def test_a_second_question_about_a_video_reads_only_the_question(folder: Path) -> None:
    limits = ServiceConfig(prefix_bytes=64 << 20, vision_bytes=64 << 20)
    with running(ServerConfig(media_folder=folder), service_config=limits) as server:
        client = server.client()

        def usage(question: str) -> Any:
            part = {"type": "video_url", "video_url": {"url": "clip.mp4"}}
            said = client.chat.completions.create(model=MODEL, messages=[user(part, question)], max_tokens=2)  # type: ignore[list-item]
            return said.usage

        first, second = usage("What happens?"), usage("Who is there?")
        assert first.prompt_tokens_details.cached_tokens == 0
        assert second.prompt_tokens_details.cached_tokens > second.prompt_tokens_details.visual_tokens > 10
        assert server.serving.service.stats().vision_hits == 1


def test_the_reference_needs_nothing_from_elsewhere(server: Running) -> None:
    status, body = get(server, "/docs")
    page = body.decode()
    assert status == 200
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", page) and "<script" not in page
    for name in ("POST /v1/chat/completions", "max_visual_tokens", "vl3: published, off, grey=2", "GET /ready"):
        assert name in page, name
    targets = set(re.findall(r'href="#([^"]+)"', page))
    assert targets and targets <= set(re.findall(r'id="([^"]+)"', page))
