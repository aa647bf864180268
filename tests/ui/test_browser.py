"""The page in a real browser: Debian's Chromium, without a window."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.saying import Saying
from tests.serve.running import Running

playwright_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs a browser: {CHROMIUM} (apt-get install chromium)"),
]
Page = playwright_api.Page
expect = playwright_api.expect
expect.set_options(timeout=20_000)  # a machine may be busy


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright_api.Browser]:
    with (
        playwright_api.sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS) as browser,
    ):
        yield browser


@pytest.fixture
def tab(browser: playwright_api.Browser, page: Running) -> Iterator[Page]:
    """The page as it is opened, which must not fetch from elsewhere, nor fail in its scripts."""
    with browser.new_page(viewport={"width": 1280, "height": 900}) as tab:
        yield from _opened(tab, page)


@pytest.fixture
def phone(browser: playwright_api.Browser, page: Running) -> Iterator[Page]:
    """The same at a phone's width."""
    with browser.new_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as tab:
        yield from _opened(tab, page)


def _opened(tab: Page, page: Running) -> Iterator[Page]:
    faults: list[str] = []
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on("request", lambda call: call.url.startswith((page.url, "data:", "blob:")) or faults.append(call.url))
    tab.goto(page.url)
    expect(tab.locator("#question textarea")).to_be_visible()
    yield tab
    says(page, None)
    assert faults == []


def says(page: Running, text: str | None, delay_s: float = 0.0) -> Saying:
    """What the model will say."""
    service = page.serving.service
    assert isinstance(service, Saying)
    service.text, service.delay_s = text, delay_s
    return service


def drop(tab: Page, *files: Path) -> None:
    tab.set_input_files("#files input[type=file]", list(files))


def ask(tab: Page, question: str) -> None:
    tab.fill("#question textarea", question)
    tab.press("#question textarea", "Enter")
    expect(tab.locator("#chat")).to_contain_text(question.split()[0])


def answered(tab: Page) -> str:
    """The text of the chat once the answer is there."""
    expect(tab.locator("#stop")).to_be_hidden()
    expect(tab.locator("#ask")).to_be_visible()
    return str(tab.locator("#chat").inner_text())


def current_time(tab: Page) -> float:
    return float(tab.evaluate("document.querySelector('#player video').currentTime"))


def test_upload_ask_stream_and_seek(tab: Page, page: Running, dropped: Path) -> None:
    says(page, "It turns from 1.0 to 2.5 seconds, and that is all there is to say about it.", delay_s=0.02)
    drop(tab, dropped / "clip.mp4")
    expect(tab.locator("#player .vl3-span")).to_have_text("all of 4.0 s")
    ask(tab, "When does it turn?")
    lengths: set[int] = set()
    end = time.monotonic() + 30
    while (tab.locator("#stop").is_visible() or len(lengths) < 2) and time.monotonic() < end:
        lengths.add(len(tab.locator("#chat").inner_text()))
        time.sleep(0.05)
    assert len(lengths) > 5, "the answer came in one piece"
    assert "When does it turn?" in answered(tab) and "all there is to say" in answered(tab)
    expect(tab.locator("#frames figure")).to_have_count(4)
    expect(tab.locator("#frames .vl3-sum")).to_contain_text("4 frames")
    tab.click("#chat a:has-text('2.5')")
    tab.wait_for_function("Math.abs(document.querySelector('#player video').currentTime - 2.5) < 0.05")
    tab.click("#frames figure:nth-child(2) a")
    tab.wait_for_function("Math.abs(document.querySelector('#player video').currentTime - 1.0) < 0.05")
    assert tab.url.rstrip("/#") == page.url, "a time is no page to go to"


def test_trimming_on_the_timeline(tab: Page, page: Running, dropped: Path) -> None:
    service = says(page, "yes")
    drop(tab, dropped / "clip.mp4")
    expect(tab.locator("#player .vl3-span")).to_have_text("all of 4.0 s")
    track = tab.locator("#player .vl3-track").bounding_box()
    thumb = tab.locator("#player .vl3-from").bounding_box()
    y = thumb["y"] + thumb["height"] / 2
    tab.mouse.move(track["x"], y)  # drag the left handle to the middle
    tab.mouse.down()
    tab.mouse.move(track["x"] + track["width"] / 2, y, steps=8)
    tab.mouse.up()
    assert abs(current_time(tab) - 2.0) < 0.15
    tab.focus("#player .vl3-to")  # and the right one by the keyboard
    for _ in range(5):
        tab.keyboard.press("ArrowLeft")
    expect(tab.locator("#player .vl3-span")).to_contain_text("to 3.5 s of 4.0 s")
    ask(tab, "Now?")
    answered(tab)
    part = service.asked[-1][0]["content"][0]
    assert abs(part["start_s"] - 2.0) < 0.15 and part["end_s"] == 3.5
    assert "to 3.5 s" not in tab.locator("#notice").inner_text()
    assert " to 3.5 s" in tab.locator("#chat").inner_text()


def test_boxes_are_drawn(tab: Page, page: Running, dropped: Path) -> None:
    says(page, "It is at [0, 0, 500, 1000].")
    drop(tab, dropped / "a.png")
    expect(tab.locator("#pictures figure")).to_have_count(1)
    ask(tab, "Where?")
    assert "[0, 0, 500, 1000]" in answered(tab)
    image = tab.locator("#chat img[alt='a.png with 1 box']")
    expect(image).to_be_visible()
    pixels = """image => {
        const canvas = document.createElement("canvas");
        canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
        const pen = canvas.getContext("2d");
        pen.drawImage(image, 0, 0);
        const at = (x, y) => [...pen.getImageData(x * canvas.width, y * canvas.height, 1, 1).data.slice(0, 3)];
        return [at(0.499, 0.5), at(0.75, 0.9)];
    }"""
    edge, beside = image.evaluate(pixels)
    assert max(edge) - min(edge) > 60 and max(beside) - min(beside) < 20, "an edge in colour on a grey picture"


def test_frames_and_pruning_are_chosen(tab: Page, page: Running, dropped: Path) -> None:
    service = says(page, "yes")
    drop(tab, dropped / "clip.mp4")
    expect(tab.locator("#player .vl3-span")).to_have_text("all of 4.0 s")
    tab.click("#frames-settings button")
    tab.fill("#fps input[type=number]", "2")
    tab.click("#prune label:has-text('the share')")
    expect(tab.locator("#prune-number input")).to_have_value("0.5")
    tab.fill("#prune-number input", "0.3")
    tab.click("#preview")
    expect(tab.locator("#frames figure")).to_have_count(8)
    expect(tab.locator("#frames .vl3-sum")).to_contain_text("dropped by DiffFP")
    ask(tab, "Now?")
    answered(tab)
    assert service.options[-1]["prune"] == "keep=0.3"
    assert service.asked[-1][0]["content"][0]["fps"] == 2


@pytest.mark.parametrize("name", ["notes.txt", "cut.mp4", "a.png"])
def test_errors_are_one_line_on_the_page(tab: Page, dropped: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "cut.mp4").write_bytes((dropped / "clip.mp4").read_bytes()[:900])
    if name == "a.png":  # it can be read, but the pruning rule is none
        drop(tab, dropped / name)
        tab.click("#frames-settings button")
        tab.click("#prune label:has-text('the share')")
        tab.fill("#prune-number input", "7")
        tab.fill("#question textarea", "What?")
        tab.click("#ask")
        name = "--prune keep=7"
    else:
        drop(tab, (tmp_path if name == "cut.mp4" else dropped) / name)
    notice = tab.locator("#notice [role=alert]")
    expect(notice).to_be_visible()
    text = notice.inner_text()
    assert text.startswith(f"{name}: ") and "\n" not in text and "/" not in text.replace("image/", "")
    if "prune" in name:
        expect(tab.locator("#question textarea")).to_have_value("What?")
    assert tab.locator(".toast-wrap .error").count() == 0


def test_stop(tab: Page, page: Running) -> None:
    says(page, "word " * 300, delay_s=0.03)
    ask(tab, "Go on?")
    expect(tab.locator("#chat")).to_contain_text("word word")
    tab.click("#stop")
    assert 2 <= answered(tab).count("word") < 290
    assert page.idle()
    says(page, "fine")
    ask(tab, "And now?")
    assert "fine" in answered(tab)
    tab.click("#clear")
    expect(tab.locator("#chat")).not_to_contain_text("word")


def test_closing_the_tab_ends_the_answer(browser: playwright_api.Browser, page: Running) -> None:
    says(page, "word " * 600, delay_s=0.03)
    tab = browser.new_page()
    tab.goto(page.url)
    ask(tab, "Go on?")
    expect(tab.locator("#chat")).to_contain_text("word word")
    tab.close()
    assert page.idle(within_s=8)
    says(page, None)


def test_examples(tab: Page, page: Running) -> None:
    says(page, "a city")
    tab.click("#examples button:has-text('city.mp4')")
    expect(tab.locator("#player .vl3-span")).to_have_text("all of 7.6 s")
    tab.click("#ask")
    expect(tab.locator("#chat")).to_contain_text("What is in this video?")
    assert "a city" in answered(tab)
    expect(tab.locator("#frames figure")).to_have_count(8)


def test_a_picture_after_a_video(tab: Page, page: Running) -> None:
    service = says(page, "a city")
    tab.click("#examples button:has-text('city.mp4')")
    expect(tab.locator("#player .vl3-span")).to_have_text("all of 7.6 s")
    tab.click("#examples button:has-text('city.jpg')")
    expect(tab.locator("#pictures figure")).to_have_count(1)
    expect(tab.locator("#player")).to_be_hidden()
    ask(tab, "What now?")
    assert "a city" in answered(tab)
    assert [part["type"] for part in service.asked[-1][-1]["content"]] == ["image", "text"]


def test_what_is_said_cannot_become_a_part_of_the_page(tab: Page, page: Running) -> None:
    harm = "<img src=x onerror='document.title=1'> ![a](http://192.0.2.1/?q=1) <script>document.title=1</script>"
    says(page, harm)
    ask(tab, harm)
    text = answered(tab)
    assert text.count("<script>document.title=1</script>") == 2
    assert tab.title() != "1" and tab.locator("#chat .message img").count() == 0


def test_on_a_phone(phone: Page, page: Running, dropped: Path) -> None:
    says(page, "At 2.0 s it is at [0, 0, 500, 500].")
    drop(phone, dropped / "clip.mp4")
    expect(phone.locator("#player .vl3-span")).to_have_text("all of 4.0 s")
    phone.fill("#question textarea", "When and where, in as many words as the width of a phone does not hold?")
    phone.tap("#ask")
    answered(phone)
    expect(phone.locator("#chat img")).to_be_visible()
    width, most = phone.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= most == 390
    for name in ("#files", "#player", "#chat", "#question", "#ask", "#frames"):
        box = phone.locator(name).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390, name
    phone.tap("#chat a:has-text('2.0')")
    phone.wait_for_function("Math.abs(document.querySelector('#player video').currentTime - 2.0) < 0.05")
