"""The README's commands and code run as they stand (those marked `<!-- run -->`)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"<!-- run -->\n```(bash|python)\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all blocks, in their order, as for a reader."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "assets").symlink_to(ROOT / "assets")
    (folder / "bin").mkdir()
    launcher = folder / "bin" / "vl3"
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vl3 "$@"\n')
    launcher.chmod(0o755)
    return folder


@pytest.mark.xdist_group("readme")
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_block(number: int, folder: Path) -> None:
    environment = {**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "HF_HUB_OFFLINE": "1"}
    if number and not (folder / "tiny").exists():  # run alone: make what the first block makes
        subprocess.run(["vl3", "demo-model", "tiny"], cwd=folder, env=environment, check=True)
    language, code = BLOCKS[number]
    command = ["bash", "-e", "-o", "pipefail", "-c", code] if language == "bash" else [sys.executable, "-c", code]
    if number == 0:
        subprocess.run(["rm", "-rf", "tiny"], cwd=folder, check=True)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_there_are_blocks_to_run() -> None:
    assert len(BLOCKS) >= 4
    assert {language for language, _ in BLOCKS} == {"bash", "python"}


def test_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"
