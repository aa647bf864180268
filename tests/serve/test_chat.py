"""Chat completions, asked by the official client; the answers are those of the Python API."""

import base64
import json
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.serve.asking import data_url, image, png, user, video
from tests.serve.running import MODEL, Running
from tests.tiny import tiny_checkpoint
from vl3.generate import Assistant
from vl3.media import Decoder

SCHEMA = {
    "type": "object",
    "properties": {"count": {"type": "integer", "minimum": 0, "maximum": 99}, "colour": {"enum": ["red", "blue"]}},
    "required": ["count", "colour"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def assistant() -> Any:
    with Decoder(time_limit_s=20) as decoder:
        yield Assistant(tiny_checkpoint(), decoder)


def ask(client: openai.OpenAI, *parts: Any, **options: Any) -> Any:
    return client.chat.completions.create(model=MODEL, messages=[user(*parts)], **{"max_tokens": 12, **options})


def test_text_image_and_turns_as_the_python_api_answers(client: openai.OpenAI, assistant: Assistant) -> None:
    theirs = [
        {"role": "system", "content": "Be brief."},
        user(image(3), image(4), "What do they share?"),
        {"role": "assistant", "content": "Squares."},
        user("How many?"),
    ]
    said = client.chat.completions.create(model=MODEL, messages=theirs, max_tokens=20)  # type: ignore[call-overload]
    ours = assistant.chat(theirs, max_new_tokens=20)
    choice = said.choices[0]
    assert choice.message.content == ours.text
    assert choice.message.role == "assistant"
    assert choice.finish_reason == ours.finish_reason
    assert said.object == "chat.completion"
    assert said.model == MODEL
    assert said.usage.prompt_tokens == ours.num_prompt_tokens
    assert said.usage.completion_tokens == ours.num_generated_tokens == 20
    assert said.usage.total_tokens == ours.num_prompt_tokens + 20


def test_video_frames_clip_and_pruning(client: openai.OpenAI, assistant: Assistant, folder: Path) -> None:
    """The clip has 16 frames in four seconds."""
    clip = video(folder / "clip.mp4")
    said = ask(client, clip, "What happens?", extra_body={"fps": 4, "start": 1, "end": 3, "prune": "keep=0.5"})
    ours = assistant.ask(
        folder / "clip.mp4", "What happens?", fps=4, start_s=1, end_s=3, prune="keep=0.5", max_new_tokens=12
    )
    assert said.choices[0].message.content == ours.text
    assert said.vl3["frame_times_s"] == ours.frame_times_s == [[1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75]]
    details = said.usage.prompt_tokens_details
    assert details.visual_tokens == ours.num_visual_tokens
    assert details.visual_tokens_before_pruning == ours.num_visual_tokens_unpruned == 2 * ours.num_visual_tokens

    few = ask(client, clip, "What happens?", extra_body={"fps": 4, "max_frames": 3})
    assert len(few.vl3["frame_times_s"][0]) == 3
    evenly = ask(client, video(folder / "clip.mp4", num_frames=2), image(1), "?", extra_body={"fps": 4})
    assert [len(times) for times in evenly.vl3["frame_times_s"]] == [2, 1]
    small = ask(client, clip, "?", extra_body={"max_visual_tokens": 64})
    ours = assistant.ask(folder / "clip.mp4", "?", max_tokens=64, max_new_tokens=1)
    assert small.usage.prompt_tokens_details.visual_tokens_before_pruning == ours.num_visual_tokens_unpruned < 100
    rule = ask(client, clip, "?", extra_body={"sampling": "transformers", "fps": 1})
    assert len(rule.vl3["frame_times_s"][0]) == 4


@pytest.mark.parametrize("form", ["url", "string", "input_image", "input_video", "file_data", "path", "file_url"])
def test_every_form_of_a_medium(client: openai.OpenAI, folder: Path, form: str) -> None:
    clip = folder / "clip.mp4"
    raw = base64.b64encode(clip.read_bytes()).decode()
    part = {
        "url": {"type": "image_url", "image_url": {"url": data_url(png()), "detail": "low"}},
        "string": {"type": "image_url", "image_url": data_url(png())},
        "input_image": {"type": "input_image", "image_url": data_url(png())},
        "input_video": {"type": "input_video", "input_video": {"data": raw, "format": "mp4"}},
        "file_data": {"type": "file", "file": {"file_data": f"data:video/mp4;base64,{raw}", "filename": "clip.mp4"}},
        "path": {"type": "video_url", "video_url": {"url": "clip.mp4"}},
        "file_url": {"type": "video_url", "video_url": {"url": f"file://{clip}", "fps": 1}},
    }[form]
    said = ask(client, part, "?", max_tokens=2)
    assert len(said.vl3["frame_times_s"][0]) == (1 if "im" in form or form in ("url", "string") else 4)


def test_streaming_gives_the_same_text(client: openai.OpenAI) -> None:
    whole = ask(client, image(), "Describe it.", max_tokens=30)
    stream = ask(client, image(), "Describe it.", max_tokens=30, stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert len(chunks) > 5
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"
    assert chunks[-1].usage == whole.usage
    assert chunks[-1].choices == []
    assert len({chunk.id for chunk in chunks}) == 1


def test_seed_temperature_and_n(client: openai.OpenAI) -> None:
    def texts(seed: int, n: int) -> list[str]:
        options: dict[str, Any] = {"temperature": 1, "top_p": 0.95, "seed": seed, "n": n, "max_tokens": 16}
        said = ask(client, "Say something.", extra_body={"top_k": 50, "min_p": 0.001}, **options)
        assert [choice.index for choice in said.choices] == list(range(n))
        return [choice.message.content for choice in said.choices]

    three = texts(7, 3)
    assert texts(7, 3) == three
    assert len(set(three)) == 3
    assert texts(8, 1) == three[1:2]  # each further answer has the next seed
    stream = ask(client, "Say something.", temperature=1, top_p=0.95, seed=7, n=3, max_tokens=16, stream=True,
                 extra_body={"top_k": 50, "min_p": 0.001})  # fmt: skip
    streamed = ["", "", ""]
    for chunk in stream:
        for choice in chunk.choices:
            streamed[choice.index] += choice.delta.content or ""
    assert streamed == three


def test_stop_strings(client: openai.OpenAI) -> None:
    whole = ask(client, "hello", max_tokens=40).choices[0].message.content
    stop = whole[5:7]
    said = ask(client, "hello", max_tokens=40, stop=[stop]).choices[0]
    assert said.message.content == whole[: whole.index(stop)]
    assert said.finish_reason == "stop"
    assert ask(client, "hello", max_tokens=40, stop=stop).choices[0].message.content == said.message.content


def test_max_tokens(client: openai.OpenAI) -> None:
    assert ask(client, "hello", max_tokens=3).usage.completion_tokens == 3
    newer = client.chat.completions.create(model=MODEL, messages=[user("hello")], max_completion_tokens=4)
    assert newer.usage is not None
    assert newer.usage.completion_tokens == 4


def test_logprobs(client: openai.OpenAI) -> None:
    """Greedy: the drawn token is the likeliest; its neighbours are in order; the text is theirs."""
    said = ask(client, "hello", max_tokens=8, logprobs=True, top_logprobs=3).choices[0]
    tokens = said.logprobs.content
    assert len(tokens) == 8
    for token in tokens:
        assert len(token.top_logprobs) == 3
        assert token.top_logprobs[0].logprob == token.logprob <= 0
        ordered = [top.logprob for top in token.top_logprobs]
        assert ordered == sorted(ordered, reverse=True)
    streamed = list(ask(client, "hello", max_tokens=8, logprobs=True, stream=True))
    again = [t for c in streamed for choice in c.choices if choice.logprobs for t in choice.logprobs.content]
    assert [token.token for token in again] == [token.token for token in tokens]
    assert ask(client, "hello", max_tokens=2).choices[0].logprobs is None


@pytest.mark.parametrize("temperature", [0, 1])
def test_json_schema(client: openai.OpenAI, temperature: int) -> None:
    """A random model could not satisfy a schema by itself."""
    format_ = {"type": "json_schema", "json_schema": {"name": "scene", "schema": SCHEMA, "strict": True}}
    for seed in range(3):
        said = ask(
            client, image(), "Count.", max_tokens=60, temperature=temperature, seed=seed, response_format=format_
        )
        found = json.loads(said.choices[0].message.content)
        assert said.choices[0].finish_reason == "stop"
        assert set(found) == {"count", "colour"}
        assert 0 <= found["count"] <= 99
        assert found["colour"] in ("red", "blue")


def test_json_object(client: openai.OpenAI) -> None:
    said = ask(client, "Anything.", max_tokens=30, response_format={"type": "json_object"}).choices[0]
    assert said.message.content.startswith("{")


def test_pydantic_models_are_parsed(client: openai.OpenAI) -> None:
    from pydantic import BaseModel

    class Scene(BaseModel):
        inside: bool
        door: bool

    said = client.chat.completions.parse(model=MODEL, messages=[user("?")], max_tokens=60, response_format=Scene)
    assert isinstance(said.choices[0].message.parsed, Scene)


async def _asked_at_once(url: str) -> list[str]:
    import asyncio

    client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    questions = [
        client.chat.completions.create(model=MODEL, messages=[user(image(i), "?")], max_tokens=10) for i in range(6)
    ]
    said = await asyncio.gather(*questions)
    return [answer.choices[0].message.content for answer in said]


def test_side_by_side_each_gets_its_own(server: Running, client: openai.OpenAI) -> None:
    import asyncio

    alone = [ask(client, image(i), "?", max_tokens=10).choices[0].message.content for i in range(6)]
    assert asyncio.run(_asked_at_once(server.url)) == alone


def test_completions(client: openai.OpenAI) -> None:
    said = client.completions.create(model=MODEL, prompt=["one", "two"], n=2, max_tokens=5, logprobs=2, temperature=0)
    assert [choice.index for choice in said.choices] == [0, 1, 2, 3]
    assert said.choices[0].text == said.choices[1].text != said.choices[2].text
    logprobs = said.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.tokens is not None
    assert len(logprobs.tokens) == 5
    assert said.usage is not None
    assert said.usage.completion_tokens == 20
    chat = ask(client, "one", max_tokens=5)
    assert chat.choices[0].message.content == said.choices[0].text
    assert 2 * chat.usage.prompt_tokens == said.usage.prompt_tokens
    chunks = list(client.completions.create(model=MODEL, prompt="one", max_tokens=5, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == said.choices[0].text
    assert chunks[-1].choices[0].finish_reason == "length"


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).owned_by == "vl3"
    with pytest.raises(openai.NotFoundError, match="there is no model 'gpt-4o' here, only 'tiny'"):
        client.models.retrieve("gpt-4o")
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=[user("hi")])
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 3}, "temperature: Input should be less than or equal to 2"),
        ({"n": 9}, "n: Input should be less than or equal to 8"),
        ({"max_tokens": 0}, "max_tokens: .*greater than or equal to 1"),
        ({"top_p": 0}, "top_p"),
        ({"extra_body": {"tempratur": 1}}, "tempratur: Extra inputs are not permitted"),
        ({"extra_body": {"prune": "much"}}, "prune"),
        ({"extra_body": {"max_frames": 10_000}}, "max_frames: at most 180 here"),
        ({"extra_body": {"max_visual_tokens": 10_000}}, "max_visual_tokens: at most 400 here"),
        ({"extra_body": {"fps": 1e-320}}, "fps"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools: not supported here; leave it out"),
        ({"extra_body": {"start": 3, "end": 2}}, r"end \(2\) must come after start \(3\)"),
        ({"frequency_penalty": 1}, "frequency_penalty"),
        ({"top_logprobs": 2}, "top_logprobs needs logprobs"),
        ({"stop": ""}, "stop"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "x"}}}}, "schema"),
    ],
)
def test_absurd_options_are_named(client: openai.OpenAI, options: dict[str, Any], message: str) -> None:
    with pytest.raises(openai.BadRequestError, match=message):
        ask(client, "hi", **options)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"type": "image_url", "image_url": {"url": data_url(b"no image")}}, "<data URL>: not a readable image or vid"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%"}}, "not valid base64"),
        ({"type": "audio", "audio": {}}, r"messages.0.content.0: .*does not match any of the expected tags"),
        ({"type": "input_video", "input_video": {}}, "needs exactly one of data, url, file_id"),
        (
            {"type": "file", "file": {"file_id": "file-0", "start": 3, "end": 2}},
            r"content.0.*: end \(2\) must",
        ),
        ({"type": "file", "file": {"file_id": "file-" + "0" * 32}}, "no such file; it may have expired"),
        ({"type": "file", "file": {"file_id": "../../etc/passwd"}}, "no such file"),
    ],
)
def test_bad_media_are_named(client: openai.OpenAI, part: dict[str, Any], message: str) -> None:
    for stream in (False, True):  # a stream that cannot begin fails like any request
        with pytest.raises(openai.BadRequestError, match=message):
            ask(client, part, "?", stream=stream)


def test_too_long_a_prompt(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match=r"the prompt has 50.. tokens"):
        ask(client, "x" * 5000)
    with pytest.raises(openai.BadRequestError, match="characters of text are more than the model can read"):
        ask(client, "x" * 300_000)
    with pytest.raises(openai.BadRequestError, match="40 images and videos; a request may hold 32"):
        ask(client, *[image()] * 40, "?")
