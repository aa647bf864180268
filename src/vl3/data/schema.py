"""One training sample: messages with their media, whatever form it was written in.

The authors' forms: `conversations` with `image` or `video`, and `stream` samples whose turns have times. OpenAI-style
`messages` are taken as they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vl3.chat import Message, from_authors, media_of, parts_of
from vl3.data.regions import Region, parse_regions
from vl3.errors import UserError


@dataclass(frozen=True)
class Sample:
    """What one annotation says."""

    messages: list[Message]
    """The conversation; the assistant's turns are trained on."""
    where: str
    """File and line (or row), for messages to people."""
    independent: bool = False
    """Whether the questions know nothing of each other: each is asked of the same media as if it were the only one."""
    regions: tuple[Region, ...] | None = None
    """What is where in a sample's one image, for dense alignment; None where that is not known."""

    @property
    def kind(self) -> str:
        """text, image, images, video, or stream: for summaries."""
        if any(message["role"] == "stream" for message in self.messages):
            return "stream"
        kinds = [part.kind for part in media_of(self.messages)]
        if "video" in kinds:
            return "video"
        return {0: "text", 1: "image"}.get(len(kinds), "images")


def parse(data: Any, where: str, root: Path | None = None, form: str = "auto") -> Sample:
    """Reads one annotation. UserError naming `where` for anything that is not one."""
    try:
        messages = messages_of(data, root, form)
        regions = parse_regions(data["regions"]) if "regions" in data else None
        sample = Sample(messages, where, bool(data.get("independent")), regions)
        _check_roles(sample.messages)
        if [part.kind for part in media_of(sample.messages)] != ["image"] and regions is not None:
            raise UserError("`regions` belong to a sample with one image")
        if sample.independent:
            independent_turns(sample.messages)
        return sample
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def messages_of(data: Any, root: Path | None = None, form: str = "auto") -> list[Message]:
    """The conversation of an annotation in any form, answered or not. UserError for anything that is not one."""
    if not isinstance(data, Mapping):
        raise UserError(f"a sample must be an object, not {data!r:.60}")
    if form == "messages" or (form == "auto" and "messages" in data):
        messages = _list(data, "messages")
    elif data.get("stream"):
        messages = _stream(data)
    elif "conversations" in data:
        images, videos = files_of(data, "image"), _clips(data)
        messages = from_authors([_turn(turn) for turn in _list(data, "conversations")], images, videos)
    else:
        raise UserError("a sample needs `conversations`, `messages`, or `stream` with `conversation`")
    return [_rooted(message, root) for message in messages]


def files_of(data: Mapping[str, Any], key: str) -> list[Any]:
    """The paths (or, from an archive, the bytes) under `image` or `video`: one, a list, or none."""
    value = data.get(key)
    if value is None:
        return []
    files = value if isinstance(value, list) else [value]
    if not all(isinstance(file, str | bytes) and file for file in files):
        raise UserError(f"`{key}` must be a path or a list of paths")
    return files


def _clips(data: Mapping[str, Any]) -> list[Any]:
    """The videos, one of them between `start_time` and `end_time` if these are given."""
    videos = files_of(data, "video")
    times = {key: at for key in ("start_time", "end_time") if (at := _number(data, key, None)) is not None}
    if not times:
        return videos
    if len(videos) != 1:
        raise UserError(f"start_time and end_time belong to a sample with one video, not {len(videos)}")
    return [{"path": videos[0], **times}]


def writable(error: Exception) -> str:
    """What an error says, as any file or terminal takes it: annotations may hold halves of surrogate pairs."""
    return str(error).encode("utf-8", "backslashreplace").decode("utf-8")


def independent_turns(messages: Sequence[Message]) -> list[list[Message]]:
    """One conversation for each question, each with the media of the first (and the system message, if any)."""
    before = [message for message in messages if message["role"] == "system"]
    turns = [message for message in messages if message["role"] != "system"]
    pairs = list(zip(turns[::2], turns[1::2], strict=False))
    if 2 * len(pairs) != len(turns) or any((q["role"], a["role"]) != ("user", "assistant") for q, a in pairs):
        raise UserError("independent questions must each be a user turn with one answer")
    if media_of([asked for asked, _ in pairs[1:]]):
        raise UserError("the media of independent questions belong to the first of them")
    content = pairs[0][0]["content"]
    media = [part for part in content if isinstance(part, Mapping) and part.get("type") != "text"]
    alone: list[list[Message]] = []
    for asked, answer in pairs:
        words = [part for part in parts_of(asked) if isinstance(part, str)]
        alone.append([*before, {"role": "user", "content": [*media, *words]}, answer])
    return alone


def _stream(data: Mapping[str, Any]) -> list[Message]:
    """Frames up to each turn's time are watched, then the turn comes; what is left is watched at the end."""
    videos = files_of(data, "video")
    if len(videos) != 1:
        raise UserError(f"a stream sample has one video, not {len(videos)}")
    at, end = _number(data, "start_time", 0.0), _number(data, "end_time", None)
    messages: list[Message] = []
    for turn in _list(data, "conversation"):
        if not isinstance(turn, Mapping) or not isinstance(turn.get("content"), str):
            raise UserError(f"a turn of a stream needs role, content and time: {turn!r:.80}")
        time_s = _number(turn, "time", None)
        if time_s is None:
            raise UserError(f"a turn of a stream needs its time in seconds: {dict(turn)!r:.80}")
        assert at is not None
        if time_s < at:
            raise UserError(f"the turns of a stream must be in order of time: {time_s:g} s comes after {at:g} s")
        if time_s > at:
            messages.append(_watch(videos[0], at, time_s))
            at = time_s
        messages.append({"role": turn.get("role"), "content": turn["content"]})
    if end is not None and at is not None and end > at:
        messages.append(_watch(videos[0], at, end))
    return messages


def _watch(video: str, start_s: float, end_s: float) -> Message:
    part = {"type": "video", "video": video, "start_s": start_s, "end_s": end_s}
    return {"role": "stream", "content": [part]}


def _turn(turn: Any) -> Mapping[str, str]:
    if not isinstance(turn, Mapping):
        raise UserError(f"a turn must be an object with from and value, not {turn!r:.60}")
    if not isinstance(turn.get("from"), str):
        raise UserError(f"a turn must have from = human or gpt: {dict(turn)!r:.80}")
    return turn


def _list(data: Mapping[str, Any], key: str) -> list[Any]:
    value = data.get(key)
    if not isinstance(value, list) or not value:
        raise UserError(f"`{key}` must be a list that is not empty")
    return value


def _number(data: Mapping[str, Any], key: str, default: float | None) -> float | None:
    value = data.get(key, default)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value >= 0):
        return value
    raise UserError(f"`{key}` must be a number of seconds, not {value!r:.40}")


def _rooted(message: Any, root: Path | None) -> Message:
    """The message with relative media paths made absolute."""
    if not isinstance(message, Mapping) or not isinstance(message.get("content"), list) or root is None:
        return message
    return {**message, "content": [_rooted_part(part, root) for part in message["content"]]}


def _rooted_part(part: Any, root: Path) -> Any:
    if not isinstance(part, Mapping):
        return part
    return {key: _rooted_source(value, root) if key in _SOURCE_KEYS else value for key, value in part.items()}


_SOURCE_KEYS = ("image", "video", "image_url", "video_url", "url", "path", "image_path", "video_path")


def _rooted_source(source: Any, root: Path) -> Any:
    if isinstance(source, Mapping):
        return _rooted_part(source, root)
    if isinstance(source, str) and "://" not in source and not source.startswith(("data:", "/")):
        return str(root / source)
    return source


def _check_roles(messages: Sequence[Message]) -> None:
    """Somebody asks before the assistant answers, and it answers at least once."""
    answered = False
    before = "system"
    for message in messages:
        role = message.get("role") if isinstance(message, Mapping) else None
        if role == "assistant":
            if before in ("system", "assistant"):
                raise UserError("roles must alternate: an assistant turn must follow a user or stream turn")
            answered = True
        elif role == "user" and before == "user":
            raise UserError("roles must alternate: two user turns in a row")
        before = str(role)
    if not answered:
        raise UserError("nothing to train on: no assistant turn")
