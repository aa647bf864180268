"""A run in parts, and a run that is killed again and again: the same result file, byte for byte."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.eval.miniatures import MINIATURES
from vl3.errors import UserError
from vl3.eval import Item, RunConfig, Task
from vl3.eval.answerers import Examinee
from vl3.eval.log import Reply, read_row
from vl3.eval.measures import short
from vl3.eval.run import evaluate
from vl3.eval.task import asked


def task() -> Task:
    """30 questions about 10 media."""
    items = [
        Item(f"{number}", f"kind {number % 2}", asked([], f"{number}?"), f"{number % 4}", f"medium {number // 3}")
        for number in range(30)
    ]
    return Task("numbers", items, short)


def guesser(fails: frozenset[str] = frozenset()) -> Examinee:
    """Says the same number to every question."""

    def answer(items: Any, on_reply: Any) -> None:
        for item in items:
            on_reply(item, UserError("no luck") if item.id in fails else Reply("1"))

    return Examinee({}, answer, lambda: nullcontext(answer))


def test_shards_make_up_the_whole() -> None:
    parts = [task().shard(number, 4) for number in range(1, 5)]
    ids = [item.id for part in parts for item in part.items]
    assert sorted(ids, key=int) == [item.id for item in task().items]
    for first in parts:
        others = {item.cluster for part in parts if part is not first for item in part.items}
        assert not others & {item.cluster for item in first.items}, "no medium is in two shards"


def test_the_last_shard_sums_up_what_one_run_would(tmp_path: Path) -> None:
    whole = evaluate(task(), guesser(), RunConfig(out=tmp_path / "whole", model="m", baselines=("most-frequent",)))
    for number in (2, 3, 1):
        config = RunConfig(out=tmp_path / "parts", model="m", baselines=("most-frequent",), shard=(number, 3))
        result = evaluate(task(), guesser(), config)
        assert ("open" in result) == (number != 1) == (not (tmp_path / "parts/result.json").exists())
    assert result == whole
    assert (tmp_path / "parts/result.json").read_bytes() == (tmp_path / "whole/result.json").read_bytes()


def test_a_failure_in_one_shard_is_mended_there(tmp_path: Path) -> None:
    for number in (1, 2):
        config = RunConfig(out=tmp_path, model="m", shard=(number, 2))
        result = evaluate(task(), guesser(frozenset({"4"})), config)
    assert [failure["id"] for failure in result["failed"]] == ["4"]
    [mine] = [n for n in (1, 2) if "4" in {item.id for item in task().shard(n, 2).items}]
    result = evaluate(task(), guesser(), RunConfig(out=tmp_path, model="m", shard=(mine, 2)))
    assert result["failed"] == [] and len(read_row(tmp_path, "model")) == 30


@pytest.mark.slow
def test_killed_at_random_and_resumed_the_result_is_the_same(tmp_path: Path) -> None:
    """kill -9, a dozen times, on the command itself."""
    model, data = tmp_path / "model", tmp_path / "data"
    data.mkdir()
    MINIATURES["mvbench"](data)
    vl3 = [sys.executable, "-m", "vl3"]
    subprocess.run([*vl3, "demo-model", str(model)], check=True, capture_output=True)
    common = [
        *vl3,
        "eval",
        "run",
        "mvbench",
        str(data),
        "-m",
        str(model),
        "--max-new-tokens",
        "40",
        "--max-tokens",
        "64",
    ]
    subprocess.run([*common, "-o", str(tmp_path / "whole"), "--batch-size", "4"], check=True, capture_output=True)
    rng = random.Random(0)
    log = tmp_path / "parts/answers/model.jsonl"
    kills = 0
    while True:
        process = subprocess.Popen(
            [*common, "-o", str(tmp_path / "parts"), "--batch-size", "1"], stderr=subprocess.DEVNULL
        )
        before = log.stat().st_size if log.exists() else 0
        while process.poll() is None and (not log.exists() or log.stat().st_size <= before):
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.15))
        if process.poll() is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
    assert kills >= 3 and process.returncode == 0
    assert (tmp_path / "parts/result.json").read_bytes() == (tmp_path / "whole/result.json").read_bytes()
    lines = log.read_text().splitlines()
    assert len(lines) == len(set(lines)) == 20, "nothing is lost, nothing asked twice"
