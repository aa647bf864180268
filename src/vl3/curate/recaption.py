"""Captions for images and clips, written by a model and checked; resumable to the sample (paper, section 4.1).

A row is asked about greedily, and again with sampling while something is wrong with its caption, up to `attempts`
times. Every reply is in the journal before the next step of work, with its tokens.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from vl3.config import Count, configclass
from vl3.curate.caption_checks import CaptionChecks, complaint
from vl3.curate.captioner import Captioner, Request
from vl3.curate.journal import Journal, fingerprint
from vl3.errors import UserError
from vl3.generate import Options

PROMPTS = {
    ("image", "short"): "Describe this image in one sentence.",
    ("video", "short"): "Describe what happens in this video in one sentence.",
    (
        "image",
        "detailed",
    ): "Describe this image in detail: what it shows, how things look and where they are, what they "
    "are doing, the words that can be read, and the surroundings. Say only what can be seen.",
    ("video", "detailed"): "Describe this video in detail: who and what is in it, what happens, in order, how the "
    "camera moves, the words that can be read, and the surroundings. Say only what can be seen.",
}
"""The paper has a short and a detailed caption written of each picture; it does not print its prompts."""
MAX_NEW_TOKENS = {"short": 96, "detailed": 512}
MAX_WORDS = {"short": 60, "detailed": 400}
MIN_WORDS = {"short": 3, "detailed": 15}


@configclass
class RecaptionConfig:
    """Who writes captions, what is asked and what is taken for an answer."""

    length: Literal["short", "detailed"] = "short"
    """Which of the paper's two captions; decides what is not given below."""
    model: str = "nano"
    """A checkpoint (hub id or folder); with an endpoint its name there, empty for the first it lists."""
    endpoint: str = ""
    """URL of an OpenAI-compatible server, up to /v1; its key is read from VL3_CAPTION_KEY or OPENAI_API_KEY."""
    prompt: str = ""
    """What is asked, empty for the default of `length`; {text} in it becomes the text that the row has."""
    max_new_tokens: Count | None = None
    """Most tokens of a caption."""
    fps: float = 1.0
    """Frames a second of a clip that the model sees."""
    max_frames: Count = 16
    """Most frames of a clip."""
    max_visual_tokens: Count | None = None
    """Most visual tokens of a request; None leaves it to the model."""
    num_parallel: Count = 8
    """Requests that are answered side by side."""
    attempts: Count = 2
    """How often a row is asked about until nothing is wrong with its caption; the first time greedily."""
    temperature: float = 0.7
    """Of the further attempts."""
    checks: CaptionChecks | None = None
    """When a caption is refused; None takes the defaults with limits of words that go with `length`."""
    prompt_price: float = 0.0
    """What a million tokens of prompts cost, in any currency."""
    completion_price: float = 0.0
    """What a million tokens of captions cost."""
    max_cost: float | None = None
    """What all captions of this step may cost; it stops before it spends more."""

    @property
    def all_checks(self) -> CaptionChecks:
        """The checks in force."""
        return self.checks or CaptionChecks(min_words=MIN_WORDS[self.length], max_words=MAX_WORDS[self.length])


@dataclass(frozen=True)
class Target:
    """What is to be described."""

    id: str
    source: str | bytes
    """A path, a URL, or the bytes of an image."""
    kind: Literal["image", "video"] = "image"
    start_s: float | None = None
    """Begin of the part of a video, in seconds."""
    end_s: float | None = None
    text: str = ""
    """What the row says of it already."""


@dataclass(frozen=True)
class Captioned:
    """What was written about a target."""

    text: str
    """The last caption, empty if there is none."""
    trouble: str | None
    """What is wrong with it, or why there is none; None for a good caption."""


@dataclass(frozen=True)
class Usage:
    """What captions have taken so far."""

    replies: int
    prompt_tokens: int
    completion_tokens: int
    cost: float
    """In the currency of the recipe's prices."""

    def __str__(self) -> str:
        cost = f", cost {self.cost:.4g}" if self.cost else ""
        return f"{self.replies:,} replies, {self.prompt_tokens:,} tokens read, {self.completion_tokens:,} written{cost}"


def recaption(
    targets: Sequence[Target],
    config: RecaptionConfig,
    write: Captioner,
    journal: Journal,
    on_reply: Callable[[], None] = lambda: None,
) -> list[Captioned]:
    """A caption for each target, of those that nothing is wrong with if the model ever writes one.

    on_reply is told of each reply. UserError where the model cannot be asked at all, or when the money is spent; what
    has been written is kept.
    """
    results: dict[int, Captioned] = {}
    spent = usage(journal, config).cost
    waiting = list(range(len(targets)))
    for attempt in range(config.attempts):
        asked = []
        for number in waiting:
            key = _key(targets[number], config, attempt)
            if key in journal:
                results[number] = _judged(journal[key], config)
            else:
                asked.append((number, key))
        failed = set()
        if asked:
            _check_cost(spent, config)
        replies = write([_request(targets[number], config, attempt) for number, _ in asked])
        for num_done, (place, said) in enumerate(replies, 1):
            number, key = asked[place]
            if isinstance(said, UserError):
                results[number] = Captioned("", f"failed: {said}")
                failed.add(number)
            else:
                entry = asdict(said) | {"id": targets[number].id, "attempt": attempt}
                journal.add(key, entry)
                results[number] = _judged(entry, config)
                spent += _cost(said.prompt_tokens, said.completion_tokens, config)
            on_reply()
            if num_done < len(asked):
                _check_cost(spent, config)
        waiting = [number for number in waiting if results[number].trouble and number not in failed]
    return [results[number] for number in range(len(targets))]


def usage(journal: Journal, config: RecaptionConfig) -> Usage:
    """What the replies of a journal took, those that were refused too."""
    read = sum(entry["prompt_tokens"] for entry in journal.values())
    written = sum(entry["completion_tokens"] for entry in journal.values())
    return Usage(len(journal), read, written, _cost(read, written, config))


def _cost(prompt_tokens: int, completion_tokens: int, config: RecaptionConfig) -> float:
    return (prompt_tokens * config.prompt_price + completion_tokens * config.completion_price) / 1e6


def _check_cost(spent: float, config: RecaptionConfig) -> None:
    if config.max_cost is not None and spent >= config.max_cost:
        raise UserError(
            f"captions have cost {spent:.4g} and max_cost is {config.max_cost:g}: raise it and call again to go on; "
            "what has been written is kept"
        )


def _judged(entry: Mapping[str, Any], config: RecaptionConfig) -> Captioned:
    text = entry["text"].encode("utf-8", "replace").decode()  # halves of surrogate pairs go into no file
    text = " ".join(text.split()) if config.length == "short" else text.strip()
    return Captioned(text, complaint(text, entry["finish_reason"], config.all_checks))


def _key(target: Target, config: RecaptionConfig, attempt: int) -> str:
    """What decides a reply."""
    asked = _request(target, config, attempt)
    where = (target.id, target.source, target.start_s, target.end_s)
    return fingerprint(where, _prompt(target, config), dict(asked.options), config.model, config.endpoint, attempt)


def _request(target: Target, config: RecaptionConfig, attempt: int) -> Request:
    part: dict[str, Any] = {"type": target.kind, target.kind: target.source}
    options: Options = {"max_new_tokens": config.max_new_tokens or MAX_NEW_TOKENS[config.length]}
    if target.kind == "video":
        part |= {"fps": config.fps, "max_frames": config.max_frames}
        part |= {key: at for key, at in (("start_s", target.start_s), ("end_s", target.end_s)) if at is not None}
    if config.max_visual_tokens is not None:
        options["max_tokens"] = config.max_visual_tokens
    if attempt:
        options |= {"temperature": config.temperature, "seed": attempt}
    content = [part, {"type": "text", "text": _prompt(target, config)}]
    return Request([{"role": "user", "content": content}], options)


def _prompt(target: Target, config: RecaptionConfig) -> str:
    return (config.prompt or PROMPTS[target.kind, config.length]).replace("{text}", target.text)
