"""tasks: questions about time, order and content, and narrated streams, from the captions of a video's clips.

Together these are a dense caption of the video. Questions with known answers are built by rule
(`vl3.curate.dense`); with `num_questions`, a language model writes more of them, from the captions alone.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from vl3.config import Count, configclass
from vl3.curate.asking import Ask, Asker, Judge, Judged
from vl3.curate.dense import KINDS, Dense, Event, Kind, dense, questions, samples
from vl3.curate.media import PLACE
from vl3.curate.questions import parse_questions, prompt_for
from vl3.curate.step import WORDS, Found, Place, Pool, PoolStep, Type, refuse_column
from vl3.curate.writer import Request, WriterConfig
from vl3.errors import UserError
from vl3.log import logger

NEIGHBOURS = 50
"""Videos whose events may stand for what does not happen in one."""


@configclass
class TasksConfig:
    """What is built."""

    texts: tuple[str, ...] = ("caption_short",)
    """Columns with what a clip shows; the first that it has a value in."""
    kinds: tuple[Kind, ...] = KINDS
    """`timeline`: all events with their times; `when`: the time of an event; `span`: what happens then; `first`: which
    of two comes first; `next`: what follows; `happens`: yes or no; `stream`: each event told as it ends."""
    max_each: Count = 3
    """Most questions of a kind about one video."""
    num_questions: int = 0
    """Questions that a language model is asked to write about each video."""
    writer: WriterConfig = WriterConfig()
    """That model."""
    prompt: str = ""
    """What it is asked; {notes} and {number} are filled in. Empty for the default."""
    max_new_tokens: Count = 1024
    """Most tokens of its answer."""


def tasks_step(config: TasksConfig) -> PoolStep:
    """Writes `samples`, annotations as JSON without their media, into the row of a video's first clip."""
    inputs = (*PLACE, "start_s", "end_s", *config.texts)

    def ready(columns: Mapping[str, Type]) -> None:
        for column in config.texts:
            refuse_column(columns, column, "texts", WORDS)
        if config.num_questions:
            config.writer.ready()

    files = config.writer.files if config.num_questions else list
    return PoolStep(inputs, {"samples": "list<string>"}, partial(build, config), only="video", files=files, ready=ready)


def build(config: TasksConfig, pool: Pool, place: Place) -> Found:
    """Groups clips by their video. Clips without a text or times are in no question, and counted."""
    rows = pool.read((*PLACE, "start_s", "end_s", *config.texts))
    texts = [next((rows[name][n] for name in config.texts if rows[name][n]), None) for n in range(len(rows["id"]))]
    videos: dict[tuple[Any, ...], list[int]] = {}
    num_silent = 0
    for number, text in enumerate(texts):
        if text and rows["start_s"][number] is not None and rows["end_s"][number] is not None:
            videos.setdefault((rows["path"][number], rows["offset"][number]), []).append(number)
        else:
            num_silent += 1
    if num_silent:
        logger.warning("tasks: %d of %d clips have no text or no times, and are in no question", num_silent, len(texts))
    captions = [
        dense(rows["id"][clips[0]], (Event(rows["start_s"][n], rows["end_s"][n], str(texts[n])) for n in clips))
        for clips in videos.values()
    ]
    written = _written(config, captions, place) if config.num_questions else [None] * len(captions)
    found: list[list[str] | None] = [None] * len(texts)
    for at, (caption, clips, more) in enumerate(zip(captions, videos.values(), written, strict=True)):
        others = [captions[(at + step) % len(captions)] for step in range(1, min(NEIGHBOURS, len(captions)))]
        made = [*samples(caption, others, config.kinds, config.max_each), *([more] if more else [])]
        found[clips[0]] = [json.dumps(_without_media(sample), ensure_ascii=False) for sample in made]
    return Found({"samples": found})


def _without_media(sample: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in sample.items() if key != "video"}


def _written(config: TasksConfig, captions: Sequence[Dense], place: Place) -> list[dict[str, Any] | None]:
    """A sample of the questions that a model wrote about each video; None where it wrote none, which is counted."""
    return written(config, captions, Asker(config.writer, place.output / "replies" / "questions"))


def written(
    config: TasksConfig, captions: Sequence[Dense], asker: Callable[[Sequence[Ask], Judge], list[Judged]]
) -> list[dict[str, Any] | None]:
    """The same, by a given asker."""
    asks = [Ask(one.video, _request(config, one)) for one in captions]
    found = asker(asks, _judge)
    if failed := [one.trouble for one in found if one.trouble]:
        logger.warning("no questions were written about %d of %d videos (%s)", len(failed), len(found), failed[0])
    return [
        None if judged.trouble else questions(one.video, parse_questions(judged.text)[: config.num_questions])
        for one, judged in zip(captions, found, strict=True)
    ]


def _request(config: TasksConfig, one: Dense) -> Request:
    text = prompt_for(one, config.num_questions, config.prompt)
    return Request([{"role": "user", "content": text}], {"max_new_tokens": config.max_new_tokens})


def _judge(text: str, _finish_reason: str) -> Judged:
    try:
        parse_questions(text)
    except UserError as error:
        return Judged(text, str(error))
    return Judged(text, None)
