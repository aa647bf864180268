"""One server for all tests that change nothing about it."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.media.clips import write_clip
from tests.serve.running import Running, running
from vl3.serve.config import ServerConfig


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of local media: clip.mp4, four seconds of numbered frames."""
    folder = tmp_path_factory.mktemp("media")
    write_clip(folder / "clip.mp4", [250 * number for number in range(16)])
    return folder


@pytest.fixture(scope="session")
def server(folder: Path) -> Iterator[Running]:
    """Nobody needs a key, and local media are allowed."""
    with running(ServerConfig(media_folder=folder)) as running_server:
        yield running_server


@pytest.fixture
def client(server: Running) -> openai.OpenAI:
    """The official client."""
    return server.client()
