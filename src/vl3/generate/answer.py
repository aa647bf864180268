"""What comes back: an answer, whole or piece by piece."""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

from tokenizers import Tokenizer
from torch import Tensor

from vl3.errors import UserError
from vl3.generate.engine import Engine
from vl3.generate.options import Settings
from vl3.generate.prepare import Prepared
from vl3.generate.sampling import TokenScores
from vl3.generate.text import TextStream
from vl3.model import KVCache


@dataclass(frozen=True)
class TokenLogprob:
    """A token and the natural logarithm of its probability, before temperature, penalties and constraints."""

    id: int
    text: str
    """Of this token alone; part of a character shows as the replacement character."""
    logprob: float


@dataclass(frozen=True)
class TokenLogprobs(TokenLogprob):
    """A token of an answer, and the likeliest ones at its place."""

    top: list[TokenLogprob]
    """Likeliest first."""


@dataclass(frozen=True)
class Piece:
    """What a step adds to an answer."""

    text: str
    """Possibly none: a character may need several tokens, and what may be a stop string is held back."""
    tokens: list[TokenLogprobs]
    """The tokens, when the request asked for logprobs."""


@dataclass(frozen=True)
class Answer:
    """An answer and what it took. `str(answer)` is its text."""

    text: str
    finish_reason: str
    """"stop" (the model or a stop string ended it) or "length" (max_new_tokens)."""
    num_prompt_tokens: int
    """All tokens of the prompt, visual ones included."""
    num_visual_tokens: int
    """Visual tokens of the prompt, after pruning."""
    num_visual_tokens_unpruned: int
    """Visual tokens before pruning."""
    num_generated_tokens: int
    """Tokens of the answer."""
    frame_times_s: list[list[float]]
    """For each image or video, the presentation times of the frames that the model saw."""
    timings_s: dict[str, float]
    """Seconds spent: media (decode, resize, prune), prefill (encode and read the prompt), generate."""
    num_cached_tokens: int = 0
    """Tokens of the prompt that had been read before."""
    tokens: list[TokenLogprobs] = field(default_factory=list)
    """The answer's tokens, when the request asked for logprobs."""

    def __str__(self) -> str:
        return self.text


class AnswerStream(Iterator[str]):
    """Iterates over the pieces of an answer's text as they are found; `answer` is whole once they ran out."""

    def __init__(self, pieces: Generator[str, None, Answer]) -> None:
        self._pieces = pieces
        self._answer: Answer | None = None

    def __next__(self) -> str:
        try:
            return next(self._pieces)
        except StopIteration as end:
            self._answer = end.value if self._answer is None else self._answer
            raise

    @property
    def answer(self) -> Answer:
        """The whole answer; what of the stream was not read yet is generated now."""
        for _ in self:
            pass
        if self._answer is None:
            raise UserError("this answer was broken off, by an error or by a later question; ask again")
        return self._answer


class Job:
    """One request in the engine, with its text and clock."""

    def __init__(
        self,
        engine: Engine,
        tokenizer: Tokenizer,
        prepared: Prepared,
        settings: Settings,
        media_s: float,
        cache: KVCache | None = None,
    ) -> None:
        """media_s: seconds that preparing took. cache: may hold a beginning of the prompt."""
        self.prepared = prepared
        self.running = engine.sequence(prepared.inputs, settings.generation, cache, settings.constraint)
        self.num_cached_tokens = self.running.cache.length
        self.error: Exception | None = None
        self._tokenizer = tokenizer
        self._text = TextStream(tokenizer, settings.generation.stop)
        self._pieces: list[Piece] = []
        self._tokens: list[TokenLogprobs] = []
        self._taken = 0
        self._media_s = media_s
        self._start = time.perf_counter()
        self._first_token_s: float | None = None

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to do for it."""
        return self.error is not None or self.running.finish_reason is not None

    def accept(self, logits_V: Tensor) -> None:
        """Draws the next token; an error in that, a constraint's say, is this job's alone."""
        try:
            self.running.accept(logits_V)
            if self._first_token_s is None:
                self._first_token_s = time.perf_counter() - self._start
            self._pieces.append(self._piece())
        except Exception as error:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Ends the job with an error, which `answer` raises."""
        self.error = error

    def take(self) -> list[Piece]:
        """What has come since it was asked last."""
        taken, self._pieces = self._pieces, []
        return taken

    def answer(self) -> Answer:
        """The whole answer of a job that has ended; raises its error."""
        if self.error is not None:
            raise self.error
        inputs = self.prepared.inputs
        assert self.running.finish_reason is not None
        assert self._first_token_s is not None
        return Answer(
            text=self._text.text,
            finish_reason=self.running.finish_reason,
            num_prompt_tokens=inputs.num_tokens,
            num_visual_tokens=int(inputs.visual_mask.sum()),
            num_visual_tokens_unpruned=sum(visual.keep.numel() for visual in inputs.visuals),
            num_generated_tokens=len(self.running.generated),
            frame_times_s=[list(info.times_s) for info in self.prepared.infos],
            timings_s={
                "media": self._media_s,
                "prefill": self._first_token_s,
                "generate": time.perf_counter() - self._start - self._first_token_s,
            },
            num_cached_tokens=self.num_cached_tokens,
            tokens=self._tokens,
        )

    def _piece(self) -> Piece:
        """What newly drawn tokens add; notices stop strings."""
        new = self.running.generated[self._taken :]
        tokens = [self._logprobs(scores) for scores in self.running.scores[self._taken :]]
        self._taken += len(new)
        self._tokens += tokens
        text = "".join(self._text.push(token) for token in new)
        if self.running.finish_reason is not None:
            text += self._text.finish()
        if self._text.stopped:
            self.running.finish_reason = "stop"
        return Piece(text, tokens)

    def _logprobs(self, scores: TokenScores) -> TokenLogprobs:
        top = [TokenLogprob(token, self._word(token), logprob) for token, logprob in scores.top]
        return TokenLogprobs(scores.token, self._word(scores.token), scores.logprob, top)

    def _word(self, token: int) -> str:
        return self._tokenizer.decode([token], skip_special_tokens=False)
