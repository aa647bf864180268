"""Tokens -> text as it grows: whole characters only, and never a piece of a stop string."""

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream


class TextStream:
    """Turns the tokens of one answer into text that may be shown at once."""

    def __init__(self, tokenizer: Tokenizer, stop: tuple[str, ...] = ()) -> None:
        self._tokenizer = tokenizer
        self._stop = stop
        self._decoder = DecodeStream(skip_special_tokens=True)
        self._ids: list[int] = []
        self._decoded = ""
        self.text = ""
        """What has been handed out so far."""
        self.stopped = False
        """Whether a stop string ended the answer."""

    def push(self, token: int) -> str:
        """Takes the next token; returns the text to show now, possibly none."""
        if self.stopped:
            return ""
        self._ids.append(token)
        self._decoded += self._decoder.step(self._tokenizer, token) or ""
        return self._release(len(self._decoded) - self._possible_stop())

    def finish(self) -> str:
        """The rest, once no more tokens come: what was held back, and the marks of an unfinished character."""
        if self.stopped:
            return ""
        whole = self._tokenizer.decode(self._ids, skip_special_tokens=True)
        if whole.startswith(self._decoded):
            self._decoded = whole
        return self._release(len(self._decoded))

    def _release(self, end: int) -> str:
        found = [at for stop in self._stop if (at := self._decoded.find(stop)) >= 0]
        if found:
            end, self.stopped = min(found), True
        new = self._decoded[len(self.text) : end]
        self.text += new
        return new

    def _possible_stop(self) -> int:
        """Length of the longest end of the text that may be the beginning of a stop string."""
        lengths = (n for stop in self._stop for n in range(len(stop) - 1, 0, -1) if self._decoded.endswith(stop[:n]))
        return max(lengths, default=0)
