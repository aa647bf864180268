"""Asking a server instead of a model here, and judging by one: what is sent, what fails, what is kept."""

import base64
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from recipes.nano.data.sample import Clip, Question, Sample, Writer
from tests.eval.miniatures import png, write_video
from tests.servers import serving
from vl3.errors import UserError
from vl3.eval import Item, RunConfig, Score, Task
from vl3.eval.answerers import Examinee, endpoint_examinee, model_examinee
from vl3.eval.judge import Judge, right_or_wrong
from vl3.eval.log import read_row
from vl3.eval.measures import short
from vl3.eval.report import comparison, read_run
from vl3.eval.run import evaluate
from vl3.eval.task import STREAM, asked, image, video
from vl3.eval.tasks.annotations import nano
from vl3.generate import Options, load
from vl3.remote import ChatClient, ServerConfig
from vl3.weights.demo import save_demo_model


def client(url: str, **changes: Any) -> ChatClient:
    return ChatClient(ServerConfig(**{"url": url, "timeout_s": 10, **changes}))


def question(id_: str, media: list[dict[str, Any]], text: str = "What?", truth: str = "yes") -> Item:
    return Item(id_, "open", asked(media, text), truth, id_)


@pytest.fixture
def media(tmp_path: Path) -> Path:
    (tmp_path / "a.png").write_bytes(png("red"))
    Image.new("RGB", (30, 20), "blue").save(tmp_path / "b.bmp")
    write_video(tmp_path / "c.mp4")
    return tmp_path


def sent(items: list[Item], video_form: Any = "frames", options: Options | None = None) -> list[dict[str, Any]]:
    """The bodies of the requests for these items."""
    with serving(lambda _body: "yes") as server, client(server.url) as asker:
        replies: list[Any] = []
        examinee = endpoint_examinee(asker, options or {}, video_form, 2)
        examinee.answer(items, lambda _item, reply: replies.append(reply))
        assert not [reply for reply in replies if isinstance(reply, UserError)], replies
        return server.bodies


def pixels(part: dict[str, Any]) -> np.ndarray:
    data = part["image_url"]["url"].split(",", 1)[1]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_a_picture_goes_as_its_own_bytes_or_as_jpeg(media: Path) -> None:
    [body] = sent([question("1", [image(str(media / "a.png")), image(str(media / "b.bmp"))])])
    [message] = body["messages"]
    first, second, text = message["content"]
    assert first["image_url"]["url"] == "data:image/png;base64," + base64.b64encode(png("red")).decode()
    assert second["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert np.abs(pixels(second).astype(int) - [0, 0, 255]).max() <= 4
    assert text == {"type": "text", "text": "What?"} and body["model"] == "fake" and body["temperature"] == 0


def test_a_video_goes_as_frames_with_their_times(media: Path) -> None:
    options: Options = {"fps": 1, "max_new_tokens": 9, "seed": 3, "stop": ["x"]}
    [body] = sent([question("1", [video(str(media / "c.mp4"), end_s=2.0)])], options=options)
    kinds = [part.get("text", "image") for part in body["messages"][0]["content"]]
    assert kinds == ["Time 0.0s:", "image", "Time 1.0s:", "image", "What?"]
    assert (body["max_tokens"], body["seed"], body["stop"]) == (9, 3, ["x"]) and "fps" not in body


def test_a_video_goes_whole_where_the_server_takes_it(media: Path) -> None:
    options: Options = {"fps": 2, "max_frames": 5, "max_tokens": 64, "prune": "off"}
    [body] = sent([question("1", [video(str(media / "c.mp4"), 0.5, 2.0)])], "url", options)
    [part, _] = body["messages"][0]["content"]
    data = (media / "c.mp4").read_bytes()
    url = "data:video/mp4;base64," + base64.b64encode(data).decode()
    assert part == {"type": "video_url", "video_url": {"url": url, "start": 0.5, "end": 2.0}}
    assert (body["fps"], body["max_frames"], body["max_visual_tokens"], body["prune"]) == (2, 5, 64, "off")
    [plain] = sent([question("1", [image(str(media / "a.png"))])], "url", options)
    assert "fps" not in plain, "a server may refuse what it does not know"


def test_a_video_of_single_frames_goes_as_frames_even_where_videos_go_whole(media: Path) -> None:
    (media / "frames").mkdir()
    files = [str(media / f"frames/{number}.png") for number in range(3)]
    for file in files:
        Path(file).write_bytes(png("red"))
    listed = {**video(files), "fps": 1}
    for part in (listed, video(str(media / "frames"))):
        [body] = sent([question("1", [part])], "url")
        kinds = [part.get("text", "image") for part in body["messages"][0]["content"]]
        assert kinds[:2] == ["Time 0.0s:", "image"] and kinds[-1] == "What?"


def test_media_behind_urls_are_fetched_here(media: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)).save(media / "a.png")
    url = "data:image/png;base64," + base64.b64encode((media / "a.png").read_bytes()).decode()
    clip = "data:video/mp4;base64," + base64.b64encode((media / "c.mp4").read_bytes()).decode()
    [body] = sent([question("1", [image(url), video(clip)])], "url")
    kinds = [part.get("text", "image") for part in body["messages"][0]["content"]]
    assert kinds[:3] == ["image", "Time 0.0s:", "image"] and kinds[-1] == "What?"


def test_a_busy_server_is_asked_again_and_a_refusal_is_one_failure(media: Path, tmp_path: Path) -> None:
    seen: list[str] = []

    def answer(body: dict[str, Any]) -> Any:
        text = body["messages"][0]["content"][-1]["text"]
        seen.append(text)
        if text == "busy" and seen.count(text) < 3:
            return 429, "later", {"retry-after": "0.01"}
        return (400, "this prompt is too long", {}) if text == "long" else "yes"

    items = [question(text, [], text) for text in ("busy", "long", "fine")]
    items.append(question("gone", [image(str(media / "gone.png"))], "fine"))
    with serving(answer) as server, client(server.url, key="secret") as asker:
        examinee = endpoint_examinee(asker, {}, "frames", 2)
        result = evaluate(Task("t", items, short), examinee, RunConfig(out=tmp_path / "run", model="fake"))
        assert set(server.keys) == {"Bearer secret"}
    assert result["rows"]["model"]["all"] | {"low": 0, "high": 0} == {
        "n": 2, "media": 2, "mean": 1.0, "low": 0, "high": 0, "failed": 2, "also": {},
    }  # fmt: skip
    errors = {failure["id"]: failure["error"] for failure in result["failed"]}
    assert "400: this prompt is too long" in errors["long"] and "gone.png" in errors["gone"]
    assert seen.count("busy") == 3 and seen.count("long") == 1
    assert result["settings"]["endpoint"] == server.url and "secret" not in json.dumps(result)


def test_no_server_is_one_clear_error() -> None:
    with pytest.raises(UserError, match="cannot be reached"):
        client("http://127.0.0.1:9/v1")
    with pytest.raises(ValueError, match="an endpoint is a URL"):
        ServerConfig(url="localhost:8000")


def test_what_a_server_cannot_be_asked_is_left_out_and_noted(tmp_path: Path) -> None:
    items = [question("1", []), Item("2", STREAM, [{"role": "user", "content": "x"}], "1.0", "c")]
    with serving(lambda _body: "yes") as server, client(server.url) as asker:
        examinee = endpoint_examinee(asker, {}, "frames", 2)
        result = evaluate(Task("t", items, short), examinee, RunConfig(out=tmp_path, model="fake"))
    assert result["rows"]["model"]["all"]["n"] == 1
    assert result["notes"] == ["1 questions about streams left out: an endpoint cannot be asked them"]


def test_without_pictures_an_endpoint_sees_grey(media: Path, tmp_path: Path) -> None:
    items = [question("1", [image(str(media / "a.png")), video(str(media / "c.mp4"))])]
    config = RunConfig(out=tmp_path / "run", model="fake", baselines=("no-picture",))
    with serving(lambda _body: "yes") as server, client(server.url) as asker:
        evaluate(Task("t", items, short), endpoint_examinee(asker, {}, "frames", 2), config)
        shown, blank = ([p for p in b["messages"][0]["content"] if p["type"] == "image_url"] for b in server.bodies)
        assert len(shown) == len(blank) == 4
        assert all(np.abs(pixels(part).astype(int) - 128).max() <= 1 for part in blank)
        with pytest.raises(UserError, match="--endpoint-video frames"):
            evaluate(Task("t", items, short), endpoint_examinee(asker, {}, "url", 2), config_in(tmp_path / "other"))


def config_in(out: Path) -> RunConfig:
    return RunConfig(out=out, model="fake", baselines=("no-picture",))


# ------------------------------------------------------------------------------------------------------------- judges


def says(answers: dict[str, str]) -> Examinee:
    """Answers from a table."""
    from contextlib import nullcontext

    from vl3.eval.log import Reply

    def answer(items: Any, on_reply: Any) -> None:
        for item in items:
            on_reply(item, Reply(answers[item.id]))

    return Examinee({}, answer, lambda: nullcontext(answer))


def judged_task(*ids: str) -> Task:
    def judged(item: Item, answer: str) -> Any:
        return None if short(item, answer).score else right_or_wrong(item, answer)

    return Task("t", [question(id_, [], f"Question {id_}?", "a dog") for id_ in ids], short, judged=judged)


def test_verdicts_are_asked_for_once(tmp_path: Path) -> None:
    task = judged_task("same", "like", "other")
    examinee = says({"same": "a dog", "like": "It is a canine.", "other": "a cat"})
    config = RunConfig(out=tmp_path, model="m")

    def verdict(body: dict[str, Any]) -> str:
        return "Yes." if "canine" in body["messages"][0]["content"] else "No"

    with serving(verdict) as server, client(server.url) as asker:
        first = evaluate(task, examinee, config, judge=lambda: Judge(asker))
        assert len(server.bodies) == 2, "what rules can compare is not judged"
        prompts = [body["messages"][0]["content"] for body in server.bodies]  # asked side by side
        assert all(any(f"Question {asked}?" in prompt for prompt in prompts) for asked in ("like", "other"))
        assert evaluate(task, examinee, config, judge=lambda: Judge(asker)) == first and len(server.bodies) == 2
        (tmp_path / "answers/model.jsonl").unlink()
        assert evaluate(task, examinee, config, judge=lambda: Judge(asker)) == first and len(server.bodies) == 2
    assert first["rows"]["model"]["all"]["mean"] == pytest.approx(2 / 3)
    assert first["settings"]["judge"] == {"model": "fake"} and first["notes"] == []
    records = read_row(tmp_path, "model")
    assert [records[id_].judged for id_ in ("same", "like", "other")] == [False, True, True]
    alone = evaluate(task, examinee, RunConfig(out=tmp_path / "alone", model="m"))
    assert alone["rows"]["model"]["all"]["mean"] == pytest.approx(1 / 3)
    assert "2 answers were compared by rules" in alone["notes"][0]


def test_a_judge_that_fails_or_mumbles_is_a_failure_and_asked_again(tmp_path: Path) -> None:
    task, config = judged_task("1", "2"), RunConfig(out=tmp_path, model="m")
    examinee = says({"1": "canine", "2": "hound"})

    def mumbles(body: dict[str, Any]) -> Any:
        return (400, "no", {}) if "canine" in body["messages"][0]["content"] else "Hard to say."

    with serving(mumbles) as server, client(server.url) as asker:
        result = evaluate(task, examinee, config, judge=lambda: Judge(asker))
    errors = sorted(failure["error"] for failure in result["failed"])
    assert errors[0].startswith("judge: ") and "its verdict says nothing: 'Hard to say.'" in " ".join(errors)
    assert result["rows"]["model"]["all"]["n"] == 0
    with serving(lambda _body: "yes") as server, client(server.url) as asker:
        result = evaluate(task, says({}), config, judge=lambda: Judge(asker))
    assert result["failed"] == [] and result["rows"]["model"]["all"]["mean"] == 1, "no question was asked again"


def test_a_judge_that_is_gone_leaves_the_answers_for_later(tmp_path: Path) -> None:
    task, config = judged_task("1", "2"), RunConfig(out=tmp_path, model="m")
    examinee = says({"1": "canine", "2": "a dog"})
    with pytest.raises(UserError, match="cannot be reached"):
        evaluate(task, examinee, config, judge=lambda: Judge(client("http://127.0.0.1:9/v1")))
    with pytest.raises(UserError, match="answers and verdicts are kept"):  # named, so it is asked at once
        evaluate(task, examinee, config, judge=lambda: Judge(client("http://127.0.0.1:9/v1", model="x", tries=1)))
    assert len(read_row(tmp_path, "model")) == 2
    (tmp_path / "settings.json").write_text((tmp_path / "settings.json").read_text().replace('"x"', '"fake"'))
    with serving(lambda _body: "yes") as server, client(server.url) as asker:
        result = evaluate(task, says({}), config, judge=lambda: Judge(asker))
        assert len(server.bodies) == 1
    assert result["rows"]["model"]["all"]["mean"] == 1 and result["settings"]["judge"] == {"model": "fake"}
    assert evaluate(task, says({}), config) == result, "a call without a judge takes nothing away"
    with pytest.raises(UserError, match=r"other settings \(judge\)"):
        evaluate(task, says({}), config, judge=lambda: Judge(client("http://127.0.0.1:9/v1", model="other")))


def test_a_run_without_a_judge_gets_one_later(tmp_path: Path) -> None:
    task, config = judged_task("1"), RunConfig(out=tmp_path, model="m")
    before = evaluate(task, says({"1": "canine"}), config)
    assert before["rows"]["model"]["all"]["mean"] == 0 and "judge" not in before["settings"]
    with serving(lambda _body: "yes") as server, client(server.url) as asker:
        after = evaluate(task, says({}), config, judge=lambda: Judge(asker))
    assert after["rows"]["model"]["all"]["mean"] == 1 and after["notes"] == []


def test_a_server_that_goes_away_stops_the_run_and_keeps_what_was_answered(tmp_path: Path) -> None:
    items = [question(f"{number}", [], f"{number}?") for number in range(6)]
    config = RunConfig(out=tmp_path, model="fake")
    gone = client("http://127.0.0.1:9/v1", model="fake", tries=1)
    asked: list[str] = []
    with serving(lambda body: asked.append(str(body)) or "yes") as server, client(server.url) as asker:
        examinee = endpoint_examinee(asker, {}, "frames", 1)
        evaluate(Task("t", items[:3], short), examinee, RunConfig(out=tmp_path / "three", model="fake"))
        with pytest.raises(UserError, match="the answers so far are kept, and the same call goes on"):
            evaluate(Task("t", items, short), endpoint_examinee(gone, {}, "frames", 2), config)
    assert len(asked) == 3 and read_row(tmp_path, "model") == {}, "nobody's failure is noted as a question's"


@pytest.mark.parametrize(
    "said",
    [(500, "x", {}), (404, "no such path", {}), (401, "no key", {}), (418, "", {}), 7, {"a": 1}, [{"type": "image"}]],
)
def test_a_server_that_answers_nonsense_fails_each_question_in_one_line(said: Any, tmp_path: Path) -> None:
    with serving(lambda _body: said) as server, client(server.url, tries=1) as asker:
        examinee = endpoint_examinee(asker, {}, "frames", 2)
        result = evaluate(Task("t", [question("1", [])], short), examinee, RunConfig(out=tmp_path, model="fake"))
    [failure] = result["failed"]
    assert server.url in failure["error"] and "\n" not in failure["error"]


def test_a_score_of_a_judge_counts_like_any_other() -> None:
    item = question("1", [], truth="a dog")
    verdict = right_or_wrong(item, "a hound")
    assert verdict.score("yes") == Score(1.0, "a hound") and verdict.score("No.") == Score(0.0, "a hound")
    assert verdict.score("perhaps") is None and "True answer: a dog" in verdict.prompt


def test_an_answer_in_parts_is_their_text(tmp_path: Path) -> None:
    said: Any = [{"type": "text", "text": "y"}, {"type": "text", "text": "es"}]
    with serving(lambda _body: said) as server, client(server.url) as asker:
        examinee = endpoint_examinee(asker, {}, "frames", 2)
        evaluate(Task("t", [question("1", [])], short), examinee, RunConfig(out=tmp_path, model="fake"))
    assert read_row(tmp_path, "model")["1"].answer == "yes"


@contextmanager
def serve_process(model: Path) -> Iterator[str]:
    """`vl3 serve`, and where it answers."""
    command = [sys.executable, "-m", "vl3", "serve", "--model", str(model), "--port", "0", "--dtype", "float32"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split(" at ")[1].split()[0] + "/v1"
        process.kill()


@pytest.mark.slow
def test_vl3_serve_gives_the_scores_of_the_model_itself(tmp_path: Path) -> None:
    """Held-out questions of every medium, answered in this process and by the server: the same answers and scores."""
    model, data, own = tmp_path / "model", tmp_path / "data", tmp_path / "own"
    save_demo_model(model)
    pictures, clips = Writer(data, "scenes"), Writer(data, "clips")
    lines = []
    for index, colour in enumerate(("red", "green", "blue")):
        questions = [Question("colour", "Which colour?", f"{colour}."), Question("name", "What is it?", "A square.")]
        lines.append(pictures.line(index, Sample(questions, [Image.new("RGB", (60, 40), colour)])))
    (data / "scenes.jsonl").write_text("\n".join(lines))
    clip = Clip(np.random.default_rng(0).integers(0, 256, (16, 32, 48, 3), dtype=np.uint8))
    asked_of_clip = [Question("when", "When?", "from 0.0 to 1.0 seconds"), Question("yes_no", "Does it move?", "yes")]
    (data / "clips.jsonl").write_text(clips.line(0, Sample(asked_of_clip, clip=clip)))
    options: Options = {"max_new_tokens": 8, "max_tokens": 64, "fps": 2, "max_frames": 6}
    task = nano(data)
    assistant = load(model, dtype="float32")
    evaluate(task, model_examinee(assistant, 4, options), RunConfig(out=own, model="demo", options=options))
    assistant.close()
    with serve_process(model) as url, client(url) as asker:
        examinee = endpoint_examinee(asker, options, "url", 3)
        evaluate(task, examinee, RunConfig(out=tmp_path / "served", model="demo", options=options))
    ours, theirs = (read_row(folder, "model") for folder in (own, tmp_path / "served"))
    assert {id_: found.answer for id_, found in ours.items()} == {id_: found.answer for id_, found in theirs.items()}
    assert len(ours) == 8 and comparison(read_run(own), read_run(tmp_path / "served")).count("| equal |") == 5
