"""Whole runs of the command: killed at every step and taken up again, and on a Ray cluster of two workers."""

import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.curate.pools import picture, write_table

STEPS = {
    "decode": {},
    "shape": {"min_side": 40},
    "words": {"min_words": 1},
    "exact": {},
    "near": {},
    "quality": {"max_blur": 9.0},
    "export": {},
}


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """Sixty pictures, some small, some twice."""
    rows = []
    for number in range(60):
        picture(number % 50, *((96, 72) if number % 7 else (64, 32))).save(tmp_path / f"{number}.png")
        rows.append({"image": f"{number}.png", "caption": f"picture number {number}"})
    return write_table(tmp_path, rows)


def command(folder: Path, pool: Path, *assignments: str) -> list[str]:
    recipe = folder / "recipe.yaml"
    data = {"output": "???", "sources": [{"path": str(pool)}], "steps": STEPS, "part_rows": 4, "runner": {"workers": 2}}
    recipe.write_text(yaml.safe_dump(data, sort_keys=False))
    return [sys.executable, "-m", "vl3", "curate", str(recipe), "--json", *assignments]


def run(arguments: list[str], **environment: str) -> None:
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr


def digests(output: Path) -> dict[str, str]:
    """Of all rows and of the finished set."""
    files = [*output.glob("steps/*/part-*.parquet"), *output.glob("set/*")]
    return {str(file.relative_to(output)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def wait_for(path: Path, child: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 120
    while not path.exists() and child.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    assert path.exists(), "the run ended before it was killed"


@pytest.mark.slow
def test_a_run_killed_in_every_step_ends_with_the_same_files(tmp_path: Path, pool: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run([*command(tmp_path, pool, f"output={whole}")])
    arguments = command(tmp_path, pool, f"output={killed}")
    for number, name in enumerate(["source", *STEPS]):
        child = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(killed / "steps" / f"{number:02d}_{name}" / "step.json", child)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    run(arguments)
    assert digests(killed) == digests(whole)
    assert len(digests(whole)) == 15 * (1 + len(STEPS)) + 1


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="needs the ray extra")
def test_two_workers_of_a_ray_cluster_give_the_same_rows(tmp_path: Path, pool: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    run(command(tmp_path, pool, f"output={here}"))
    script = (
        "import subprocess, sys\n"
        "from ray.cluster_utils import Cluster\n"
        "cluster = Cluster(initialize_head=True, head_node_args={'num_cpus': 1, 'include_dashboard': False})\n"
        "cluster.add_node(num_cpus=1)\n"
        "done = subprocess.run([*sys.argv[1:], f'runner.address={cluster.address}'])\n"
        "cluster.shutdown()\n"
        "sys.exit(done.returncode)\n"
    )
    arguments = command(tmp_path, pool, f"output={there}", "runner.kind=ray")
    run([sys.executable, "-c", script, *arguments], RAY_worker_niceness="0")
    assert digests(there) == digests(here)


def test_the_command_prints_what_it_did_and_its_mistakes_in_a_line(tmp_path: Path, pool: Path) -> None:
    arguments = command(tmp_path, pool, f"output={tmp_path / 'out'}", "runner.kind=plain", "part_rows=100")
    done = subprocess.run([*arguments, "--to", "shape"], capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    assert [step["kept"] for step in said["steps"]] == [60, 60, 51]
    for wrong, message in {
        "steps.shape.min_side=x": "steps.shape: min_side: Input should be a valid integer",
        "sources.0.path=gone": "gone: no such file or folder",
        "nothing": "is not of the form key=value",
    }.items():
        done = subprocess.run([*arguments, wrong], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert message in done.stderr
