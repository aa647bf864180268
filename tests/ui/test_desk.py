"""What the page does, without a browser."""

import base64
import io
import re
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.media.clips import number_in
from tests.saying import Saying
from vl3.errors import UserError
from vl3.ui.config import PageConfig
from vl3.ui.desk import Desk
from vl3.ui.talk import Choice, Talk, Talks, View

Both = tuple[Desk, Saying]


def ask(desk: Desk, talk: Talk, text: str, choice: Choice) -> View:
    """The last of what the page shows of an answer."""
    *_, view = desk.ask(talk, text, choice)
    return view


def thumbnails(strip: str) -> list[np.ndarray]:
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', strip)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for data in found]


def counts(strip: str) -> tuple[list[int], list[int]]:
    """Tokens kept, and all, of each frame."""
    found = re.findall(r"</b> (\d+)/(\d+)<", strip)
    return [int(kept) for kept, _ in found], [int(of) for _, of in found]


def test_the_answer_streams_with_linked_times_and_the_frames_seen(desk: Both, dropped: Path) -> None:
    page, service = desk
    service.text, service.delay_s = "It turns from 1.0 to 2.5 seconds.", 0.01
    talk = Talk()
    choice = Choice(files=(dropped / "clip.mp4",), start_s=1.0, fps=2, prune="off")
    views = list(page.ask(talk, "When does it turn?", choice))
    assert all(view.asking for view in views[:-1]) and not views[-1].asking
    growing = [view.bubbles[-1]["content"] for view in views]
    assert len(set(growing)) > 4  # piece by piece
    assert growing[-1] == "It turns from [1.0](#v=0&t=1.000) to [2.5](#v=0&t=2.500) seconds."
    assert views[-1].bubbles[0]["content"] == "`clip.mp4 from 1.0 s`\n\nWhen does it turn?"
    # the frames are those of the clip at these times: frame k shows the number k and stands at k/4 s
    strip = views[-1].frames
    assert re.findall(r"<b>([\d.]+) s</b>", strip) == ["1.0", "1.5", "2.0", "2.5", "3.0", "3.5"]
    assert [number_in(frame) for frame in thumbnails(strip)] == [4, 6, 8, 10, 12, 14]
    assert strip.count('href="#v=0&t=1.500"') == 1
    assert views[1].frames == strip, "the frames are shown before the answer is there"
    service.text, service.delay_s = None, 0.0


def test_pruning_darkens_what_it_drops(desk: Both, dropped: Path) -> None:
    page, _ = desk
    whole = page.preview(Talk(), Choice(files=(dropped / "clip.mp4",), prune="off"))
    pruned = page.preview(Talk(), Choice(files=(dropped / "clip.mp4",), prune="keep=0.5"))
    assert ", none dropped" in whole and "dropped by DiffFP" in pruned
    for frame, kept, of in zip(thumbnails(pruned), *counts(pruned), strict=True):
        dark_blue = (frame[..., 2].astype(int) - frame[..., 0] > 40).mean()  # the clip is grey
        assert abs(dark_blue - (1 - kept / of)) < 0.1
    kept = sum(counts(pruned)[0])
    assert f"{kept} of " in pruned


def test_media_go_with_the_first_question_and_again_when_they_change(desk: Both, dropped: Path) -> None:
    page, service = desk
    talk = Talk()
    choice = Choice(files=(dropped / "clip.mp4",), max_new_tokens=3)
    ask(page, talk, "What?", choice)
    ask(page, talk, "And then?", choice)
    ask(page, talk, "And later?", replace(choice, start_s=2.0))
    ask(page, talk, "And this?", replace(choice, files=(dropped / "a.png",)))
    kinds = [
        [part["type"] for part in message["content"]] for message in service.asked[-1] if message["role"] == "user"
    ]
    assert kinds == [["video", "text"], ["text"], ["video", "text"], ["image", "text"]]
    assert service.asked[-1][4]["content"][0]["start_s"] == 2.0
    assert service.options[-1] == {"max_new_tokens": 3, "temperature": 0.0}


def test_boxes_are_drawn_on_the_frame_that_the_answer_names(desk: Both, dropped: Path) -> None:
    page, service = desk
    service.text = "At 2.0 s it is at [100, 100, 600, 900]."
    view = ask(page, Talk(), "Where is it?", Choice(files=(dropped / "clip.mp4",)))
    service.text = None
    alt, _, address = view.bubbles[-1]["content"].partition("](gradio_api/file=")
    assert alt == "![clip.mp4 with 1 box"
    drawn = np.asarray(Image.open(address.removesuffix(")")))
    assert drawn.shape == (320, 640, 3)
    coloured = np.argwhere(drawn.max(axis=2).astype(int) - drawn.min(axis=2) > 60)  # the clip is grey
    (top, left), (bottom, right) = coloured.min(axis=0), coloured.max(axis=0)
    assert np.allclose([left, top, right, bottom], [64, 32, 384, 288], atol=3)
    assert number_in(drawn) == 8


def test_stopping_keeps_what_was_said(desk: Both) -> None:
    page, service = desk
    service.text, service.delay_s = "word " * 200, 0.01
    talk = Talk()
    views = []
    for view in page.ask(talk, "Go on?", Choice(max_new_tokens=1000)):
        views.append(view)
        if view.bubbles[-1]["content"].startswith("word word"):
            talk.stop()
    service.text, service.delay_s = None, 0.0
    assert views[-1].notice == "stopped" and not views[-1].asking
    assert 9 <= len(views[-1].bubbles[-1]["content"]) < 900
    assert talk.messages[-1]["content"] == views[-1].bubbles[-1]["content"]
    assert ask(page, talk, "More?", Choice(max_new_tokens=2)).notice == ""


def test_a_page_that_goes_away_frees_the_model(desk: Both) -> None:
    page, service = desk
    service.text, service.delay_s = "word " * 500, 0.01
    answer = page.ask(Talk(), "Go on?", Choice(max_new_tokens=2000))
    for _ in range(3):
        next(answer)
    answer.close()
    service.text, service.delay_s = None, 0.0
    end = time.monotonic() + 10
    while service.stats().running and time.monotonic() < end:
        time.sleep(0.01)
    assert service.stats().running == service.stats().waiting == 0


def test_too_slow_an_answer(desk: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    page, service = desk
    monkeypatch.setattr(page, "config", PageConfig(request_timeout_s=0.3))
    service.text, service.delay_s = "word " * 500, 0.02
    view = ask(page, Talk(), "Go on?", Choice(max_new_tokens=2000))
    service.text, service.delay_s = None, 0.0
    assert view.notice == "no answer within the limit of 0.3 s: ask for fewer tokens or frames"


def test_one_question_at_a_time(desk: Both) -> None:
    page, service = desk
    service.text, service.delay_s = "word " * 50, 0.02
    talk = Talk()
    first = page.ask(talk, "One?", Choice())
    next(first)
    [view] = page.ask(talk, "Two?", Choice())
    assert view.notice.startswith("an answer is on its way") and view.question == "Two?"
    first.close()
    service.text, service.delay_s = None, 0.0
    assert not talk.lock.locked()


@pytest.mark.parametrize(
    ("text", "choice", "message"),
    [
        (" ", Choice(), "the question is empty"),
        ("x" * 300_000, Choice(), "a question of 300000 characters is more than the model can read"),
        ("?", Choice(max_frames=181), "frames: at most 180"),
        ("?", Choice(max_new_tokens=5000), "tokens of an answer: at most 2048"),
        ("?", Choice(prune="half"), "prune 'half': use off, published, grey=LEVELS, keep=SHARE or budget=TOKENS"),
        ("?", Choice(start_s=3, end_s=2), "the end of the clip comes before its begin"),
        ("?", Choice(temperature=-1), "temperature"),
    ],
)
def test_mistakes_are_one_line_and_the_question_stays(desk: Both, text: str, choice: Choice, message: str) -> None:
    talk = Talk()
    view = ask(desk[0], talk, text, choice)
    assert message in view.notice and "\n" not in view.notice
    assert view.question == text
    assert view.bubbles == [] and talk.messages == []


def test_files_that_are_none(desk: Both, dropped: Path, tmp_path: Path) -> None:
    page, _ = desk
    damaged = tmp_path / "cut.mp4"
    damaged.write_bytes((dropped / "clip.mp4").read_bytes()[:900])
    for file in (dropped / "notes.txt", damaged):
        with pytest.raises(UserError) as caught:
            page.look([file])
        assert str(caught.value).startswith(f"{file.name}: ") and str(file.parent) not in str(caught.value)
        view = ask(page, Talk(), "?", Choice(files=(file,)))
        assert view.notice == str(caught.value)
    with pytest.raises(UserError, match="two videos"):
        page.look([dropped / "clip.mp4"] * 2)
    with pytest.raises(UserError, match="4 files; at most 3"):
        page.look([dropped / "a.png"] * 4)
    with pytest.raises(UserError, match="drop images or a video first"):
        page.preview(Talk(), Choice())


def test_a_tab_that_closes_ends_its_answer(desk: Both) -> None:
    page, service = desk
    service.text, service.delay_s = "word " * 200, 0.01
    talks = Talks()
    answer = page.ask(talks.of("tab"), "Go on?", Choice(max_new_tokens=1000))
    next(answer), next(answer)
    threading.Timer(0.1, talks.end, ("tab",)).start()
    *_, last = answer
    service.text, service.delay_s = None, 0.0
    assert last.notice == "stopped" and len(talks) == 0


def test_idle_talks_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vl3.ui.talk.MOST_TALKS", 2)
    talks = Talks()
    busy = talks.of("busy")
    with busy.lock:
        talks.of("idle").messages.append({"role": "user", "content": "?"})
        with talks.of("third").lock:
            with pytest.raises(UserError, match="too many people"):
                talks.of("fourth")
            assert talks.of("busy") is busy
