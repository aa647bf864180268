"""Requests at once: `vl3 serve` against `transformers serve`, the same tiny model from the same folder, greedy.

python benchmarks/serving.py --peer peer/bin/python
"""

import argparse
import base64
import concurrent.futures
import io
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from common import in_turns, ratio, say
from PIL import Image

NUMBERS = itertools.count()
"""No question is put to both sides twice, so that neither answers from memory."""


def main() -> None:
    """Prints the ratios of tokens a second."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", default=sys.executable, help="the interpreter that has transformers[serving]")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--requests", type=int, default=32, help="in a run")
    parser.add_argument("--tokens", type=int, default=64, help="most tokens of an answer")
    parser.add_argument("--threads", type=int, default=1, help="of each side's matrix products")
    parser.add_argument("--images", action="store_true", help="a picture of 224 x 224 in each question")
    parser.add_argument("--continuous-batching", action="store_true", help="the peer's option of that name")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="few requests, to try the script")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.quick:
        args.requests, args.tokens, args.runs = 4, 8, 1

    with tempfile.TemporaryDirectory() as temporary:
        model = str(make_model(Path(temporary)))
        port = free_port()
        ours = [sys.executable, "-m", "vl3", "serve", "--model", model, "--prefix-cache", "0", "--vision-cache", "0"]
        theirs = [args.peer, "-m", "transformers.cli.transformers", "serve", model, "--device", "cpu"]
        theirs += ["--continuous-batching"] * args.continuous_batching
        with (
            server([*ours, "--port", str(port)], port, args.threads) as vl3,
            server([*theirs, "--port", str(port + 1)], port + 1, args.threads) as peer,
        ):
            result = measure({"transformers": peer, "vl3": vl3}, model, args)
    say(result, args.json)


def measure(urls: dict[str, str], model: str, args: argparse.Namespace) -> dict[str, Any]:
    """Both servers in turns; times are weighed by the tokens that were really made."""
    tokens: dict[str, list[int]] = {name: [] for name in urls}

    def run(name: str) -> None:
        questions = [question(next(NUMBERS), args.images) for _ in range(args.requests)]
        with concurrent.futures.ThreadPoolExecutor(args.clients) as pool:
            answers = list(pool.map(lambda asked: ask(urls[name], model, asked, args.tokens), questions))
        tokens[name].append(sum(count for _, count in answers))

    alike = question(next(NUMBERS), args.images)
    texts = [ask(url, model, alike, args.tokens)[0] for url in urls.values()]
    seconds = in_turns({name: lambda name=name: run(name) for name in urls}, args.runs)  # type: ignore[misc]
    # the first of each side was the warm-up
    per_token = {
        name: [time_s / made for time_s, made in zip(seconds[name], tokens[name][1:], strict=True)] for name in urls
    }
    return {
        "clients": args.clients,
        "same answer": "yes" if texts[0] == texts[1] else "no",
        "times the tokens a second of transformers serve": ratio(per_token),
    }


def question(number: int, with_image: bool) -> list[dict[str, Any]]:
    """One that was not asked before."""
    parts: list[dict[str, Any]] = [{"type": "text", "text": f"Question {number}: what is there to say about it?"}]
    if with_image:
        out = io.BytesIO()
        noise = np.random.default_rng(number).integers(0, 256, (7, 7, 3), np.uint8)
        Image.fromarray(noise).resize((224, 224)).save(out, "PNG")
        url = f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
        parts.insert(0, {"type": "image_url", "image_url": {"url": url}})
    return parts


def ask(url: str, model: str, parts: list[dict[str, Any]], max_tokens: int) -> tuple[str, int]:
    """(answer, its tokens)."""
    body = {"model": model, "messages": [{"role": "user", "content": parts}], "max_tokens": max_tokens}
    request = urllib.request.Request(
        f"{url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=300) as answer:
        said = json.load(answer)
    return said["choices"][0]["message"]["content"], said["usage"]["completion_tokens"]


def make_model(folder: Path) -> Path:
    """The demo model, in the layout that both sides load."""
    quiet: dict[str, Any] = {"check": True, "stdout": subprocess.DEVNULL}
    subprocess.run([sys.executable, "-m", "vl3", "demo-model", str(folder / "demo")], **quiet)
    command = [sys.executable, "-m", "vl3", "convert", str(folder / "demo"), str(folder / "both")]
    subprocess.run([*command, "--layout", "transformers"], **quiet)
    return folder / "both"


@contextmanager
def server(command: list[str], port: int, threads: int) -> Iterator[str]:
    """Runs a server until it is no longer wanted; its URL, once it answers."""
    url = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(threads)}
    with tempfile.TemporaryFile() as log, subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process:
        try:
            for _ in range(600):
                if process.poll() is not None:
                    log.seek(0)
                    sys.exit(f"{' '.join(command)} ended: {log.read().decode()[-1500:]}")
                try:
                    urllib.request.urlopen(f"{url}/health", timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.2)
            yield url
        finally:
            process.terminate()


def free_port() -> int:
    """One after which the next is likely to be free too."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


if __name__ == "__main__":
    main()
