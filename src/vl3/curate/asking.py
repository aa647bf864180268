"""Asking a model about many things, again where something is wrong with an answer, and never twice for the same answer.

Every answer is in the journal, with its tokens, before the next one is taken.
"""

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vl3.curate.journal import Journal, fingerprint
from vl3.curate.writer import Request, Write, WriterConfig, opened
from vl3.errors import UserError

if TYPE_CHECKING:
    from vl3.generate import Options


@dataclass(frozen=True)
class Ask:
    """Something to ask about a row."""

    id: str
    request: Request


@dataclass(frozen=True)
class Judged:
    """An answer."""

    text: str
    """The last one, empty if there is none."""
    trouble: str | None
    """What is wrong with it, or why there is none; None for a good one."""


@dataclass(frozen=True)
class Usage:
    """What answers have taken so far."""

    replies: int
    prompt_tokens: int
    completion_tokens: int
    cost: float
    """In the currency of the recipe's prices."""

    def __str__(self) -> str:
        cost = f", cost {self.cost:.4g}" if self.cost else ""
        return f"{self.replies:,} replies, {self.prompt_tokens:,} tokens read, {self.completion_tokens:,} written{cost}"


Judge = Callable[[str, str], Judged]
"""(text, finish reason) -> the answer taken from it."""


class Asker:
    """A writer with its journal, open for as long as this object lives."""

    def __init__(self, config: WriterConfig, folder: Path) -> None:
        """Loads the model or finds the server. UserError if it cannot, or if the journal's folder cannot be written."""
        self.config = config
        opened_here = ExitStack()
        weakref.finalize(self, opened_here.close)
        self._journal = opened_here.enter_context(Journal(folder))
        self._write = opened_here.enter_context(opened(config))

    def __call__(self, asks: Sequence[Ask], judge: Judge) -> list[Judged]:
        """See `ask`."""
        return ask(asks, self.config, self._write, self._journal, judge)


def ask(
    asks: Sequence[Ask],
    config: WriterConfig,
    write: Write,
    journal: Journal,
    judge: Judge,
) -> list[Judged]:
    """An answer for each, of those that nothing is wrong with if the model ever writes one.

    UserError where the model cannot be asked at all, or when the money is spent; what has been written is kept.
    """
    results: dict[int, Judged] = {}
    spent = usage(journal.values(), config).cost
    waiting = list(range(len(asks)))
    for attempt in range(config.attempts):
        requests = [_again(asks[number].request, attempt, config) for number in waiting]
        keys = [_key(asks[number], request, config) for number, request in zip(waiting, requests, strict=True)]
        new = [place for place, key in enumerate(keys) if key not in journal]
        failed = set()
        if new:
            _check_cost(spent, config)
        for num_done, (answered, said) in enumerate(write([requests[place] for place in new]), 1):
            place = new[answered]
            if isinstance(said, UserError):
                results[waiting[place]] = Judged("", f"failed: {said}")
                failed.add(waiting[place])
            else:
                journal.add(keys[place], asdict(said) | {"id": asks[waiting[place]].id, "attempt": attempt})
                spent += _cost(said.prompt_tokens, said.completion_tokens, config)
                if config.max_cost is not None and not said.prompt_tokens:
                    raise UserError(
                        f"{config.endpoint or config.model}: its answers do not say how many tokens they took, so that "
                        "max_cost cannot be kept: take max_cost out of the recipe, or ask another server"
                    )
            if num_done < len(new):
                _check_cost(spent, config)
        for number, key in zip(waiting, keys, strict=True):
            if key in journal:
                results[number] = _judged(journal[key], judge)
        waiting = [number for number in waiting if results[number].trouble and number not in failed]
    return [results[number] for number in range(len(asks))]


def usage(replies: Iterable[Mapping[str, Any]], config: WriterConfig) -> Usage:
    """What the replies of a journal took, those that were refused too."""
    num_replies = read = written = 0
    for reply in replies:
        num_replies += 1
        read += reply["prompt_tokens"]
        written += reply["completion_tokens"]
    return Usage(num_replies, read, written, _cost(read, written, config))


def _again(request: Request, attempt: int, config: WriterConfig) -> Request:
    """Greedy at first, then drawn."""
    drawn: Options = {"temperature": config.temperature, "seed": attempt}
    return Request(request.messages, request.options | drawn) if attempt else request


def _key(one: Ask, request: Request, config: WriterConfig) -> str:
    """What decides a reply."""
    return fingerprint(one.id, request.messages, dict(request.options), config.model, config.endpoint)


def _judged(entry: Mapping[str, Any], judge: Judge) -> Judged:
    text = entry["text"].encode("utf-8", "replace").decode()  # halves of surrogate pairs go into no file
    return judge(text.strip(), entry["finish_reason"])


def _cost(prompt_tokens: int, completion_tokens: int, config: WriterConfig) -> float:
    return (prompt_tokens * config.prompt_price + completion_tokens * config.completion_price) / 1e6


def _check_cost(spent: float, config: WriterConfig) -> None:
    if config.max_cost is not None and spent >= config.max_cost:
        raise UserError(
            f"answers have cost {spent:.4g} and max_cost is {config.max_cost:g}: raise it and call again to go on; "
            "what has been written is kept"
        )
