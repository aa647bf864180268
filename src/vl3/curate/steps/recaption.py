"""recaption: captions for images or clips, written by a model and checked (arXiv 2501.13106, section 4.1).

The paper has a short and a detailed caption written of each picture, by two models: two steps of this kind.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from vl3.config import Count, configclass
from vl3.curate.asking import Ask, Asker, Judge, Judged, usage
from vl3.curate.caption_checks import CaptionChecks, complaint
from vl3.curate.journal import read_journal
from vl3.curate.media import PLACE, source_of
from vl3.curate.step import Found, Place, Rows, RowStep, Type
from vl3.curate.writer import Request, WriterConfig
from vl3.errors import UserError
from vl3.media.info import Kind

if TYPE_CHECKING:
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
"""The paper does not print its prompts."""
MAX_NEW_TOKENS = {"short": 96, "detailed": 512}
NUM_WORDS = {"short": (3, 60), "detailed": (15, 400)}
"""Least and most words of a caption."""


@configclass
class RecaptionConfig:
    """What is asked and what is taken for a caption."""

    of: Kind = "image"
    """`image`, or `video`: clips between their `start_s` and `end_s`, whole videos where these are not set."""
    length: Literal["short", "detailed"] = "short"
    """Which of the paper's two captions; decides what is not given below."""
    column: str = ""
    """Where captions go: by default `caption_short` or `caption_detailed`, by length."""
    writer: WriterConfig = WriterConfig()
    """Who writes."""
    prompt: str = ""
    """What is asked, empty for the default of `length`; {text} in it becomes the text that the row has."""
    max_new_tokens: Count | None = None
    """Most tokens of a caption: 96 short, 512 detailed."""
    max_visual_tokens: Count | None = None
    """Most visual tokens of a request; None leaves it to the model."""
    fps: Annotated[float, Field(gt=0, le=1000)] = 1.0
    """Frames a second of a clip that the model sees."""
    max_frames: Count = 16
    """Most frames of a clip."""
    checks: CaptionChecks | None = None
    """When a caption is refused, and with it the row; None takes the defaults with 3 to 60 words for a short one, 15
    to 400 for a detailed one."""

    @property
    def to(self) -> str:
        """The column in force."""
        return self.column or f"caption_{self.length}"

    @property
    def all_checks(self) -> CaptionChecks:
        """The checks in force."""
        least, most = NUM_WORDS[self.length]
        return self.checks or CaptionChecks(min_words=least, max_words=most)


def recaption_step(config: RecaptionConfig) -> RowStep:
    """Writes the caption's column; a row without a good caption is dropped, with the last one kept to be seen."""

    def start(place: Place) -> Callable[[Rows], Found]:
        return partial(recaption, config, Asker(config.writer, replies_of(place, config)))

    def notes(place: Place) -> list[str]:
        replies = (entry.value for entry in read_journal(replies_of(place, config)))
        return [str(usage(replies, config.writer))]

    inputs = (*PLACE, "text", "start_s", "end_s")
    outputs: dict[str, Type] = {config.to: "string"}
    return RowStep(
        inputs, outputs, start, config.of, notes, heavy=True, files=config.writer.files, ready=config.writer.ready
    )


def replies_of(place: Place, config: RecaptionConfig) -> Path:
    """The folder of the journal, which outlives a change of settings."""
    return place.output / "replies" / config.to


def recaption(config: RecaptionConfig, asker: Callable[[Sequence[Ask], Judge], list[Judged]], rows: Rows) -> Found:
    """A caption for each row, or the reason why there is none."""
    captions: list[str | None] = [None] * len(rows["id"])
    reasons: list[str | None] = [None] * len(captions)
    asks: dict[int, Ask] = {}
    for number in range(len(captions)):
        try:
            asks[number] = _ask(config, rows, number)
        except UserError as error:  # its archive is gone
            reasons[number] = str(error)
    for number, one in zip(asks, asker(list(asks.values()), partial(_judge, config)), strict=True):
        captions[number], reasons[number] = one.text or None, one.trouble and f"caption {one.trouble}"
    return Found({config.to: captions}, reasons)


def _judge(config: RecaptionConfig, text: str, finish_reason: str) -> Judged:
    caption = " ".join(text.split()) if config.length == "short" else text
    return Judged(caption, complaint(caption, finish_reason, config.all_checks))


def _ask(config: RecaptionConfig, rows: Rows, number: int) -> Ask:
    part: dict[str, Any] = {"type": config.of, config.of: source_of(rows, number)}
    if config.of == "video":
        part |= {"fps": config.fps, "max_frames": config.max_frames}
        part |= {key: rows[key][number] for key in ("start_s", "end_s") if rows[key][number] is not None}
    prompt = (config.prompt or PROMPTS[config.of, config.length]).replace("{text}", rows["text"][number] or "")
    options: Options = {"max_new_tokens": config.max_new_tokens or MAX_NEW_TOKENS[config.length]}
    if config.max_visual_tokens is not None:
        options["max_tokens"] = config.max_visual_tokens
    content = [part, {"type": "text", "text": prompt}]
    return Ask(rows["id"][number], Request([{"role": "user", "content": content}], options))
