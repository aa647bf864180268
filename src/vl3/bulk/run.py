"""The run: what has no answer yet is asked, many questions side by side, while the next media are decoded."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from vl3.bulk.output import Output
from vl3.bulk.source import Question, Source
from vl3.chat import Message
from vl3.config import configclass
from vl3.data.schema import writable
from vl3.generate import Answer, Options, Service, Ticket
from vl3.generate.ticket import EngineStopped


@configclass
class RunConfig:
    """What of the questions is asked, and how."""

    options: Options = field(default_factory=lambda: Options())
    """Frames, tokens and decoding, where a line does not say."""
    system: str | None = None
    """System message of conversations that have none."""
    shard: tuple[int, int] | None = None
    """(k, n): every n-th line or file, from the k-th on."""
    retry_failed: bool = False
    """Whether to ask again what failed in an earlier run."""


@dataclass
class Summary:
    """What a run has done."""

    questions: int
    """Of this shard."""
    answered_before: int
    """By earlier runs."""
    failed_before: int
    """In earlier runs, and not asked again."""
    answered: int = 0
    """By this run."""
    failed: int = 0
    """In this run."""
    visual_tokens: int = 0
    """Of this run's answers, after pruning."""
    prompt_tokens: int = 0
    """Of this run's answers, visual tokens included."""
    generated_tokens: int = 0
    """Of this run's answers."""
    seconds: float = 0.0
    """Of this run, without loading the model."""


@dataclass(frozen=True)
class Progress:
    """Who is told how far a run is."""

    start: Callable[[int, int], None] = lambda _done, _total: None
    """(questions with a line before, all of them)."""
    advance: Callable[[], None] = lambda: None
    failed: Callable[[Question, str], None] = lambda _question, _error: None
    """A question and why it has no answer."""


def answer_all(
    service: Service, source: Source, output: Output, config: RunConfig, progress: Progress = Progress()
) -> Summary:
    """Asks all that has no line in the output, and adds one for each in the order in which they end.

    UserError when the output holds answers to other questions. When it is broken off, what was answered stays.
    """
    output.check(source)
    if config.retry_failed:
        output.forget_failures()
    summary = _stand(source, output, config)
    progress.start(summary.answered_before + summary.failed_before, summary.questions)
    start = time.perf_counter()
    numbers = count()  # as ask_all counts
    asked: dict[int, Question] = {}

    def tell(question: Question, found: Answer | Exception) -> None:
        if isinstance(found, Answer):
            output.add(question, _facts(found))
            _count(summary, found)
        else:
            reason = writable(found) or type(found).__name__
            output.add(question, {"error": reason})
            summary.failed += 1
            progress.failed(question, reason)
        progress.advance()

    def requests() -> Iterator[tuple[Sequence[Message], Options]]:
        for question in _part(source, config):
            if question.key in output.known:
                continue
            if isinstance(question.asked, Exception):
                tell(question, question.asked)
                continue
            asked[next(numbers)] = question
            yield _with_system(question.asked, config.system), {**config.options, **question.options}

    for number, ticket in service.ask_all(requests()):
        tell(asked.pop(number), _result(ticket))
    summary.seconds = time.perf_counter() - start
    return summary


def _part(source: Source, config: RunConfig) -> Iterator[Question]:
    """The questions of the shard: a line's or a file's belong together."""
    shard, of = config.shard or (1, 1)
    place: int | str | None = None
    places = -1
    for question in source():
        places += question.place != place
        place = question.place
        if places % of == shard - 1:
            yield question


def _stand(source: Source, output: Output, config: RunConfig) -> Summary:
    """Where the run begins."""
    summary = Summary(questions=0, answered_before=0, failed_before=0)
    for question in _part(source, config):
        known = output.known.get(question.key)
        summary.questions += 1
        summary.answered_before += known is not None and not known.failed
        summary.failed_before += known is not None and known.failed
    return summary


def _result(ticket: Ticket) -> Answer | Exception:
    try:
        return ticket.answer
    except EngineStopped:  # says nothing of this question
        raise
    except Exception as error:
        return error


def _with_system(messages: list[Message], system: str | None) -> list[Message]:
    if not system or messages[0]["role"] == "system":
        return messages
    return [{"role": "system", "content": system}, *messages]


def _facts(answer: Answer) -> dict[str, Any]:
    return {
        "answer": answer.text,
        "finish_reason": answer.finish_reason,
        "prompt_tokens": answer.num_prompt_tokens,
        "visual_tokens": answer.num_visual_tokens,
        "generated_tokens": answer.num_generated_tokens,
        "frame_times_s": [[round(time_s, 3) for time_s in times] for times in answer.frame_times_s],
    }


def _count(summary: Summary, answer: Answer) -> None:
    summary.answered += 1
    summary.visual_tokens += answer.num_visual_tokens
    summary.prompt_tokens += answer.num_prompt_tokens
    summary.generated_tokens += answer.num_generated_tokens
