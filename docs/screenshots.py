"""Makes the pictures of web.md in Chromium: with nano, as it answers, and with a model that is told what to say.

PYTHONPATH=. python docs/screenshots.py docs/images
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw
from playwright.sync_api import Page, expect, sync_playwright

from tests.saying import Saying
from tests.ui.conftest import page_running

CITY = Path(__file__).parents[1] / "assets" / "city.mp4"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu"]


def ask(tab: Page, question: str) -> None:
    """Asks, and waits for the answer."""
    tab.fill("#question textarea", question)
    tab.press("#question textarea", "Enter")
    expect(tab.locator("#chat")).to_contain_text(question)
    expect(tab.locator("#stop")).to_be_hidden(timeout=120_000)


def shapes(path: Path) -> None:
    """A picture with something to point at."""
    picture = Image.new("RGB", (640, 400), "#f4efe6")
    pen = ImageDraw.Draw(picture)
    pen.ellipse((60, 110, 260, 310), fill="#d7263d")
    pen.rectangle((390, 120, 560, 290), fill="#1b6ec2")
    picture.save(path)


def video(tab: Page) -> None:
    """A trimmed video, pruned, with a time in the answer."""
    tab.set_input_files("#files input[type=file]", CITY)
    expect(tab.locator("#player .vl3-span")).to_contain_text("7.6 s")
    tab.locator("#player .vl3-from").fill("2")
    tab.click("#frames-settings button")
    tab.click("#prune label:has-text('the share')")
    expect(tab.locator("#prune-number input")).to_have_value("0.5")
    tab.click("#frames-settings button")
    ask(tab, "When does the shot change?")


def main(folder: Path) -> None:
    """Writes web-video.png, web-boxes.png and web-phone.png."""
    command = [sys.executable, "-m", "vl3", "ui", "--port", "0"]
    with (
        tempfile.TemporaryDirectory() as temporary,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS) as browser,
    ):
        assert server.stdout is not None
        url = server.stdout.readline().split()[3]
        tab = browser.new_page(viewport={"width": 1180, "height": 860})
        tab.goto(url)
        video(tab)
        tab.wait_for_timeout(1000)
        tab.screenshot(path=folder / "web-video.png")

        phone = browser.new_page(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
        phone.goto(url)
        video(phone)
        phone.wait_for_timeout(1000)
        phone.screenshot(path=folder / "web-phone.png", full_page=True)
        server.terminate()

        with page_running() as told:
            saying = told.serving.service
            assert isinstance(saying, Saying)
            saying.text = "The red circle is at [94, 275, 407, 776], the blue square at [609, 300, 876, 726]."
            shapes(Path(temporary) / "shapes.png")
            tab.goto(told.url)
            tab.set_input_files("#files input[type=file]", Path(temporary) / "shapes.png")
            expect(tab.locator("#pictures figure")).to_have_count(1)
            ask(tab, "Where are the circle and the square?")
            tab.wait_for_timeout(1000)
            tab.screenshot(path=folder / "web-boxes.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
