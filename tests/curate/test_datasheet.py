"""The datasheet: its counts are the run's, it is whole and safe, and a browser shows it."""

import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.curate.pools import picture
from vl3.curate.datasheet import histogram, principal_components, write_datasheet
from vl3.curate.record import Outcome, write_record
from vl3.curate.rows import COLUMNS, table_of, write_part
from vl3.curate.step import Type
from vl3.curate.survey import Sample, balance, survey
from vl3.errors import UserError

NUM_ROWS = 60
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
STEPS: dict[str, dict[str, int]] = {"source": {}, "decode": {"damaged": 6}, "score": {"dull": 14}}
MORE: dict[str, Type] = {
    "sharpness": "float32",
    "caption_short": "string",
    "embedding": "list<float32>",
    "cluster": "int32",
}


def run_folder(folder: Path, num_parts: int = 3) -> Path:
    """A run of three steps: rows 0-5 are damaged, 6-19 dull, the others kept; 20-39 of class b in cluster 1."""
    rng = np.random.default_rng(0)
    (folder / "pictures").mkdir(parents=True)
    rows: list[dict[str, Any]] = []
    for number in range(NUM_ROWS):
        path = folder / f"pictures/{number}.png"
        picture(number).save(path)
        if number == 21:
            path.write_bytes(b"gone bad")
        dropped = "decode" if number < 6 else "score" if number < 20 else None
        rows.append(
            {
                "id": f"pool-{number:03d}",
                "source": "pool" if number % 2 else "other",
                "licence": "CC0" if number % 2 else None,
                "kind": "image",
                "path": str(path),
                "text": f"<script>alert({number})</script> picture {number}",
                "label": "b" if 20 <= number < 40 else "a",
                "dropped_by": dropped,
                "drop_reason": {"decode": f"damaged: byte {number}", "score": "dull", None: None}[dropped],
                "sharpness": None if number < 6 else float(number),
                "caption_short": None if dropped else f"A picture of {number}.",
                "embedding": None if number < 6 else [*(rng.normal(0, 0.1, 4) + 9 * (number >= 40) * np.eye(4)[0])],
                "cluster": None if number < 6 else int(number >= 40),
            }
        )
    kept = NUM_ROWS
    for at, (name, reasons) in enumerate(STEPS.items()):
        kept -= sum(reasons.values())
        step = folder / f"run/steps/{at:02d}_{name}"
        step.mkdir(parents=True)
        types = {**COLUMNS, **(MORE if name == "score" else {})}
        past = list(STEPS)[: at + 1]
        for part in range(num_parts):
            some = [
                row if row["dropped_by"] in past else row | {"dropped_by": None, "drop_reason": None}
                for row in rows[part::num_parts]
            ]
            values = {column: [row[column] for row in some] for column in types if column in some[0]}
            write_part(step / f"part-{part:05d}.parquet", table_of(values, types))
        notes = ["12 replies"] if name == "score" else []
        outcome = Outcome(name, step, NUM_ROWS, kept, reasons, notes, 1.5, digest=name)
        write_record(step, "x", list(STEPS)[at - 1] if at else "", outcome)
    recipe = {"output": "run", "sources": [{"path": "pictures/", "name": "pool", "licence": "CC0"}], "steps": {}}
    (folder / "run/recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder / "run"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_folder(tmp_path_factory.mktemp("datasheet"))


def test_what_was_counted(run: Path) -> None:
    found = survey(run, examples=4)
    examples = {key: len(sample.rows) for key, sample in found.dropped.items()}
    assert examples == {("decode", "damaged"): 4, ("score", "dull"): 4}
    assert len(found.kept.rows) == 16 and all(row["dropped_by"] is None for row in found.kept.rows)
    kept, gone = found.scores["sharpness"]
    assert sorted(kept) == list(range(20, 60)) and sorted(gone) == list(range(6, 20))
    by = {one.by: one for one in found.balances}
    assert by["label"].classes == [("a", 40, 20), ("b", 20, 20)]
    assert by["cluster"].classes == [("0", 34, 20), ("1", 20, 20)]
    assert by["label"].evenness[1] == pytest.approx(1) and by["label"].evenness[0] == pytest.approx(0.918, abs=1e-3)
    assert found.origins == [("other", "", 30, 20), ("pool", "CC0", 30, 20)]
    assert found.points is not None and found.points.shape == (54, 4) and len(found.point_rows) == 54


def test_samples_do_not_depend_on_how_rows_lie_in_files(run: Path, tmp_path: Path) -> None:
    other = survey(run_folder(tmp_path, num_parts=1), examples=4)
    mine = survey(run, examples=4)
    for a, b in ((mine.kept, other.kept), *((mine.dropped[key], other.dropped[key]) for key in mine.dropped)):
        assert [row["id"] for row in a.rows] == [row["id"] for row in b.rows]


def test_a_page_is_whole_safe_and_bounded(run: Path, tmp_path: Path) -> None:
    path = write_datasheet(run, examples=4)
    page = path.read_text(encoding="utf-8")
    assert "40 of 60 rows were kept" in page and "score: dull (14)" in page and "12 replies" in page
    assert "<script" not in page and "&lt;script&gt;alert(" in page
    pictures = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(pictures) == 16 + 8 + 2 - page.count("no picture"), "examples, and a picture of each cluster"
    assert all(source.startswith("data:image/jpeg;base64,") for source in pictures)
    assert page.count("<circle") == 54 and page.count('fill="none"') == 14
    assert len(page) < 6000 * len(pictures) + 60_000
    assert "byte " in page and "CC0" in page and "not known" in page
    first = path.read_bytes()
    assert write_datasheet(run, examples=4).read_bytes() == first
    with pytest.raises(UserError, match="holds no finished step"):
        write_datasheet(tmp_path)


def test_a_run_without_scores_has_a_page(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("02_score"))
    page = write_datasheet(tmp_path / "run").read_text(encoding="utf-8")
    assert "54 of 60 rows were kept" in page and "decode: damaged (6)" in page
    assert 'id="map"' not in page and 'id="scores"' not in page


@given(st.lists(st.floats(-1e6, 1e6, width=32), max_size=60), st.lists(st.floats(-1e6, 1e6, width=32), max_size=60))
def test_every_value_is_in_a_bar_or_outside(kept: list[float], gone: list[float]) -> None:
    plot = histogram("x", np.array(kept, np.float32), np.array(gone, np.float32))
    assert plot.low < plot.high and all(0 <= share <= 1 for bar in plot.bars for share in bar)
    assert plot.outside == 0, "few values are all shown"
    inside = sum(plot.low <= value <= plot.high for value in (*kept, *gone))
    assert plot.outside == len(kept) + len(gone) - inside


def test_a_few_wild_values_do_not_flatten_a_histogram() -> None:
    values = np.concatenate([np.linspace(0, 1, 2000), [1e9, -1e9]]).astype(np.float32)
    plot = histogram("x", values, values[:0])
    assert plot.low >= 0 and plot.high <= 1 and plot.outside == np.sum((values < plot.low) | (values > plot.high))


def test_principal_components_are_those_of_the_covariance() -> None:
    rng = np.random.default_rng(0)
    points = (rng.normal(size=(200, 6)) * [9, 5, 1, 1, 1, 0.1]).astype(np.float32)
    places, explained = principal_components(points)
    values, vectors = np.linalg.eigh(np.cov(points.astype(np.float64).T))
    expected = (points - points.mean(0)) @ vectors[:, [-1, -2]]
    assert np.allclose(np.abs(places), np.abs(expected), atol=1e-3)
    assert explained == pytest.approx((values[-1] + values[-2]) / values.sum())
    assert np.allclose(principal_components(points[::-1])[0][::-1], places, atol=1e-3)


@given(st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=50), st.integers(1, 10))
def test_a_sample_is_the_smallest_ranks(ranks: list[int], most: int) -> None:
    sample = Sample(most)
    for rank in ranks:
        sample.offer(rank, {"rank": rank})
    assert [row["rank"] for row in sample.rows] == sorted(ranks)[:most]


def test_rare_classes_are_counted_together() -> None:
    before = Counter({f"c{number:02d}": 100 - number for number in range(50)})
    found = balance("label", before, Counter({"c49": 3, "c00": 1}))
    assert len(found.classes) == 41 and found.classes[0] == ("c00", 100, 1)
    assert found.classes[-1] == ("all others (10)", sum(100 - n for n in range(40, 50)), 3)
    assert balance("label", before, Counter()).evenness[1] == 0


@pytest.mark.slow
def test_a_browser_shows_it(run: Path) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("no chromium here")
    playwright = pytest.importorskip("playwright.sync_api")
    path = write_datasheet(run)
    with playwright.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=browser, args=FLAGS)
        page = chromium.new_page(viewport={"width": 1100, "height": 1400})
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("dialog", lambda dialog: errors.append(dialog.message))
        page.on("request", lambda request: errors.append(request.url) if request.url.startswith("http") else None)
        page.goto(path.as_uri())
        page.wait_for_function("Array.from(document.images).every(i => i.complete && i.naturalWidth > 0)")
        assert page.locator("figure").count() == 32 + 6 + 8 and page.locator("figure .none").count() <= 1
        heights = page.eval_on_selector_all("svg rect", "bars => bars.map(bar => bar.getBoundingClientRect().height)")
        assert min(heights) > 0 and page.locator("svg.map circle").count() == 54
        assert errors == []
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, "no sideways scrolling on a phone"
        chromium.close()
