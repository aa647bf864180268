"""The engine: rows are carried on, drops are kept with their reasons, a stopped run goes on to the same files."""

import dataclasses
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from tests.curate.pools import picture, recipe, rows_after, write_table
from vl3.cli.curate import command
from vl3.config import decode
from vl3.curate import curate, read_recipe
from vl3.curate.config import plain_recipe
from vl3.curate.named import stamp
from vl3.curate.output import claimed
from vl3.curate.record import finished_steps, parts_of
from vl3.curate.rows import COLUMNS, apply, table_of
from vl3.curate.step import Found
from vl3.curate.steps import STEPS as STEP_KINDS
from vl3.curate.steps import make_step
from vl3.errors import UserError

STEPS: dict[str, Any] = {"decode": None, "shape": {"min_side": 40}, "exact": None}
PLAIN = {"runner": {"kind": "plain"}}


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """Twelve rows: good ones, a copy in another format, a small one, a broken one, a missing one, one that is none."""
    rows = []
    for number in range(7):
        picture(number).save(tmp_path / f"{number}.png")
        rows.append({"image": f"{number}.png", "caption": f"picture {number}", "licence": "CC0-1.0"})
    picture(3).save(tmp_path / "copy.bmp")
    picture(8, 64, 32).save(tmp_path / "small.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "0.png").read_bytes()[:300])
    rows += [{"image": "copy.bmp"}, {"image": "small.png"}, {"image": "broken.png"}, {"image": "missing.png"}, {"a": 1}]
    return write_table(tmp_path, rows)


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in parts_of(folder)}


def test_rows_are_dropped_once_with_a_reason_and_stay(tmp_path: Path, pool: Path) -> None:
    outcomes = curate(recipe(tmp_path, pool, STEPS, part_rows=5, **PLAIN))
    assert [(o.name, o.rows, o.kept, o.reasons) for o in outcomes] == [
        ("source", 12, 11, {"not a row": 1}),
        ("decode", 12, 9, {"cannot be decoded": 1, "no such file": 1}),
        ("shape", 12, 8, {"too small": 1}),
        ("exact", 12, 7, {"same pixels": 1}),
    ]
    rows = rows_after(outcomes[-1])
    assert [row["dropped_by"] for row in rows] == [*[None] * 7, "exact", "shape", "decode", "decode", "source"]
    assert rows[7]["duplicate_of"] == rows[3]["id"]
    assert (rows[0]["text"], rows[0]["licence"], rows[0]["width"]) == ("picture 0", "CC0-1.0", 96)
    assert len(parts_of(outcomes[-1].folder)) == 3


def test_a_finished_step_is_done_again_only_when_its_settings_or_sources_change(tmp_path: Path, pool: Path) -> None:
    def reused(*assignments: str) -> list[bool]:
        return [outcome.reused for outcome in curate(recipe(tmp_path, pool, STEPS, *assignments, **PLAIN))]

    assert reused() == [False] * 4
    assert reused() == [True] * 4
    assert reused("steps.shape.min_side=20") == [True, True, False, False]
    assert [o.reused for o in curate(recipe(tmp_path, pool, STEPS, **PLAIN), start="shape")] == [
        True,
        True,
        False,
        False,
    ]
    pool.write_text(pool.read_text() + '{"image": "0.png"}\n')
    assert reused() == [False] * 4


@pytest.mark.parametrize(
    ("step", "settings", "file"),
    [
        ("leaks", {"benchmarks": ["bench"]}, "bench/inside/1.png"),
        ("leaks", {"benchmarks": ["bench.jsonl"]}, "bench.jsonl"),
        ("aesthetic", {"weights": "head.safetensors"}, "head.safetensors"),
        ("safety", {"function": "my_module_of_safety:judge"}, "my_module_of_safety.py"),
        ("embed", {"model": "folder"}, "folder/model.safetensors"),
        ("agreement", {"model": "trained"}, "trained/final/model.safetensors"),
        ("recaption", {"writer": {"model": "folder"}}, "folder/config.json"),
        ("tasks", {"writer": {"model": "folder"}, "num_questions": 1}, "folder/config.json"),
    ],
)
def test_a_step_depends_on_the_files_that_its_settings_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, settings: dict[str, Any], file: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_bytes(b"1")
    made = make_step(step, decode(STEP_KINDS[step].config, settings, "test"))
    before = stamp(made.files())
    assert before == stamp(made.files())
    Path(file).write_bytes(b"12")
    assert stamp(made.files()) != before


def test_more_pictures_of_a_benchmark_are_looked_for(tmp_path: Path, pool: Path) -> None:
    (tmp_path / "bench").mkdir()
    config = recipe(tmp_path, pool, {"decode": None, "leaks": {"benchmarks": [str(tmp_path / "bench")]}}, **PLAIN)
    for number in (1, 2):
        picture(number).save(tmp_path / f"bench/{number}.png")
        *_, last = curate(config)
        assert (last.reused, last.reasons) == (False, {"in a benchmark": number})
    assert curate(config)[-1].reused


EXPORTED: dict[str, Any] = {**STEPS, "words": {"min_words": 1, "boilerplate": False, "min_letters": 0}, "export": None}


def test_steps_whose_rows_come_out_the_same_stay(tmp_path: Path, pool: Path) -> None:
    def reused(*assignments: str, start: str | None = None, end: str | None = None) -> list[bool]:
        return [o.reused for o in curate(recipe(tmp_path, pool, EXPORTED, *assignments, **PLAIN), start, end)]

    assert reused() == [False] * 6
    assert reused(start="shape", end="shape") == [True, True, False]
    assert reused() == [True] * 6
    assert reused("steps.shape.min_side=39") == [True, True, False, True, True, True], "nothing else is dropped"
    assert reused("steps.words.min_letters=1", end="words") == [True, True, False, True, False]
    assert [outcome.name for outcome in finished_steps(tmp_path / "out")] == ["source", *EXPORTED][:5]


@pytest.mark.parametrize(
    ("assignment", "end"),
    [("steps.words.min_letters=1", "words"), ("steps.export=off", None), ("steps.export.texts=[label]", "words")],
)
def test_a_set_that_is_no_longer_that_of_the_steps_is_put_aside_and_told(
    tmp_path: Path, pool: Path, caplog: pytest.LogCaptureFixture, assignment: str, end: str | None
) -> None:
    whole = recipe(tmp_path, pool, EXPORTED, **PLAIN)
    curate(whole)
    curate(whole, end="words")
    written = (tmp_path / "out/set/train.jsonl").read_bytes()
    curate(recipe(tmp_path, pool, EXPORTED, assignment, **PLAIN), end=end)
    assert not (tmp_path / "out/set").exists() and "is of other steps or settings" in caplog.text
    assert (tmp_path / "out/set.stale/train.jsonl").read_bytes() == written
    curate(whole)
    assert (tmp_path / "out/set/train.jsonl").read_bytes() == written


def test_a_stop_before_the_start_is_refused(tmp_path: Path, pool: Path) -> None:
    with pytest.raises(UserError, match="--from shape comes after --to decode"):
        curate(recipe(tmp_path, pool, STEPS, **PLAIN), start="shape", end="decode")


@pytest.mark.parametrize("stopped_at", ["source", "decode", "shape", "exact"])
def test_a_run_that_was_stopped_ends_with_the_same_files(tmp_path: Path, pool: Path, stopped_at: str) -> None:
    whole, halted = tmp_path / "whole", tmp_path / "halted"
    for folder in (whole, halted):
        folder.mkdir()
    expected = curate(recipe(whole, pool, STEPS, part_rows=5, **PLAIN))

    def stop(name: str, done: int, _total: int) -> None:
        if name == stopped_at and done >= 1:
            raise KeyboardInterrupt

    config = recipe(halted, pool, STEPS, part_rows=5, **PLAIN)
    with pytest.raises(KeyboardInterrupt):
        curate(config, on_progress=stop)
    written: list[str] = []
    found = curate(config, on_progress=lambda name, done, _: written.append(f"{name} {done}"))
    for one, other in zip(expected, found, strict=True):
        assert digests(one.folder) == digests(other.folder)
    if stopped_at in ("decode", "shape"):
        assert written[:2] == [f"{stopped_at} 1", f"{stopped_at} 2"], "what was finished is not done again"


@pytest.mark.parametrize("damaged", ["step.json", "part-00001.parquet"])
@pytest.mark.parametrize("was_finished", [True, False])
def test_what_a_crash_has_damaged_is_done_again(tmp_path: Path, pool: Path, damaged: str, was_finished: bool) -> None:
    config = recipe(tmp_path, pool, EXPORTED, part_rows=5, **PLAIN)
    folder = curate(config)[2].folder
    expected = digests(folder)
    if not was_finished:
        said = json.loads((folder / "step.json").read_text())
        (folder / "step.json").write_text(json.dumps(said | {"outcome": None, "sizes": {}}))
    (folder / damaged).write_bytes(b"")
    assert [outcome.reused for outcome in curate(config)] == [True, True, False, True, True, True]
    assert digests(folder) == expected


def test_workers_do_what_one_process_does(tmp_path: Path, pool: Path) -> None:
    for kind in ("plain", "native"):
        (tmp_path / kind).mkdir()
    plain, native = (
        curate(recipe(tmp_path / kind, pool, STEPS, part_rows=5, runner={"kind": kind})) for kind in ("plain", "native")
    )
    for one, other in zip(plain, native, strict=True):
        assert digests(one.folder) == digests(other.folder)


def test_one_row_may_become_several() -> None:
    names = ["a", "b", "c", "d"]
    rows: dict[str, list[Any]] = {"id": names, "kind": ["video"] * 4, "dropped_by": [None, "x", None, None]}
    table = table_of(rows, COLUMNS)
    found = Found({"start_s": [0.0, 4.0, 1.0]}, [None, "dark", None], parents=[0, 0, 2])
    made = apply(table, [0, 2, 3], found, "shots", {"start_s": "float32"}).to_pylist()
    assert [(r["id"], r["start_s"], r["dropped_by"], r["drop_reason"]) for r in made] == [
        ("a.0", 0.0, None, None),
        ("a.1", 4.0, "shots", "dark"),
        ("b", None, "x", None),
        ("c", None, "shots", "nothing found in it"),
        ("d.0", 1.0, None, None),
    ]


@pytest.mark.parametrize(
    ("steps", "assignment", "message"),
    [
        ({"shape": None}, "part_rows=5", "steps.shape: reads the column 'width'.* put decode before it"),
        ({"decod": None}, "part_rows=5", "no step 'decod'; there are fetch, decode, "),
        ({"shape": {"min_sid": 3}}, "part_rows=5", "unknown key 'min_sid'; did you mean 'min_side'"),
        ({"decode": None}, "steps.shape.min_side=x", "steps.shape: min_side"),
        ({"decode": None}, "output=???", "output is left open"),
        ({"export": None, "decode": None}, "part_rows=5", "steps.decode comes after steps.export"),
        ({"decode": None}, "sources.1.path=x", "is not a number from 0 to 0"),
        (
            {"balance": {"by": "label", "prefer": "text"}},
            "part_rows=5",
            "balance: prefer: the column 'text' holds string",
        ),
        ({"decode": None, "balance": {"by": "phash"}}, "steps.balance.prefer=width", "by: the column 'phash' holds b"),
        ({"content": {"keep": []}}, "part_rows=5", "steps.content: keep needs at least one kind"),
        ({"content": {"min_text": 2}}, "part_rows=5", "steps.content: min_text: .* less than or equal to 1"),
        ({"content": {"min_text": 0.5}}, "steps.content.max_text=0.2", r"min_text \(0.5\) is above max_text \(0.2\)"),
        ({"decode-x/y": {}}, "part_rows=5", "'decode-x/y' is no name of a step"),
        ({"decode": {}, "export": {"texts": ["width"]}}, "part_rows=5", "steps.export: texts: .* 'width' holds int32"),
        (
            {"decode": {}, "leaks": {"benchmarks": ["gone/"]}},
            "part_rows=5",
            "steps.leaks: gone: no such file or",
        ),
        ({"decode": {}, "embed": {"model": "./gone"}}, "part_rows=5", "steps.embed: model: ./gone: no such folder"),
        ({"embed": {}, "aesthetic": {"weights": "gone"}}, "part_rows=5", "steps.aesthetic: gone: cannot be read"),
        (
            {"safety": {"function": "nowhere:judge"}},
            "part_rows=5",
            "safety.function: 'nowhere:judge': there is no",
        ),
        ({"safety": {"function": "tests.curate.pools:gone"}}, "part_rows=5", "tests/curate/pools.py has no 'gone'"),
        ({"safety": {"function": "judge"}}, "part_rows=5", "'judge' is not of the form module:function"),
        (
            {"decode": {}},
            "runner={kind: ray, address: '127.0.0.1:1'}",
            "nothing answers at 127.0.0.1:1",
        ),
        ({"cluster": {"seed": 99999999999999}}, "part_rows=5", "steps.cluster: seed: .* less than 2147483648"),
        ({"decode": None}, "sources.0.path=nowhere", "nowhere: no such file or folder"),
    ],
)
def test_mistakes_are_told_in_a_line(
    tmp_path: Path, pool: Path, steps: dict[str, Any], assignment: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        curate(recipe(tmp_path, pool, steps, assignment, **PLAIN))
    assert not (tmp_path / "out").exists(), "before any work"


@pytest.mark.parametrize(
    ("steps", "package"), [({"decode": {}, "near": {}}, "faiss"), ({"shots": {}}, "scenedetect"), ({}, "jinja2")]
)
def test_what_is_not_installed_is_told_before_any_work(
    tmp_path: Path, pool: Path, monkeypatch: pytest.MonkeyPatch, steps: dict[str, Any], package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    config = recipe(tmp_path, pool, steps or {"decode": {}}, **PLAIN)
    done = CliRunner().invoke(command, [str(tmp_path / "recipe.yaml")])
    assert isinstance(done.exception, UserError) and "vl3[curate]" in str(done.exception)
    assert not Path(config.output).exists()


def test_a_step_that_a_recipe_names_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("output: o\nsources: [{path: a}]\nsteps: {decode: {}, decode: {}}\n")
    with pytest.raises(UserError, match=r"recipe\.yaml: not valid YAML: 'decode' comes twice .* line 3"):
        read_recipe(tmp_path / "recipe.yaml")


def test_a_step_may_come_twice_and_be_left_out(tmp_path: Path, pool: Path) -> None:
    steps = {"decode": None, "shape": {"min_side": 10}, "shape-strict": {"min_side": 80}, "exact": None}
    config = recipe(tmp_path, pool, steps, "steps.exact=off", **PLAIN)
    assert [(o.name, o.kept) for o in curate(config)][2:] == [("shape", 9), ("shape-strict", 0)]


def test_two_runs_do_not_share_a_folder(tmp_path: Path, pool: Path) -> None:
    config = recipe(tmp_path, pool, STEPS, **PLAIN)
    with claimed(Path(config.output), [str(pool)]), pytest.raises(UserError, match="another run"):
        curate(config)


@pytest.mark.parametrize("inside", ["set/mine.jsonl", "steps/00_mine/a.txt", "recipe.yaml"])
def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path, pool: Path, inside: str) -> None:
    config = recipe(tmp_path, pool, {"decode": None, "export": None}, **PLAIN)
    mine = Path(config.output) / inside
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(UserError, match=r"out: holds .* set another output="):
        curate(config)
    assert mine.read_text() == "mine" and len(list(Path(config.output).rglob("*"))) == inside.count("/") + 1


def test_a_run_on_other_sources_is_left_alone_unless_asked_for(tmp_path: Path, pool: Path) -> None:
    curate(recipe(tmp_path, pool, STEPS, **PLAIN))
    kept = digests(tmp_path / "out/steps/03_exact")
    (tmp_path / "other").mkdir()
    picture(9).save(tmp_path / "other/9.png")
    other = recipe(tmp_path, tmp_path / "other", STEPS, **PLAIN)
    with pytest.raises(UserError, match=r"run on other sources .*pool.jsonl.* --from source"):
        curate(other)
    assert digests(tmp_path / "out/steps/03_exact") == kept
    assert curate(other, start="source")[-1].rows == 1
    assert curate(other)[-1].reused


def test_an_output_that_cannot_be_a_folder_is_told(tmp_path: Path, pool: Path) -> None:
    for output in (tmp_path / "0.png", Path("/proc/nothing")):
        with pytest.raises(UserError, match=f"{output}: no folder to write to: .*; set another output="):
            curate(recipe(tmp_path, pool, STEPS, f"output={output}", **PLAIN))


ROOT = Path(__file__).parents[2]


def test_a_recipe_is_kept_in_the_order_of_its_steps(tmp_path: Path, pool: Path) -> None:
    config = recipe(tmp_path, pool, {"shape": {}, "decode": {}, "exact": {}}, **PLAIN)
    (tmp_path / "kept.yaml").write_text(yaml.safe_dump(plain_recipe(config), sort_keys=False))
    again = read_recipe(tmp_path / "kept.yaml")
    assert list(again.steps) == ["shape", "decode", "exact"] and again == config


def test_a_step_that_the_command_line_adds_is_done_in_its_place() -> None:
    added = ["steps.leaks.benchmarks=[bench]", "steps.fetch={}", "steps.near-strict.max_distance=3", "steps.exact=off"]
    config = read_recipe(ROOT / "recipes/curate/images.yaml", ["sources.0.path=pool", "output=out", *added])
    assert list(config.steps)[:7] == ["fetch", "decode", "shape", "words", "leaks", "near", "near-strict"]
    assert list(config.steps)[-1] == "export"
    whole = read_recipe(ROOT / "recipes/curate/images.yaml", ["sources=[{path: a}]", "output=b", "steps={decode: {}}"])
    assert list(whole.steps) == ["decode"]


def test_a_benchmark_of_the_command_line_is_not_in_the_set(tmp_path: Path, pool: Path) -> None:
    (tmp_path / "bench").mkdir()
    picture(2).save(tmp_path / "bench" / "2.png")
    steps = {"decode": None, "exact": None, "export": None}
    curate(recipe(tmp_path, pool, steps, f"steps.leaks.benchmarks=[{tmp_path / 'bench'}]", **PLAIN))
    written = (tmp_path / "out/set/train.jsonl").read_text()
    assert "picture 1" in written and "picture 2" not in written


def test_a_pool_of_which_nothing_is_left_is_no_success(tmp_path: Path, pool: Path) -> None:
    config = recipe(tmp_path, pool, {"decode": None, "words": None, "export": None}, **PLAIN)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(plain_recipe(config), sort_keys=False))
    done = CliRunner().invoke(command, [str(tmp_path / "recipe.yaml"), "--no-datasheet", "--json"])
    assert [step["kept"] > 0 for step in json.loads(done.stdout)["steps"]] == [True, True, False, False]
    assert isinstance(done.exception, UserError)
    assert "after the step words (boilerplate 7, no text 2)" in str(done.exception)


@pytest.mark.parametrize("path", sorted((ROOT / "recipes" / "curate").glob("*.yaml")), ids=lambda path: path.stem)
def test_recipes_are_valid(path: Path) -> None:
    config = read_recipe(path, ["sources.0.path=pool", "output=out"])
    assert config.steps
    made = {
        column
        for name in config.steps
        for column in STEP_KINDS[name.partition("-")[0]].make(config.steps[name]).outputs
    }
    for name, settings in config.steps.items():
        inputs = STEP_KINDS[name.partition("-")[0]].make(settings).inputs
        assert set(inputs) <= made | set(COLUMNS), name


def test_the_page_describes_every_step_and_setting() -> None:
    page = (ROOT / "docs" / "curation.md").read_text(encoding="utf-8")
    for name, kind in STEP_KINDS.items():
        assert f"`{name}`" in page, name
        missing = [field.name for field in dataclasses.fields(kind.config) if field.name not in page]
        assert not missing, f"{name}: {missing}"
