"""What the page does: looks at dropped files, shows what the model would see, asks, and writes the answer down.

No Gradio here: it takes and gives plain values, so it can be used, and tested, without a browser.
"""

import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vl3.chat import Message, media_of
from vl3.errors import UserError
from vl3.generate import Cancelled, Service, Ticket
from vl3.generate.options import settings
from vl3.generate.prepare import Prepared
from vl3.generate.sheet import seen_frames
from vl3.media import Decoder, MediaInfo
from vl3.processing import load_visuals
from vl3.ui.config import PageConfig
from vl3.ui.marks import boxes, draw, linked, moments
from vl3.ui.strip import link, pictures, served, strip, thumbnail_size
from vl3.ui.talk import Bubble, Choice, Talk, View
from vl3.weights import Checkpoint

EVERY_S = 0.05
"""Least seconds between two looks of a growing answer."""
LONGEST_TOKEN = 64
"""Characters; a question of more than this times the model's range is not even tokenised."""

_NO_BRACKETS = str.maketrans("[]()", "    ")


class Desk:
    """Asks a service on behalf of all tabs."""

    def __init__(
        self, service: Service, checkpoint: Checkpoint, decoder: Decoder, config: PageConfig, folder: Path
    ) -> None:
        """folder: where pictures with boxes are put."""
        self.config = config
        self.checkpoint = checkpoint
        self._service = service
        self._decoder = decoder
        self._folder = folder
        self._longest = LONGEST_TOKEN * checkpoint.config.language.max_positions

    def look(self, files: Sequence[Path]) -> list[MediaInfo]:
        """What dropped files are. UserError, with the file's name alone, for what cannot be read or is too much."""
        if len(files) > self.config.max_files:
            raise UserError(f"{len(files)} files; at most {self.config.max_files} can be asked about at once")
        try:
            infos = [self._decoder.probe(file, self.checkpoint.processor.sampling) for file in files]
        except UserError as error:
            raise _public(error, files) from error
        if sum(info.kind == "video" for info in infos) > 1:
            raise UserError("two videos: drop images, or one video, or one video and images")
        return infos

    def thumbnails(self, infos: Sequence[MediaInfo]) -> str:
        """Small forms of the pictures among them, as HTML. UserError for one that does not decode."""
        try:
            return pictures(
                [
                    (info.name, self._decoder.read(info, thumbnail_size(info))[0])
                    for info in infos
                    if info.kind == "image"
                ]
            )
        except UserError as error:
            raise _public(error, [Path(info.name) for info in infos]) from error

    def preview(self, talk: Talk, choice: Choice) -> str:
        """The strip of frames that a question would show the model. UserError without files."""
        if not choice.files:
            raise UserError("drop images or a video first")
        self._check(choice)
        message = {"role": "user", "content": self._parts(choice)}
        config = settings(self.checkpoint.processor, choice.options).processing
        try:
            visuals, infos = load_visuals(media_of([message]), config, self._decoder)
        except UserError as error:
            raise _public(error, choice.files) from error
        return strip(infos, visuals, _numbers(talk, infos), config.patch_size)

    def ask(self, talk: Talk, text: str, choice: Choice) -> Iterator[View]:
        """Answers a question, and yields what the page shows meanwhile. What goes wrong becomes a notice, and the
        question comes back to its field."""
        if not talk.lock.acquire(blocking=False):
            yield talk.view(notice="an answer is on its way: wait for it, or stop it", question=text, asking=True)
            return
        num_messages, bubbles, media = len(talk.messages), list(talk.bubbles), talk.media
        try:
            yield from self._ask(talk, text.strip(), choice)
        except UserError as error:
            del talk.messages[num_messages:]
            talk.bubbles, talk.media = bubbles, media
            yield talk.view(notice=str(_public(error, choice.files)), question=text)
        finally:
            talk.stop()  # when the page has gone, nobody reads the rest
            talk.ticket = None
            talk.lock.release()

    def _ask(self, talk: Talk, text: str, choice: Choice) -> Iterator[View]:
        if not text:
            raise UserError("the question is empty")
        if len(text) > self._longest:
            raise UserError(f"a question of {len(text)} characters is more than the model can read")
        self._check(choice)
        talk.messages.append(self._turn(talk, text, choice))
        talk.bubbles += [_user_bubble(talk.messages[-1]), _bubble("…")]
        yield talk.view(asking=True)
        ticket = talk.ticket = self._service.submit(talk.messages, **choice.options)
        answer, ending = "", ""
        with _time_limit(ticket, self.config.request_timeout_s) as late:
            try:
                prepared = ticket.prepared
                if prepared is not None:
                    self._show_frames(talk, prepared)
                    yield talk.view(asking=True)
                for answer in _growing(ticket):
                    talk.bubbles[-1] = self._answer_bubble(talk, answer or "…", prepared)
                    yield talk.view(asking=True)
            except Cancelled as error:  # what was said so far stands
                ending = _too_slow(self.config.request_timeout_s) if late.is_set() else "stopped"
                if not answer:
                    raise UserError(ending) from error
        talk.messages.append({"role": "assistant", "content": answer})
        assert prepared is not None
        talk.bubbles[-1] = self._answer_bubble(talk, answer or "(no words)", prepared)
        talk.bubbles += self._with_boxes(answer, prepared)
        yield talk.view(notice=ending)

    def _check(self, choice: Choice) -> None:
        """UserError for more than the page allows; the rest is checked where it is used."""
        most = self.checkpoint.processor
        for name, value, limit in (
            ("frames", choice.max_frames, most.sampling.max_frames),
            ("visual tokens", choice.max_visual_tokens, most.max_tokens),
            ("tokens of an answer", choice.max_new_tokens, self.config.max_new_tokens),
        ):
            if value is not None and value > limit:
                raise UserError(f"{name}: at most {limit}")
        if len(choice.prune or "") > 40:
            raise UserError("pruning: one of published, off, grey=LEVELS, keep=SHARE, budget=TOKENS")
        if choice.start_s is not None and choice.end_s is not None and choice.start_s >= choice.end_s:
            raise UserError("the end of the clip comes before its begin")

    def _turn(self, talk: Talk, text: str, choice: Choice) -> Message:
        """The user's turn; with media when they, or what is looked at in them, are not those of the last such turn."""
        media = (choice.files, tuple(choice.clip.items()))
        parts = self._parts(choice) if media != talk.media else []
        talk.media = media
        return {"role": "user", "content": [*parts, {"type": "text", "text": text}]}

    def _parts(self, choice: Choice) -> list[dict[str, Any]]:
        infos = self.look(choice.files)
        return [
            {"type": info.kind, info.kind: file, **(choice.clip if info.kind == "video" else {})}
            for file, info in zip(choice.files, infos, strict=True)
        ]

    def _show_frames(self, talk: Talk, prepared: Prepared) -> None:
        visuals = prepared.inputs.visuals
        seen = tuple(visual.digest for visual in visuals)
        if seen != talk.seen:
            patch = self.checkpoint.processor.patch_size
            talk.frames = strip(prepared.infos, visuals, _numbers(talk, prepared.infos), patch) if visuals else ""
            talk.seen = seen

    def _answer_bubble(self, talk: Talk, answer: str, prepared: Prepared | None) -> Bubble:
        clip = _last_clip(prepared)
        if clip is None:
            return _bubble(linked(answer))
        video = talk.number(Path(clip.name))
        return _bubble(linked(answer, lambda time_s: link(video, time_s), *_span(clip)))

    def _with_boxes(self, answer: str, prepared: Prepared) -> list[Bubble]:
        """The picture that was shown last, or the frame of the video that the answer names, with the answer's boxes."""
        found = boxes(answer)
        if not found or not prepared.infos:
            return []
        info, visual = prepared.infos[-1], prepared.inputs.visuals[-1]
        times = [moment.time_s for moment in moments(answer, *_span(info))] if info.kind == "video" else []
        frame = min(range(len(info.times_s)), key=lambda k: abs(info.times_s[k] - times[0])) if times else 0
        seen = list(seen_frames(visual, self.checkpoint.processor.patch_size, shade=False))[frame]
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix="boxes-", suffix=".png", delete=False) as file:
            draw(seen, found).save(file, "PNG")
        name = f"{Path(info.name).name} with {len(found)} box{'es' * (len(found) > 1)}".translate(_NO_BRACKETS)
        return [_bubble(f"![{linked(name)}]({served(Path(file.name))})")]


def _growing(ticket: Ticket) -> Iterator[str]:
    """The answer so far, now and then, and the whole of what came at the end, also when that is an error."""
    answer, told = "", 0.0
    try:
        for piece in ticket:
            answer += piece.text
            if time.monotonic() - told >= EVERY_S:
                yield answer
                told = time.monotonic()
    except Cancelled:
        yield answer
        raise
    yield answer


@contextmanager
def _time_limit(ticket: Ticket, limit_s: float) -> Iterator[threading.Event]:
    """Cancels a ticket that takes too long, and then sets the event."""
    late = threading.Event()

    def give_up() -> None:
        late.set()
        ticket.cancel()

    timer = threading.Timer(limit_s, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def _too_slow(limit_s: float) -> str:
    return f"no answer within the limit of {limit_s:g} s: ask for fewer tokens or frames"


def _bubble(content: str) -> Bubble:
    return {"role": "assistant", "content": content}


def _user_bubble(message: Message) -> Bubble:
    """The question under what it is about."""
    *media, text = message["content"]
    lines = [f"`{_called(part)}`" for part in media]
    return {"role": "user", "content": "\n\n".join([*[" ".join(lines)] * bool(lines), linked(text["text"])])}


def _called(part: dict[str, Any]) -> str:
    """A medium in a few words: its name, and which part of it is looked at."""
    name = Path(part[part["type"]]).name.replace("`", "'")
    start = f" from {part['start_s']:.1f}" if "start_s" in part else ""
    end = f" to {part['end_s']:.1f}" if "end_s" in part else ""
    return f"{name}{start}{end}{' s' * bool(start or end)}"


def _last_clip(prepared: Prepared | None) -> MediaInfo | None:
    clips = [info for info in prepared.infos if info.kind == "video"] if prepared is not None else []
    return clips[-1] if clips else None


def _span(info: MediaInfo) -> tuple[float, float]:
    """Seconds within which a time in an answer is taken for one of the clip's."""
    return 0.0, info.times_s[0] + info.duration_s


def _numbers(talk: Talk, infos: Sequence[MediaInfo]) -> list[int | None]:
    return [talk.number(Path(info.name)) if info.kind == "video" else None for info in infos]


def _public(error: UserError, files: Sequence[Path]) -> UserError:
    """An error without this machine's paths, in one line."""
    text = str(error)
    for file in files:
        text = text.replace(str(file), file.name)
    return UserError(" ".join(text.split()))
