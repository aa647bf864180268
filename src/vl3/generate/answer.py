"""What comes back: an answer, whole or piece by piece."""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from vl3.errors import UserError
from vl3.generate.engine import Sequence as Running
from vl3.generate.prepare import Prepared
from vl3.generate.text import TextStream


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

    def __init__(self, prepared: Prepared, running: Running, text: TextStream, media_s: float) -> None:
        self.prepared = prepared
        self.running = running
        self.text = text
        self._taken = 0
        self._media_s = media_s
        self._start = time.perf_counter()
        self._prefill_s = 0.0

    def prefilled(self) -> None:
        """Stops the clock of the prompt."""
        self._prefill_s = time.perf_counter() - self._start

    def take(self) -> str:
        """The text that newly drawn tokens add; notices stop strings."""
        new = self.running.generated[self._taken :]
        self._taken += len(new)
        piece = "".join(self.text.push(token) for token in new)
        if self.text.stopped:
            self.running.finish_reason = "stop"
        return piece

    def answer(self) -> Answer:
        """The whole answer of a finished job."""
        self.text.finish()
        inputs = self.prepared.inputs
        assert self.running.finish_reason is not None
        return Answer(
            text=self.text.text,
            finish_reason="stop" if self.text.stopped else self.running.finish_reason,
            num_prompt_tokens=inputs.num_tokens,
            num_visual_tokens=int(inputs.visual_mask.sum()),
            num_visual_tokens_unpruned=sum(visual.keep.numel() for visual in inputs.visuals),
            num_generated_tokens=len(self.running.generated),
            frame_times_s=[list(info.times_s) for info in self.prepared.infos],
            timings_s={
                "media": self._media_s,
                "prefill": self._prefill_s,
                "generate": time.perf_counter() - self._start - self._prefill_s,
            },
        )
