"""From messages to the prompt's pieces: text, and the slots that visual tokens fill (paper section 3.3).

One function, `render`, writes the prompt for inference and marks what is trained on, so the two cannot differ. The
format is Qwen's chat template; an image is its tokens and a newline, a video is `Time 1.0s:` and a frame's tokens for
each frame, frames joined by commas; a `stream` turn shows frames one by one with their times.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from vl3.errors import UserError

Message = Mapping[str, Any]
"""{"role": "system" | "user" | "assistant" | "stream", "content": str or a list of parts}."""

ROLES = ("system", "user", "assistant", "stream")
DEFAULT_SYSTEM = "You are a helpful assistant."


@dataclass(frozen=True)
class MediaPart:
    """An image or a video inside a message."""

    kind: Literal["image", "video"] | None
    """What the message calls it; None leaves it to the file."""
    source: Any
    """A path, URL, bytes, array or picture, as `vl3.media.probe` takes it."""
    time_s: float | None = None
    """The moment of a single frame of a stream."""
    options: dict[str, Any] = field(default_factory=dict)
    """What else the part says: fps, max_frames, num_frames, start_s, end_s."""


@dataclass(frozen=True)
class Text:
    """A stretch of prompt text."""

    text: str
    supervised: bool = False
    """Whether training learns to predict it: the assistant's words with their end mark, and a stream's decisions."""


@dataclass(frozen=True)
class Slot:
    """Where the kept tokens of one frame go."""

    media: int
    """Index of the image or video, counted through all messages."""
    frame: int
    """Index of its frame."""


Piece = Text | Slot


def render(
    messages: Sequence[Message], times_s: Sequence[Sequence[float] | None], add_generation_prompt: bool = True
) -> list[Piece]:
    """The pieces of the prompt, in order; neighbouring texts are joined as far as they are supervised alike.

    times_s: for each image or video, in order of appearance, None for an image or the times of a video's frames.
    Labels: an assistant turn counts after its header, up to and including the end mark. At the end of
    each frame of a stream the model learns whether to go on watching (`Time`) or to speak (`<|stream_end|>`).
    """
    media = iter(enumerate(times_s))
    pieces: list[Piece] = []
    for message in messages:
        pieces += _stream_turn(message, media) if _role(message) == "stream" else _turn(message, media)
    if (unused := len(list(media))) > 0:
        raise UserError(f"{len(times_s)} images and videos given, but the messages place {len(times_s) - unused}")
    if add_generation_prompt:
        pieces.append(Text("<|im_start|>assistant\n"))
    return _joined(pieces)


_Media = Iterator[tuple[int, Sequence[float] | None]]


def _turn(message: Message, media: _Media) -> list[Piece]:
    role = message["role"]
    trained = role == "assistant"
    pieces: list[Piece] = [Text(f"<|im_start|>{role}\n")]
    for part in parts_of(message):
        if isinstance(part, str):
            pieces.append(Text(part, supervised=trained))
            continue
        index, times = _next(media)
        if times is None:
            pieces += [Slot(index, 0), Text("\n")]
        else:
            for frame, time_s in enumerate(times):
                pieces += [Text(f"Time {time_s:.1f}s:"), Slot(index, frame), Text(",")]
            pieces[-1] = Text("\n")
    return [*pieces, Text("<|im_end|>", supervised=trained), Text("\n")]


def _stream_turn(message: Message, media: _Media) -> list[Piece]:
    pieces: list[Piece] = [Text("<|stream_start|>stream\n")]
    first = True
    for part in parts_of(message):
        if isinstance(part, str):
            pieces.append(Text(part))
            continue
        index, times = _next(media)
        moments = [part.time_s] if times is None else list(times)
        for frame, time_s in enumerate(moments):
            if time_s is None:
                raise UserError('an image of a `stream` turn needs its time: {"type": "image", ..., "time": seconds}')
            # the word that opens the next frame is the model's decision to go on watching
            pieces += [Text("Time", supervised=not first), Text(f" {time_s:.1f}s: "), Slot(index, frame), Text("\n")]
            first = False
    return [*pieces, Text("<|stream_end|>", supervised=not first), Text("\n")]


def _next(media: _Media) -> tuple[int, Sequence[float] | None]:
    try:
        return next(media)
    except StopIteration:
        raise UserError("the messages place more images and videos than were given") from None


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Neighbouring texts of one kind become one, so that a tokenizer sees whole words."""
    joined: list[Piece] = []
    for piece in pieces:
        last = joined[-1] if joined else None
        if isinstance(piece, Text) and isinstance(last, Text) and piece.supervised == last.supervised:
            joined[-1] = Text(last.text + piece.text, last.supervised)
        elif not (isinstance(piece, Text) and not piece.text):
            joined.append(piece)
    return joined


# ------------------------------------------------------------------------------------------------ reading messages


def parts_of(message: Message) -> list[str | MediaPart]:
    """The content of a message as texts and media. Takes the OpenAI, `transformers` and authors' part forms."""
    role, content = _role(message), message.get("content")
    if isinstance(content, str):
        return [content]
    if not isinstance(content, Sequence):
        raise UserError(f"the content of a {role} message must be text or a list of parts, not {content!r:.80}")
    return [_part(part) for part in content]


def _role(message: Message) -> str:
    if not isinstance(message, Mapping):
        raise UserError(f"a message must be a mapping with role and content, not {message!r:.80}")
    role = message.get("role")
    if role not in ROLES:
        raise UserError(f"unknown role {role!r} in a message: use one of {', '.join(ROLES)}")
    return str(role)


def question(media: Sequence[Any], text: str, system: str | None = None) -> list[Message]:
    """Files, URLs, pictures or arrays and a question as messages; opening them tells images and videos apart."""
    content = [*({"type": "media", "media": source} for source in media), {"type": "text", "text": text}]
    before = [{"role": "system", "content": system}] if system else []
    return [*before, {"role": "user", "content": content}]


def media_of(messages: Sequence[Message]) -> list[MediaPart]:
    """All images and videos of the messages, in order of appearance."""
    return [part for message in messages for part in parts_of(message) if isinstance(part, MediaPart)]


def _part(part: Any) -> str | MediaPart:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        raise UserError(f"a content part must be text or a mapping, not {part!r:.80}")
    kind = str(part.get("type", "")).removeprefix("input_").removesuffix("_url")
    if kind == "text":
        if not isinstance(part.get("text"), str):
            raise UserError(f"a text part needs its text: {dict(part)!r:.80}")
        return str(part["text"])
    kinds: dict[str, Literal["image", "video"] | None] = {"image": "image", "video": "video", "media": None}
    if kind not in kinds:
        raise UserError(f"unknown content part {dict(part)!r:.80}: its type must be text, image(_url) or video(_url)")
    source, options = _source(part, kind)
    for ours, others in {"start_s": "start_time", "end_s": "end_time", "time": "timestamp"}.items():
        if others in options:
            options[ours] = options.pop(others)
    time_s = options.pop("time", None)
    known = {"fps", "max_frames", "num_frames", "start_s", "end_s"}
    if unknown := set(options) - known:
        raise UserError(f"unknown option {sorted(unknown)[0]!r} of a {kind} part: use {', '.join(sorted(known))}")
    if time_s is not None and not (isinstance(time_s, int | float) and math.isfinite(time_s)):
        raise UserError(f"the time of a {kind} part must be a number of seconds, not {time_s!r:.80}")
    return MediaPart(kinds[kind], source, None if time_s is None else float(time_s), options)


def _source(part: Mapping[str, Any], kind: str) -> tuple[Any, dict[str, Any]]:
    """Where the medium is, and everything else that the part says about it."""
    rest = {key: value for key, value in part.items() if key not in ("type", "detail", "cache_control")}
    for key in (kind, f"{kind}_url", "path", "url"):
        if key not in rest:
            continue
        source = rest.pop(key)
        if isinstance(source, Mapping):  # {"url": ...}, or the authors' {"video_path": ..., "fps": 1}
            inner = {k: v for k, v in source.items() if k != "detail"}
            for name in ("url", f"{kind}_path", "path"):
                if name in inner:
                    return inner.pop(name), {**rest, **inner}
            break
        return source, rest
    raise UserError(f"a {kind} part must name its {kind}: {dict(part)!r:.80}")


def from_authors(
    conversations: Sequence[Mapping[str, str]], images: Sequence[Any] = (), videos: Sequence[Any] = ()
) -> list[Message]:
    """The authors' form, {"from": "human" | "gpt", "value": "<image>\\nQuestion?"}, as messages.

    `<image>` and `<video>` stand for the media in order; media without any placeholder go before the first question.
    """
    media: list[dict[str, Any]] = [{"type": "image", "image": image} for image in images]
    media += [{"type": "video", "video": video} for video in videos]
    roles = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
    messages: list[Message] = []
    queues = {kind: [part for part in media if part["type"] == kind] for kind in ("image", "video")}
    placed = 0
    for turn in conversations:
        speaker, value = turn.get("from"), turn.get("value")
        if speaker not in roles or not isinstance(value, str):
            raise UserError(f"a turn must have from = human or gpt and a text value: {dict(turn)!r:.80}")
        content: list[Any] = []
        for token in _split_placeholders(value) if roles[speaker] == "user" else [value]:
            kind = token[1:-1] if token in ("<image>", "<video>") and roles[speaker] == "user" else None
            if kind is None:
                content.append({"type": "text", "text": token})
            elif queues[kind]:
                content.append(queues[kind].pop(0))
                placed += 1
            else:
                raise UserError(f"more {token} placeholders than {kind}s")
        messages.append({"role": roles[speaker], "content": content})
    if media and not placed:
        first = next((m for m in messages if m["role"] == "user"), None)
        if first is None:
            raise UserError("images or videos without a question")
        first["content"][:0] = media
    elif placed < len(media):
        raise UserError(f"{len(media)} images and videos, but {placed} placeholders")
    return messages


def _split_placeholders(value: str) -> list[str]:
    """Texts (trimmed, none empty) and the placeholders between them."""
    spaced = value.replace("<image>", "\0<image>\0").replace("<video>", "\0<video>\0")
    return [token for chunk in spaced.split("\0") if (token := chunk.strip())]


# -------------------------------------------------------------------------------------------------- jinja templates


def jinja_template(layout: Literal["transformers", "authors"]) -> str:
    """The chat template of an exported checkpoint; it renders what `render` does.

    `transformers` puts one placeholder for each medium, which its processor then expands with the frames' times;
    the authors' form writes times out itself and needs `num_frames` and `timestamps` in each video part.
    """
    return _TEMPLATE.replace("IMAGE", _IMAGE[layout]).replace("VIDEO", _VIDEO[layout])


_IMAGE = {"transformers": "{{- '<|image_pad|>\\n' -}}", "authors": "{{- '<image>\\n' -}}"}
_VIDEO = {
    "transformers": "{{- '<|video_pad|>\\n' -}}",
    "authors": (
        "{%- for i in range(part['num_frames']) -%}"
        "{%- if 'timestamps' in part -%}{{- 'Time ' ~ '%.1f' | format(part['timestamps'][i]) ~ 's:' -}}{%- endif -%}"
        "{{- '<image>' ~ ('\\n' if loop.last else ',') -}}"
        "{%- endfor -%}"
    ),
}
_TEMPLATE = """\
{%- for message in messages -%}
{%- set mark = 'stream' if message['role'] == 'stream' else 'im' -%}
{{- '<|' ~ mark ~ '_start|>' ~ message['role'] ~ '\\n' -}}
{%- if message['content'] is string -%}
{{- message['content'] -}}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part is string -%}
{{- part -}}
{%- elif part['type'] == 'text' -%}
{{- part['text'] -}}
{%- elif part['type'].startswith('image') -%}
{%- if mark == 'stream' -%}{{- 'Time ' ~ '%.1f' | format(part['time']) ~ 's: ' -}}{%- endif -%}
IMAGE
{%- elif part['type'].startswith('video') -%}
VIDEO
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|' ~ mark ~ '_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
"""
