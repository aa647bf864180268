"""SIGTERM under load: what was accepted is finished, and the process ends as one that did its work."""

import concurrent.futures
import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import httpx2
import openai
import pytest

import vl3
from vl3.weights.demo import save_demo_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "demo"
    save_demo_model(folder)
    return folder


@pytest.fixture
def process(model: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`vl3 serve` and its URL."""
    command = [sys.executable, "-m", "vl3", "serve", "--model", str(model), "--name", "demo", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(Path(vl3.__file__).parents[1])}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as running:
        assert running.stdout is not None
        line = running.stdout.readline()
        assert line.startswith("serving demo at http://127.0.0.1:")
        url = line.split()[3]
        while True:
            try:
                with urllib.request.urlopen(f"{url}/ready"):
                    break
            except OSError:
                time.sleep(0.05)
        yield running, url
        running.kill()


def test_sigterm_under_load_loses_nothing(process: tuple[subprocess.Popen[str], str]) -> None:
    running, url = process

    def ask(number: int) -> tuple[int, str | None]:
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
        messages = [{"role": "user", "content": f"question {number}"}]
        if number % 2:
            said = client.chat.completions.create(model="demo", messages=messages, max_tokens=300)  # type: ignore[call-overload]
            return said.usage.completion_tokens, said.choices[0].finish_reason
        chunks = list(
            client.chat.completions.create(  # type: ignore[call-overload]
                model="demo", messages=messages, max_tokens=300, stream=True, stream_options={"include_usage": True}
            )
        )
        return chunks[-1].usage.completion_tokens, chunks[-2].choices[0].finish_reason

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = [pool.submit(ask, number) for number in range(16)]
        while _in_flight(url) < 16:
            time.sleep(0.01)
        running.send_signal(signal.SIGTERM)
        for answer in answers:
            tokens, reason = answer.result(60)
            assert reason in ("stop", "length")
            assert tokens == 300 or reason == "stop"
    assert running.wait(20) == 0
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{url}/health", timeout=2)


def _in_flight(url: str) -> int:
    with urllib.request.urlopen(f"{url}/metrics") as page:
        line = next(line for line in page if line.startswith(b"vl3_requests_in_flight "))
    return int(float(line.split()[1])) - 1  # without this one


def test_a_second_signal_does_not_wait(process: tuple[subprocess.Popen[str], str]) -> None:
    running, url = process
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    messages = [{"role": "user", "content": "?"}]
    stream = client.chat.completions.create(model="demo", messages=messages, max_tokens=7000, stream=True)  # type: ignore[call-overload]
    next(iter(stream))
    running.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert running.poll() is None
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 0
    received = 0
    with contextlib.suppress(openai.APIError, httpx2.TransportError):
        for _ in stream:
            received += 1
    assert received < 6900


def test_a_port_that_is_taken(process: tuple[subprocess.Popen[str], str]) -> None:
    port = process[1].rpartition(":")[2]
    environment = {**os.environ, "PYTHONPATH": str(Path(vl3.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-m", "vl3", "serve", "--port", port],
        env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(f"vl3: error: cannot listen on 127.0.0.1 port {port}: ")
    assert done.stderr.count("\n") == 1
