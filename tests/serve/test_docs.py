"""The calls in docs/server.md run as they stand."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve.running import Running, running
from vl3.cli.serve import command
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
    call = {
        "bash": ["bash", "-e", "-o", "pipefail", "-c", code],
        "python": [sys.executable, "-c", code],
        "javascript": ["node", "--input-type=module", "--eval", code],
    }[language]
    done = subprocess.run(call, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "error" not in done.stdout
    assert len(done.stdout) > 5


def test_there_are_calls_of_each_kind() -> None:
    assert {language for language, _ in BLOCKS} == {"bash", "python", "javascript"}


def test_the_unit_is_one(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    [text] = re.findall(r"```ini\n(.*?)```", PAGE, flags=re.DOTALL)
    assert "/opt/vl3/bin/vl3 serve" in text
    unit = tmp_path / "vl3.service"
    unit.write_text(text.replace("/opt/vl3/bin/vl3", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    [start] = re.findall(r"^ExecStart=\S+ serve (.*)$", text, flags=re.MULTILINE)
    known = {name for option in command.params for name in option.opts}
    assert set(re.findall(r"--[\w-]+", start)) <= known


def test_the_image_has_all_that_the_package_is_built_from() -> None:
    copied = set(re.findall(r"^COPY (.*) \S+$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE))
    files = {name for line in copied for name in line.split()}
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {project["project"]["readme"], *project["project"]["license-files"], *wheel["force-include"], "src"}
    assert needed | {"pyproject.toml", "constraints.txt"} <= files
    assert all((ROOT / name).exists() for name in files)
