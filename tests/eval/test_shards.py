"""A run in parts, and a run that is killed again and again: the same result file, byte for byte."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.eval.miniatures import MINIATURES
from vl3.errors import UserError
from vl3.eval import Item, RunConfig, Task
from vl3.eval.answerers import Examinee
from vl3.eval.join import join
from vl3.eval.judge import right_or_wrong
from vl3.eval.log import Reply, read_row
from vl3.eval.measures import short
from vl3.eval.report import comparison, read_run
from vl3.eval.run import evaluate
from vl3.eval.task import asked, no_totals


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


def halves(folder: Path, **changes: Any) -> list[Path]:
    """Two shards of the run, each in a folder of its own, as two machines make them."""
    parts = [folder / "one", folder / "two"]
    for number, part in enumerate(parts, 1):
        config = RunConfig(out=part, model="m", baselines=("most-frequent",), shard=(number, 2))
        evaluate(replace(task(), **changes), guesser(), config)
    return parts


def test_shards_of_several_machines_are_joined_to_what_one_run_would_write(tmp_path: Path) -> None:
    sums: dict[str, Any] = {"notes": ["some were left out"], "totals": lambda scored: {"points": float(len(scored))}}
    judged = lambda item, answer: right_or_wrong(item, answer) if item.id < "2" else None  # noqa: E731
    config = RunConfig(out=tmp_path / "whole", model="m", baselines=("most-frequent",))
    whole = evaluate(replace(task(), judged=judged, **sums), guesser(), config)
    assert whole["totals"]["model"] == {"points": 30} and len(whole["notes"]) == 2
    parts = halves(tmp_path, judged=judged, **sums)
    with pytest.raises(UserError, match=r"15 of 30 questions are answered: `vl3 eval join`"):
        read_run(parts[0])
    assert join(parts[::-1], tmp_path / "out", lambda _name: sums["totals"]) == whole
    assert (tmp_path / "out/result.json").read_bytes() == (tmp_path / "whole/result.json").read_bytes()
    assert comparison(read_run(tmp_path / "whole"), read_run(tmp_path / "out")).count("| equal |") == 3
    assert join([tmp_path / "out", parts[0]], tmp_path / "out", lambda _name: sums["totals"]) == whole, (
        "again, in place"
    )


def test_what_is_not_one_run_is_not_joined(tmp_path: Path) -> None:
    parts = halves(tmp_path)
    with pytest.raises(UserError, match=r"15 of 30 questions are not answered by model; here are .*model\.1-of-2"):
        join(parts[:1], tmp_path / "out", lambda _name: no_totals)
    evaluate(task(), guesser(), RunConfig(out=tmp_path / "other", model="x", shard=(2, 2)))
    with pytest.raises(UserError, match=r"other: a run of other settings than .*one \(model\)"):
        join([parts[0], tmp_path / "other"], tmp_path / "out", lambda _name: no_totals)
    with pytest.raises(UserError, match="other: a run of other settings"):
        join(parts, tmp_path / "other", lambda _name: no_totals)
    with pytest.raises(UserError, match=r"none: no settings\.json"):
        join([*parts, tmp_path / "none"], tmp_path / "out", lambda _name: no_totals)
    shutil.copytree(parts[0], tmp_path / "twice")
    log = tmp_path / "twice/answers/model.1-of-2.jsonl"
    log.write_text(log.read_text().replace('"answer": "1"', '"answer": "2"'))
    with pytest.raises(UserError, match=r"that shard is in .*one too, with other answers"):
        join([*parts, tmp_path / "twice"], tmp_path / "out", lambda _name: no_totals)
    for name in ("questions.json", "settings.json"):
        for content in ("null", "{}", "[1]", "{"):
            (parts[0] / name).write_text(content)
            with pytest.raises(UserError, match="one"):
                join(parts[:1], tmp_path / "new", lambda _name: no_totals)


def test_shards_may_begin_in_one_folder_at_once(tmp_path: Path) -> None:
    def begin(number: int) -> None:
        evaluate(task(), guesser(), RunConfig(out=tmp_path / "run", model="m", shard=(number, 8)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(begin, range(1, 9)))
    assert len(read_row(tmp_path / "run", "model")) == 30 and (tmp_path / "run/result.json").exists()
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "answers",
        "questions.json",
        "result.json",
        "settings.json",
    }


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
