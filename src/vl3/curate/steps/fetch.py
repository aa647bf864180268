"""fetch: downloads the media of rows that have a URL, within limits, and politely.

Each host has lanes of its own, so that one that is slow or wants long pauses holds up no other. A file that is there
already is not asked for again, also after a kill.
"""

import hashlib
import os
import threading
import time
import urllib.parse
import urllib.robotparser
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import Field

from vl3.config import Count, Positive, configclass
from vl3.curate.step import Found, Place, Rows, RowStep
from vl3.errors import UserError
from vl3.media.fetch import AGENT, RefusedError, display_name, fetch
from vl3.media.info import Encoded, FetchLimits

BUSY = {429, 500, 502, 503, 504}
"""Answers that another attempt may change."""
LONGEST_PAUSE_S = 60.0
"""Most seconds that a server may ask to wait (Retry-After, Crawl-delay)."""


@configclass
class FetchConfig:
    """Limits of a download, and of what is asked of a host."""

    connections: Count = 32
    """Downloads at a time."""
    per_host: Count = 4
    """Downloads at a time from one host."""
    delay_s: Annotated[float, Field(ge=0)] = 0.0
    """Least seconds between the beginnings of two downloads from one host."""
    robots: bool = True
    """Whether a host's robots.txt is asked first and kept to, its crawl delay included (RFC 9309; user agent vl3)."""
    attempts: Count = 3
    """How often a download is tried that fails on the way, or that a busy server (429, 5xx) refuses; each pause is
    twice the one before, from one second, or what the server asks for (Retry-After)."""
    max_bytes: Count = 32 << 20
    """Largest file."""
    timeout_s: Positive = 30.0
    """Longest download, in seconds."""
    max_redirects: Annotated[int, Field(ge=0)] = 5
    """Most redirects that are followed."""
    allow_private: bool = False
    """Whether URLs may lead to loopback, link-local and private addresses."""

    @property
    def limits(self) -> FetchLimits:
        """As the downloader takes them."""
        return FetchLimits(
            max_bytes=self.max_bytes,
            timeout_s=self.timeout_s,
            max_redirects=self.max_redirects,
            allow_private=self.allow_private,
        )


def fetch_step(config: FetchConfig) -> RowStep:
    """Writes `path`."""

    def start(place: Place) -> Callable[[Rows], Found]:
        return partial(download_all, config, {}, place.output.absolute() / "media")

    return RowStep(("url", "path"), {"path": "string"}, start, heavy=True)


@dataclass
class Host:
    """What is known of a host, for as long as the worker lives."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    next_at: float = 0.0
    """When the next download may begin."""
    rules: "urllib.robotparser.RobotFileParser | UserError | None" = None
    """Its robots.txt, once it was asked for, or why there is no answer."""


def download_all(config: FetchConfig, hosts: dict[str, Host], folder: Path, rows: Rows) -> Found:
    """Downloads what rows need."""
    paths: list[str | None] = list(rows["path"])
    reasons: list[str | None] = [None] * len(paths)
    queues: dict[str, deque[int]] = {}
    for number, url in enumerate(rows["url"]):
        if url is not None and paths[number] is None:
            queues.setdefault(origin(url), deque()).append(number)

    def lane(name: str) -> None:
        """Takes one URL of a host after another."""
        host, queue = hosts.setdefault(name, Host()), queues[name]
        while True:
            try:
                number = queue.popleft()
            except IndexError:
                return
            try:
                paths[number] = str(download(config, host, folder, rows["url"][number]))
            except UserError as error:
                reasons[number] = f"{_kind(error)}: {error}"

    lanes = [name for name in queues for _ in range(min(config.per_host, len(queues[name])))]
    with ThreadPoolExecutor(config.connections) as pool:
        for done in [pool.submit(lane, name) for name in lanes]:
            done.result()
    return Found({"path": paths}, reasons)


def origin(url: str) -> str:
    """Scheme and host of a URL."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".lower()


def download(config: FetchConfig, host: Host, folder: Path, url: str) -> Path:
    """The file of a URL: the one that is there, or a new one. UserError when it cannot be had."""
    name = hashlib.sha256(url.encode("utf-8", "backslashreplace")).hexdigest()
    path = folder / name[:2] / name[:32]
    if path.exists():
        return path
    display_name(url)  # refuses what is no URL
    if config.robots:
        rules = _rules(config, host, url)
        if isinstance(rules, UserError):
            raise UserError(f"{url}: its host's robots.txt cannot be had: {rules}")
        if not rules.can_fetch(AGENT, url):
            raise ForbiddenError(f"{url}: its host's robots.txt forbids it")
    pause_s = 1.0
    for attempt in range(config.attempts):
        _wait_turn(config, host)
        try:
            return _moved(fetch(url, config.limits), path)
        except UserError as error:
            wanted_s = error.retry_after_s if isinstance(error, RefusedError) else None
            final = isinstance(error, RefusedError) and error.status not in BUSY
            if final or attempt + 1 == config.attempts or not _may_pass(error):
                raise
            time.sleep(min(LONGEST_PAUSE_S, max(pause_s, wanted_s or 0.0)))
            pause_s *= 2
    raise AssertionError("there is at least one attempt")


class ForbiddenError(UserError):
    """The host does not want it to be fetched."""


def _may_pass(error: UserError) -> bool:
    """Whether trying again makes sense: not for what is too large, private, or no URL."""
    return isinstance(error, RefusedError) or any(
        sign in str(error) for sign in ("the transfer", "cannot reach", "the server closed")
    )


def _kind(error: UserError) -> str:
    """The phrase that is counted."""
    if isinstance(error, ForbiddenError):
        return "robots.txt forbids it"
    return f"the server answered {error.status}" if isinstance(error, RefusedError) else "download failed"


def _rules(config: FetchConfig, host: Host, url: str) -> urllib.robotparser.RobotFileParser | UserError:
    """The host's robots.txt: none (4xx) allows all; where it cannot be had (5xx, no answer) nothing may be fetched
    (RFC 9309), for the reason that is returned.
    """
    with host.lock:
        if host.rules is None:
            host.rules = rules = urllib.robotparser.RobotFileParser()
            try:
                found = fetch(f"{origin(url)}/robots.txt", config.limits)
                data = found.path_or_bytes()
                text = data if isinstance(data, bytes) else data.read_bytes()
                rules.parse(text[: 500 << 10].decode("utf-8", "replace").splitlines())
            except UserError as error:
                if isinstance(error, RefusedError) and error.status < 500:
                    rules.parse([])
                else:
                    host.rules = error
        return host.rules


def _wait_turn(config: FetchConfig, host: Host) -> None:
    """Sleeps until the host may be asked again."""
    rules = host.rules
    asked = float(rules.crawl_delay(AGENT) or 0) if isinstance(rules, urllib.robotparser.RobotFileParser) else 0.0
    delay_s = max(config.delay_s, min(asked, LONGEST_PAUSE_S))
    with host.lock:
        now = time.monotonic()
        begin = max(now, host.next_at)
        host.next_at = begin + delay_s
    time.sleep(max(0.0, begin - now))


def _moved(found: Encoded, path: Path) -> Path:
    """The download where it belongs; also from one file system to another."""
    data = found.path_or_bytes()
    content = data if isinstance(data, bytes) else data.read_bytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
    unfinished.write_bytes(content)
    unfinished.replace(path)
    return path
