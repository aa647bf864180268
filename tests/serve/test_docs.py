"""The calls in docs/server.md run as they stand."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve.running import Running, running
from vl3.serve.config import ServerConfig

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "server.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"<!-- run -->\n```(bash|python|javascript)\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Path]]:
    folder = tmp_path_factory.mktemp("docs")
    shutil.copytree(ROOT / "assets", folder / "assets")
    with running(ServerConfig(media_folder=folder)) as server:
        yield server, folder


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_call(documented: tuple[Running, Path], number: int) -> None:
    server, folder = documented
    language, code = BLOCKS[number]
    code = code.replace("http://127.0.0.1:8000", server.url).replace('"nano"', '"tiny"')
    if language == "javascript" and shutil.which("node") is None:
        pytest.skip("needs node")
    command = {
        "bash": ["bash", "-e", "-o", "pipefail", "-c", code],
        "python": [sys.executable, "-c", code],
        "javascript": ["node", "--input-type=module", "--eval", code],
    }[language]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "error" not in done.stdout
    assert len(done.stdout) > 5


def test_there_are_calls_of_each_kind() -> None:
    assert {language for language, _ in BLOCKS} == {"bash", "python", "javascript"}
