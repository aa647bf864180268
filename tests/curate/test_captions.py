"""Captions by a model: what is asked, what is refused, and that nothing is asked twice."""

import base64
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.servers import serving
from vl3.config import decode
from vl3.curate.asking import Asker, ask, usage
from vl3.curate.caption_checks import CaptionChecks, complaint, repetition
from vl3.curate.journal import Journal, fingerprint, read_journal
from vl3.curate.step import Found, Rows
from vl3.curate.steps.recaption import PROMPTS, RecaptionConfig, recaption
from vl3.curate.writer import Request, Said, Write, WriterConfig, endpoint_writer, local_writer
from vl3.errors import UserError
from vl3.generate import Assistant, Service
from vl3.media import Decoder
from vl3.remote import ChatClient, ServerConfig

GOOD = "A red square lies on a white table."


COLOURS = ("red", "green", "blue")
NO_CHECKS = CaptionChecks(min_words=0, language="", whole=False)


@pytest.fixture
def pictures(tmp_path: Path) -> Rows:
    """Three rows."""
    for colour in COLOURS:
        Image.new("RGB", (40, 30), colour).save(tmp_path / f"{colour}.png")
    return rows(*(tmp_path / f"{colour}.png" for colour in COLOURS))


def rows(*files: Path) -> Rows:
    nothing = [None] * len(files)
    texts = [f"a {file.stem} thing" for file in files]
    return {
        "id": [file.stem for file in files],
        "path": list(map(str, files)),
        "offset": nothing,
        "size": nothing,
        "text": texts,
    }


def first(found: Rows) -> Rows:
    return {name: values[:1] for name, values in found.items()}


def captions(config: RecaptionConfig, write: Write, journal: Journal, of: Rows) -> Found:
    return recaption(config, lambda asks, judge: ask(asks, config.writer, write, journal, judge), of)


def priced(**changes: Any) -> RecaptionConfig:
    return RecaptionConfig(writer=WriterConfig(**changes))


class Scripted:
    """A writer that says what a table says, by the name of the file and how often it was asked about."""

    def __init__(self, said: dict[str, list[str | UserError]]) -> None:
        self.said = {name: list(texts) for name, texts in said.items()}
        self.asked: list[Request] = []

    def __call__(self, requests: Sequence[Request]) -> Iterator[tuple[int, Said | UserError]]:
        for number, request in reversed(list(enumerate(requests))):
            self.asked.append(request)
            part = request.messages[0]["content"][0]
            said = self.said[Path(part[part["type"]]).stem].pop(0)
            yield number, said if isinstance(said, UserError) else Said(said, "stop", 100, 10)


# ------------------------------------------------------------------------------------------------------------- checks


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (GOOD, None),
        ("", "empty"),
        (" .\n", "empty"),
        ("A dog.", "too short"),
        ("word " * 30 + "different", "repetition"),
        (" ".join(f"thing{n}" for n in range(61)), "too long"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("Sorry, I cannot view images.", "refusal"),
        ("I\N{RIGHT SINGLE QUOTATION MARK}m unable to see the picture you describe.", "refusal"),
        ("As an AI language model, I have no eyes to look with.", "refusal"),
        ("No image was provided, so nothing can be described.", "refusal"),
        ("Please upload the picture that you would like described.", "refusal"),
        ("Unfortunately, I cannot describe people in this photo.", "refusal"),
        ("抱歉!我无法查看图片。", "refusal"),
        ("A sorry sight: a wet dog that cannot find its way home.", None),
        ("A man says that he can see the sea; no ship is in sight.", None),
        ("A sign says: as always, please wait here to be seated.", None),
        ("Ein roter Würfel liegt auf einem weissen Tisch.", "language"),
        ("Un chien court sur la plage près de la mer.", "language"),
        ("A bowl of ramen on a table in Shibuya, Tokyo.", None),
    ],
)
def test_what_is_wrong_with_a_caption(text: str, why: str | None) -> None:
    assert complaint(text, "stop", CaptionChecks()) == why


def test_checks_can_be_loosened() -> None:
    assert complaint(GOOD, "length", CaptionChecks()) == "cut off"
    assert complaint(GOOD, "length", CaptionChecks(whole=False)) is None
    assert complaint("一只白色的狗坐在草地上。", "stop", CaptionChecks(language="zh")) is None
    assert complaint("Ein roter Würfel liegt da.", "stop", CaptionChecks(language="")) is None
    assert complaint("I cannot say what that is.", "stop", CaptionChecks(refusals=False)) is None
    with pytest.raises(UserError, match="language 'xx' is none of"):
        complaint(GOOD, "stop", CaptionChecks(language="xx"))
    with pytest.raises(UserError, match="leave no caption"):
        decode(CaptionChecks, {"min_words": 9, "max_words": 3}, "recipe")


@given(st.lists(st.sampled_from("abcdef"), max_size=12), st.integers(2, 5))
def test_repetition_is_the_share_of_groups_seen_before(words: list[str], times: int) -> None:
    groups = [tuple(words[at : at + 4]) for at in range(len(words) - 3)]
    seen_before = sum(group in groups[:at] for at, group in enumerate(groups))
    assert repetition(words) == pytest.approx(seen_before / len(groups) if groups else 0)
    if len(words) >= 4:
        assert repetition(words * (times + 1)) >= repetition(words * times) > 0


# ----------------------------------------------------------------------------------------------------------- journal


def test_a_journal_outlives_half_a_line_and_is_shared(tmp_path: Path) -> None:
    with Journal(tmp_path) as first:
        first.add("a", {"text": "one"})
        [file] = tmp_path.glob("*.jsonl")
        file.rename(tmp_path / "otherhost-1.jsonl")
    with (tmp_path / "otherhost-1.jsonl").open("a") as other:
        other.write('{"key": "b", "te')
    with Journal(tmp_path) as second:
        assert "a" in second and "b" not in second and second["a"]["text"] == "one" and len(second) == 1
        second.add("b", {"text": "half a pair: \ud83d, ü"})
    found = {entry.key: entry.value["text"] for entry in read_journal(tmp_path)}
    assert found == {"a": "one", "b": "half a pair: \ud83d, ü"}


def test_a_folder_that_is_no_journal(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"id": 3}\n')
    with pytest.raises(UserError, match=r"x\.jsonl:1: not a line of a journal"):
        Journal(tmp_path)
    with pytest.raises(UserError, match=r"Not a directory|File exists"):
        Journal(tmp_path / "x.jsonl")


def test_fingerprints_tell_facts_apart() -> None:
    keys = [
        fingerprint("a", b"b"),
        fingerprint("ab"),
        fingerprint(b"a", "b"),
        fingerprint({"a": 1}),
        fingerprint("a", "b"),
    ]
    assert len(set(keys)) == len(keys) and fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})


# ------------------------------------------------------------------------------------------------------ re-captioning


def test_what_is_wrong_is_asked_again_and_failures_are_not(pictures: Rows, tmp_path: Path) -> None:
    write = Scripted(
        {
            "red": [GOOD],
            "green": ["I'm sorry, I can't.", "A green   field\nunder a sky."],
            "blue": [UserError("broken")],
        }
    )
    with Journal(tmp_path / "journal") as journal:
        found = captions(RecaptionConfig(), write, journal, pictures)
        assert found.columns == {"caption_short": [GOOD, "A green field under a sky.", None]}
        assert found.reasons == [None, None, "caption failed: broken"]
        cost = usage(journal.values(), WriterConfig(prompt_price=2.0, completion_price=10.0)).cost
        assert cost == pytest.approx((3 * 100 * 2 + 3 * 10 * 10) / 1e6)
    assert [request.options.get("temperature") for request in write.asked] == [None, None, None, 0.7]
    again = Scripted({"blue": [GOOD]})
    with Journal(tmp_path / "journal") as journal:
        assert captions(RecaptionConfig(), again, journal, pictures).columns["caption_short"][2] == GOOD
    assert len(again.asked) == 1, "only what failed is asked again"


def test_a_caption_that_never_gets_better_is_named(pictures: Rows, tmp_path: Path) -> None:
    write = Scripted({"red": ["dog dog", "", "ok \ud83d"]})
    with Journal(tmp_path / "journal") as journal:
        found = captions(priced(attempts=3), write, journal, first(pictures))
    assert found == Found({"caption_short": ["ok ?"]}, ["caption too short"]) and len(write.asked) == 3


def test_another_wording_is_another_question(pictures: Rows, tmp_path: Path) -> None:
    with Journal(tmp_path / "journal") as journal:
        for config in (
            RecaptionConfig(),
            RecaptionConfig(prompt="What is this? They say: {text}"),
            priced(model="other"),
            RecaptionConfig(max_visual_tokens=64),
            RecaptionConfig(length="detailed", checks=CaptionChecks()),
        ):
            write = Scripted({"red": [GOOD]})
            for _ in range(2):
                captions(config, write, journal, first(pictures))
            assert len(write.asked) == 1
            if config.prompt:
                assert write.asked[0].messages[0]["content"][1]["text"] == "What is this? They say: a red thing"


def test_checks_can_be_changed_without_asking_again(pictures: Rows, tmp_path: Path) -> None:
    with Journal(tmp_path / "journal") as journal:
        captions(RecaptionConfig(), Scripted({"red": [GOOD]}), journal, first(pictures))
        strict = RecaptionConfig(checks=CaptionChecks(max_words=4), writer=WriterConfig(attempts=1))
        assert captions(strict, Scripted({}), journal, first(pictures)).reasons == ["caption too long"]


def test_a_clip_is_asked_about_between_its_times(tmp_path: Path) -> None:
    write = Scripted({"clip": [GOOD]})
    clip = rows(tmp_path / "clip.mp4") | {"start_s": [2.0], "end_s": [4.5]}
    with Journal(tmp_path) as journal:
        captions(RecaptionConfig(of="video", fps=2, max_frames=8), write, journal, clip)
    part, text = write.asked[0].messages[0]["content"]
    assert (part["start_s"], part["end_s"], part["fps"], part["max_frames"]) == (2.0, 4.5, 2, 8)
    assert text["text"] == PROMPTS["video", "short"]


def test_the_money_is_spent_once(pictures: Rows, tmp_path: Path) -> None:
    said = {name: [GOOD] for name in COLOURS}
    write = Scripted(said)
    poor, rich = priced(prompt_price=1e4, max_cost=1.5), priced(prompt_price=1e4, max_cost=3)  # a reply costs 1
    with Journal(tmp_path / "journal") as journal, pytest.raises(UserError, match=r"have cost 2 and max_cost is 1\.5"):
        captions(poor, write, journal, pictures)
    assert len(write.asked) == 2
    with Journal(tmp_path / "journal") as journal:
        with pytest.raises(UserError, match="max_cost"):
            captions(poor, Scripted(said), journal, pictures)
        done = captions(rich, Scripted(said), journal, pictures)
        assert done == captions(poor, Scripted({}), journal, pictures), "what is there costs nothing"


def test_a_limit_needs_a_server_that_counts(pictures: Rows, tmp_path: Path) -> None:
    def uncounted(requests: Sequence[Request]) -> Iterator[tuple[int, Said | UserError]]:
        for number, said in Scripted({name: [GOOD] for name in COLOURS})(requests):
            assert isinstance(said, Said)
            yield number, replace(said, prompt_tokens=0, completion_tokens=0)

    with Journal(tmp_path / "journal") as journal, pytest.raises(UserError, match="max_cost cannot be kept"):
        captions(priced(prompt_price=1, max_cost=1), uncounted, journal, pictures)


# ------------------------------------------------------------------------------------------------------- who is asked


def test_an_endpoint_is_asked_side_by_side(pictures: Rows, tmp_path: Path) -> None:
    seen: list[str] = []

    def answer(body: dict[str, Any]) -> Any:
        text = body["messages"][0]["content"][1]["text"]
        seen.append(text)
        if "green" in text and seen.count(text) == 1:
            return 429, "later", {"retry-after": "0.01"}
        return (400, "not this one", {}) if "blue" in text else GOOD

    config = RecaptionConfig(prompt="Describe {text}.", max_new_tokens=50)
    with (
        serving(answer) as server,
        ChatClient(ServerConfig(url=server.url)) as client,
        Decoder() as decoder,
        Journal(tmp_path / "journal") as journal,
    ):
        found = captions(config, endpoint_writer(client, decoder, 3), journal, pictures)
        assert server.bodies[0]["max_tokens"] == 50 and server.bodies[0]["temperature"] == 0
        assert usage(journal.values(), config.writer).prompt_tokens == 14
    assert found.reasons[:2] == [None, None] and "400: not this one" in str(found.reasons[2])


def test_a_member_of_an_archive_is_sent_as_what_it_is(pictures: Rows, tmp_path: Path) -> None:
    data = Path(pictures["path"][2]).read_bytes()
    (tmp_path / "a.tar").write_bytes(b"x" * 512 + data + b"y")
    member = first(pictures) | {"path": [str(tmp_path / "a.tar")], "offset": [512], "size": [len(data)]}
    with (
        serving(lambda _: GOOD) as server,
        ChatClient(ServerConfig(url=server.url)) as client,
        Decoder() as decoder,
        Journal(tmp_path / "journal") as journal,
    ):
        write = endpoint_writer(client, decoder, 1)
        assert captions(RecaptionConfig(), write, journal, member).reasons == [None]
        [part, _] = server.bodies[0]["messages"][0]["content"]
        captions(RecaptionConfig(), write, journal, member)
        assert len(server.bodies) == 1
        gone = member | {"path": [str(tmp_path / "gone.tar")]}
        assert captions(RecaptionConfig(), write, journal, gone).reasons == [
            f"no such file: {tmp_path}/gone.tar: at byte 512"
        ]
    sent = np.asarray(Image.open(io.BytesIO(base64.b64decode(part["image_url"]["url"].partition(",")[2]))))
    assert sent.shape == (30, 40, 3) and np.abs(sent.astype(int) - [0, 0, 255]).max() < 8


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"writer": {"temperature": -1}}, "writer.temperature"),
        ({"writer": {"max_cost": -1}}, "writer.max_cost"),
        ({"fps": 0}, "fps"),
        ({"writer": {"attempts": 0}}, "writer.attempts"),
        ({"length": "long"}, "length"),
    ],
)
def test_absurd_settings_are_told_before_any_work(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(UserError, match=f"recipe: {why}"):
        decode(RecaptionConfig, settings, "recipe")


def test_a_server_that_refuses_everybody_stops_the_work(
    pictures: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VL3_CAPTION_KEY", "wrong")
    with serving(lambda _: (401, "who are you?", {})) as server:
        config = priced(endpoint=server.url, model="fake")
        with pytest.raises(UserError, match="401: who are you"):
            recaption(config, Asker(config.writer, tmp_path / "journal"), pictures)
        assert set(server.keys) == {"Bearer wrong"}
    assert not list(read_journal(tmp_path / "journal"))


def test_a_model_here_answers_as_it_does_alone(assistant: Assistant, pictures: Rows, tmp_path: Path) -> None:
    config = RecaptionConfig(max_new_tokens=6, checks=NO_CHECKS, writer=WriterConfig(attempts=1))
    files = [Path(path) for path in pictures["path"]]
    with Service(assistant) as service, Journal(tmp_path / "journal") as journal:
        found = captions(config, local_writer(service), journal, rows(*files, tmp_path / "none.png"))
        assert usage(journal.values(), config.writer).completion_tokens > 0
    for file, text in zip(files, found.columns["caption_short"], strict=False):
        alone = assistant.ask(file, PROMPTS["image", "short"], max_new_tokens=6)
        assert text == " ".join(alone.text.split())
    assert "none.png" in str(found.reasons[3])


RUN = """
import sys
from pathlib import Path
from vl3.curate.asking import Asker
from vl3.curate.steps.recaption import RecaptionConfig, recaption
from vl3.curate.writer import WriterConfig
folder, url = Path(sys.argv[1]), sys.argv[2]
numbers = range(30)
rows = {"id": list(map(str, numbers)), "path": [str(folder / "red.png") for _ in numbers], "offset": [None] * 30,
        "size": [None] * 30, "text": [f"thing {n}" for n in numbers]}
config = RecaptionConfig(prompt="{text}", writer=WriterConfig(num_parallel=2, endpoint=url, model="fake"))
found = recaption(config, Asker(config.writer, folder / "journal"), rows)
assert not any(found.reasons)
print(*found.columns["caption_short"], sep="\\n")
"""


@pytest.mark.slow
@pytest.mark.usefixtures("pictures")
def test_a_kill_loses_nothing_that_was_written(tmp_path: Path) -> None:
    asked: list[str] = []

    def answer(body: dict[str, Any]) -> str:
        time.sleep(0.02)
        text = body["messages"][0]["content"][1]["text"]
        asked.append(text)
        return f"A picture of {text}."

    with serving(answer) as server:
        arguments = [sys.executable, "-c", RUN, str(tmp_path), server.url]
        child = subprocess.Popen(arguments, stdout=subprocess.PIPE)
        while len(list(read_journal(tmp_path / "journal"))) < 9 and child.poll() is None:
            time.sleep(0.01)
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
        kept = len(list(read_journal(tmp_path / "journal")))
        assert 9 <= kept < 30
        before = len(asked)
        done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"A picture of thing {n}." for n in range(30)]
    assert len(asked) - before == 30 - kept
