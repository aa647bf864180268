"""The report page: what it holds, and that a browser shows it."""

import re
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.eval.miniatures import MINIATURES
from vl3.eval import RunConfig
from vl3.eval.answerers import Examinee
from vl3.eval.benchmark import load
from vl3.eval.log import Record, Reply
from vl3.eval.page import worst_records, write_page
from vl3.eval.report import markdown, read_run
from vl3.eval.run import evaluate
from vl3.eval.tasks.catalogue import BENCHMARKS


def examinee(said: str, frames_s: list[list[float]]) -> Examinee:
    def answer(items: Any, on_reply: Any) -> None:
        for item in items:
            on_reply(item, Reply(said, frames_s=frames_s, visual_tokens=9))

    return Examinee({}, answer, lambda: nullcontext(answer))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs of a video benchmark and one of an image benchmark."""
    folder = tmp_path_factory.mktemp("runs")
    for name in ("videomme", "chartqa"):
        (folder / name).mkdir()
        MINIATURES[name](folder / name)
    videos = load(BENCHMARKS["videomme"], folder / "videomme", {})
    charts = load(BENCHMARKS["chartqa"], folder / "chartqa", {})
    evaluate(videos, examinee("C", [[0.0, 1.0, 2.0]]), RunConfig(out=folder / "one", model="m"))
    evaluate(videos, examinee("<script>alert('A')</script>", [[0.0, 1.0]]), RunConfig(out=folder / "two", model="m"))
    evaluate(charts, examinee("14", [[0.0]]), RunConfig(out=folder / "charts", model="m"))
    return [folder / "one", folder / "two", folder / "charts"]


def test_a_page_is_whole_and_safe(runs: list[Path], tmp_path: Path) -> None:
    path = write_page([read_run(run) for run in runs], tmp_path / "page", worst=5)
    page = path.read_text(encoding="utf-8")
    for link in re.findall(r'src="([^"]+)"', page):
        assert (path.parent / link).stat().st_size > 0 and "://" not in link
    assert "<script" not in page and "&lt;script&gt;alert(" in page
    assert "two minus one, question by question" in page and page.count("<h2>") == 2
    assert len(re.findall(r"<figcaption>([\d.]+) s", page)) == 3 + 2 + 2, "the frames that each wrong answer saw"
    assert 'alt="frame at 2.0 s"' in page and "understood</dt><dd>nothing" in page
    again = write_page([read_run(run) for run in runs], tmp_path / "again", worst=5)
    assert again.read_bytes() == path.read_bytes()


def test_media_that_are_gone_do_not_stop_it(runs: list[Path], tmp_path: Path) -> None:
    shutil.copytree(runs[1], tmp_path / "two")
    log = tmp_path / "two/answers/model.jsonl"
    log.write_text(log.read_text().replace("fFjv93ACGo8.mp4", "gone.mp4"))
    page = write_page([read_run(tmp_path / "two")], tmp_path / "page", worst=1).read_text()
    assert "gone.mp4: no such file" in page


def test_every_run_is_compared_with_the_first(runs: list[Path]) -> None:
    text = markdown([read_run(run) for run in (runs[0], runs[1], runs[0])])
    assert "two minus one" in text and "one minus one" in text


def test_the_worst_are_drawn_from_all_kinds() -> None:
    records = [
        Record(f"{kind} {n}", kind, "c", "?", "x", score=score, finish_reason="stop")
        for kind in ("a", "b")
        for n, score in enumerate((1.0, 0.5, 0.0, 0.0))
    ]
    worst = worst_records(records, 4, 0)
    assert sorted(found.kind for found in worst) == ["a", "a", "b", "b"] and all(found.score == 0 for found in worst)
    assert worst == worst_records(records[::-1], 4, 0) and len(worst_records(records, 99, 0)) == 6


def test_a_browser_shows_it(runs: list[Path], tmp_path: Path) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("no chromium here")
    playwright = pytest.importorskip("playwright.sync_api")
    path = write_page([read_run(run) for run in runs], tmp_path / "page", worst=5)
    with playwright.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        page = chromium.new_page(viewport={"width": 1000, "height": 1400})
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("dialog", lambda dialog: errors.append(dialog.message))
        page.goto(path.as_uri())
        sizes = page.eval_on_selector_all("img", "images => images.map(i => (i.loading = 'eager', i.naturalWidth))")
        page.wait_for_function("Array.from(document.images).every(i => i.complete && i.naturalWidth > 0)")
        assert len(sizes) == 2 + 7 + 2 and errors == []
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, "no sideways scrolling on a phone"
        chromium.close()
