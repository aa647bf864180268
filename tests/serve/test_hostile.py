"""Senseless bodies, damaged media and a crowd: nothing crashes, hangs or leaks, and nobody harms another."""

import concurrent.futures
import gc
import http.client
import json
import random
import threading
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest

from tests.media.test_corrupt import damage, originals
from tests.serve.asking import data_url, image, user
from tests.serve.running import MODEL, Running

__all__ = ["originals"]  # a fixture

CHAT = "/v1/chat/completions"
LONGEST_S = 30.0
"""Nothing here may take longer."""


class Caller:
    """Posts raw bytes over one connection, opened anew when the server closed it."""

    def __init__(self, server: Running) -> None:
        self._place = urllib.parse.urlsplit(server.url).netloc
        self._connection = self._new()

    def _new(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._place, timeout=LONGEST_S)

    def post(self, body: bytes, path: str = CHAT, kind: str = "application/json") -> tuple[int, bytes]:
        """(status, body)."""
        try:
            self._connection.request("POST", path, body, {"Content-Type": kind})
            response = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError):
            self._connection = self._new()
            self._connection.request("POST", path, body, {"Content-Type": kind})
            response = self._connection.getresponse()
        return response.status, response.read()


def memory() -> int:
    """Bytes that this process, which is also the server's, holds."""
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def settled(server: Running, threads: int) -> bool:
    """Whether nothing is left over: no request, no thread that waits for one."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if server.idle(0.1) and threading.active_count() <= threads + 4:  # some of a pool may stay
            return True
        time.sleep(0.05)
    return False


# ---------------------------------------------------------------------------------------------------------- bodies


def senseless(luck: random.Random) -> bytes:
    """A body that is no request, or nearly one."""
    good: dict[str, Any] = {
        "model": MODEL,
        "messages": [user(image(luck.randrange(9)), "hello")],
        "max_tokens": 2,
        "temperature": 0.5,
        "stop": ["x"],
        "seed": 3,
        "n": 1,
        "fps": 1,
        "stream": False,
    }
    how = luck.randrange(7)
    if how == 0:
        return luck.randbytes(luck.choice([0, 1, 10, 1000]))
    text = json.dumps(good).encode()
    if how == 1:
        return text[: luck.randrange(len(text))]
    if how == 2:
        changed = bytearray(text)
        for _ in range(luck.choice([1, 3, 30])):
            changed[luck.randrange(min(400, len(changed)))] = luck.randrange(256)
        return bytes(changed)
    if how == 3:
        opening = luck.choice([b"[", b'{"a":', b'{"messages":[', b'{"response_format":{"json_schema":'])
        return opening * luck.choice([50, 5000, 100_000])
    if how == 4:
        good["messages"][0][luck.choice(["role", "content"])] = anything(luck, 3)
    elif how == 5:
        part = good["messages"][0]["content"][0]
        part[luck.choice(["type", "image_url", "extra"])] = anything(luck, 2)
    else:
        others = ["response_format", "tools", "top_logprobs", "prune", "stream_options", "logit_bias", "\0"]
        good[luck.choice([*good, *others])] = anything(luck, 3)
    return json.dumps(good).encode().replace(b'"RAW"', luck.choice([b"NaN", b"-Infinity", b"1e999", b"9" * 5000]))


def anything(luck: random.Random, depth: int) -> Any:
    """Any JSON value."""
    simple = [None, True, 0, -1, 2**63, 1e308, 1e-320, "", "x", "\ud800", "\0", "RAW", "data:,", "file_id:", "x" * 5000]
    how = luck.randrange(4) if depth else 0
    if how == 1:
        return [anything(luck, depth - 1) for _ in range(luck.randrange(4))]
    if how == 2:
        keys = ["url", "type", "text", "schema", "json_schema", "file", "file_id", "$ref", "\udc00"]
        return {luck.choice(keys): anything(luck, depth - 1) for _ in range(luck.randrange(4))}
    return luck.choice(simple)


def fuzz(server: Running, count: int) -> dict[int, int]:
    """How many bodies got which status."""
    luck, caller = random.Random(20250131), Caller(server)
    statuses: dict[int, int] = {}
    for number in range(count):
        body = senseless(luck)
        path = CHAT if number % 4 else luck.choice(["/v1/completions", "/v1/files", "/v1/models"])
        kind = luck.choice(["application/json"] * 9 + ["multipart/form-data; boundary=x", "text/plain", ""])
        status, said = caller.post(body, path, kind)
        statuses[status] = statuses.get(status, 0) + 1
        assert status < 500, body[:1000]
        if status >= 400:
            assert len(json.loads(said)["error"]["message"]) > 3
    return statuses


def leaves_nothing(server: Running, warm_up: Callable[[], object], work: Callable[[], object]) -> None:
    """Runs the work and compares memory and threads with what they were after a first, short run."""
    warm_up()
    assert settled(server, threading.active_count())
    before, threads = memory(), threading.active_count()
    work()
    assert settled(server, threads)
    assert memory() - before < 64 << 20


def test_senseless_bodies(server: Running) -> None:
    statuses = fuzz(server, 300)
    assert statuses[400] > 100
    assert statuses[200] > 1  # some of it makes sense


@pytest.mark.slow
def test_five_thousand_senseless_bodies(server: Running) -> None:
    leaves_nothing(server, lambda: fuzz(server, 500), lambda: fuzz(server, 5000))


# ----------------------------------------------------------------------------------------------------------- media


def look_at_damaged(server: Running, files: list[Path], count: int) -> dict[int, int]:
    luck, caller = random.Random(7), Caller(server)
    statuses: dict[int, int] = {}
    for number in range(count):
        data = files[number % len(files)].read_bytes()
        data = damage(data, luck.choice(["cut", "flip", "flip head", "hole", "loss", "tail"]), luck)
        kind = "image" if number % len(files) >= 6 else "video"
        part = {"type": f"{kind}_url", f"{kind}_url": {"url": data_url(data, "application/octet-stream")}}
        body = {"model": MODEL, "messages": [user(part, "?")], "max_tokens": 2, "fps": 2}
        start = time.monotonic()
        status, said = caller.post(json.dumps(body).encode())
        assert time.monotonic() - start < LONGEST_S
        assert status in (200, 400), said[:500]
        if status == 400:
            assert json.loads(said)["error"]["message"].startswith("<data URL>: ")
        statuses[status] = statuses.get(status, 0) + 1
    return statuses


def test_damaged_media(server: Running, originals: list[Path]) -> None:
    statuses = look_at_damaged(server, originals, 40)
    assert statuses[200] > 5
    assert statuses[400] > 5


@pytest.mark.slow
def test_three_hundred_damaged_media(server: Running, originals: list[Path]) -> None:
    leaves_nothing(
        server,
        lambda: look_at_damaged(server, originals, 40),
        lambda: look_at_damaged(server, originals, 300),
    )
    assert len(psutil.Process().children()) <= 4


# ----------------------------------------------------------------------------------------------------------- a crowd


def crowd(server: Running, count: int) -> None:
    """So many clients at once, of which a third hang up midway; the others get what they get when they are alone."""

    def question(number: int) -> dict[str, Any]:
        return {
            "model": MODEL,
            "messages": [user(image(number % 8), f"question {number % 8}")],
            "max_tokens": 30,
            "stream": number % 2 == 0,
            "temperature": 1,
            "seed": number % 8,
        }

    def text_of(number: int) -> str:
        client = server.client()
        for _ in range(300):
            try:
                said = client.chat.completions.create(**question(number))
                break
            except openai.RateLimitError:
                time.sleep(0.1)
        if not question(number)["stream"]:
            return str(said.choices[0].message.content)
        return "".join(chunk.choices[0].delta.content or "" for chunk in said)

    def hang_up(number: int) -> str:
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc, timeout=LONGEST_S)
        body = json.dumps({**question(number), "max_tokens": 3000})
        connection.request("POST", CHAT, body, {"Content-Type": "application/json"})
        if number % 2 == 0:
            response = connection.getresponse()
            response.read(300)
            response.close()
        else:
            time.sleep(0.3)
        connection.close()
        return ""

    alone = [text_of(number) for number in range(8)]
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        found = list(pool.map(lambda number: (hang_up if number % 3 == 2 else text_of)(number), range(count)))
    assert found == ["" if number % 3 == 2 else alone[number % 8] for number in range(count)]


def test_a_crowd(server: Running) -> None:
    crowd(server, 12)
    assert server.idle()


@pytest.mark.slow
def test_a_crowd_of_sixty_four(server: Running) -> None:
    leaves_nothing(server, lambda: crowd(server, 64), lambda: crowd(server, 64))
