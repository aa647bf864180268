"""What one browser tab has said, heard and seen."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vl3.chat import Message
from vl3.errors import UserError
from vl3.generate import Options, Ticket

MOST_TALKS = 1000
Bubble = dict[str, str]
"""{"role": "user" | "assistant", "content": Markdown}, as Gradio's chatbot takes it."""


@dataclass(frozen=True)
class Choice:
    """What the controls of the page say; None leaves a setting to the checkpoint."""

    files: tuple[Path, ...] = ()
    start_s: float | None = None
    """Begin of the part of the video to look at; None for its own."""
    end_s: float | None = None
    fps: float | None = None
    max_frames: int | None = None
    max_visual_tokens: int | None = None
    prune: str | None = None
    max_new_tokens: int = 512
    temperature: float = 0.0

    @property
    def clip(self) -> dict[str, Any]:
        """What is said of a video, in a message's words."""
        said = {"fps": self.fps, "max_frames": self.max_frames, "start_s": self.start_s, "end_s": self.end_s}
        return {name: value for name, value in said.items() if value is not None}

    @property
    def options(self) -> Options:
        """What is said of a whole request, in the engine's words."""
        options: Options = {"max_new_tokens": self.max_new_tokens, "temperature": self.temperature}
        if self.max_visual_tokens is not None:
            options["max_tokens"] = self.max_visual_tokens
        if self.prune is not None:
            options["prune"] = self.prune
        return options


@dataclass(frozen=True)
class View:
    """What the page shows of a talk."""

    bubbles: list[Bubble]
    frames: str = ""
    """The strip of frames that the model saw, as HTML."""
    notice: str = ""
    """One line of plain text about what went wrong."""
    question: str = ""
    """What stands in the question's field."""
    asking: bool = False
    """Whether an answer is on its way."""


@dataclass(eq=False)
class Talk:
    """A conversation. One question at a time."""

    messages: list[Message] = field(default_factory=list)
    """As the model reads it."""
    bubbles: list[Bubble] = field(default_factory=list)
    """As the page shows it."""
    videos: list[Path] = field(default_factory=list)
    """Those asked about; links name them by their places."""
    frames: str = ""
    seen: tuple[bytes, ...] = ()
    """Digests of what `frames` shows."""
    media: tuple[Any, ...] = ()
    """The media that the last turn with any showed, and what was said of them."""
    ticket: Ticket | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while a question is answered."""

    def number(self, video: Path) -> int:
        """By which links name a video."""
        if video not in self.videos:
            self.videos.append(video)
        return self.videos.index(video)

    def stop(self) -> None:
        """Ends the answer that is on its way, if any."""
        ticket = self.ticket
        if ticket is not None:
            ticket.cancel()

    def view(self, **more: Any) -> View:
        """What there is to see now."""
        return View(list(self.bubbles), self.frames, **more)


class Talks:
    """The talks of all tabs, by session."""

    def __init__(self) -> None:
        self._talks: OrderedDict[str, Talk] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._talks)

    def of(self, session: str) -> Talk:
        """The talk of a tab. UserError when there are too many tabs whose answers are on their way."""
        with self._lock:
            talk = self._talks.setdefault(session, Talk())
            self._talks.move_to_end(session)
            idle = (name for name, other in self._talks.items() if name != session and not other.lock.locked())
            if len(self._talks) > MOST_TALKS and (oldest := next(idle, None)) is None:
                del self._talks[session]
                raise UserError("too many people are asking; try again later")
            if len(self._talks) > MOST_TALKS and oldest is not None:
                del self._talks[oldest]
            return talk

    def end(self, session: str) -> None:
        """Forgets a tab that was closed; its answer is called off."""
        with self._lock:
            talk = self._talks.pop(session, None)
        if talk is not None:
            talk.stop()
