"""What is put to an OpenAI-compatible server: media go inside the request, as data: URLs."""

import base64
import io
import mimetypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from vl3.chat import MediaPart, Message, parts_of
from vl3.config import SamplingConfig, decode
from vl3.errors import UserError
from vl3.media import Decoder

VideoForm = Literal["frames", "url"]
"""How a video is sent: as images of its frames with their times, which every server takes, or whole as `video_url`."""

FRAME_SIDE = 768
"""Longest side of a frame that is sent as an image, in pixels."""
_SENT_AS_IS = {".png", ".jpg", ".jpeg", ".webp"}
_FIELDS = {
    "max_new_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "repetition_penalty": "repetition_penalty",
    "seed": "seed",
    "stop": "stop",
}
_VISUAL_FIELDS = {"max_tokens": "max_visual_tokens", "prune": "prune"}
_CLIP_FIELDS = {
    "fps": "fps",
    "max_frames": "max_frames",
    "num_frames": "num_frames",
    "sampling": "sampling",
    "start_s": "start",
    "end_s": "end",
}
"""Our options -> the fields of a request. Only what was asked for is sent: servers refuse unknown fields."""


class RequestWriter:
    """Messages -> the fields of a request, with one set of options (those of `vl3.generate.Options`)."""

    def __init__(self, decoder: Decoder, options: Mapping[str, Any], video: VideoForm = "frames") -> None:
        self._decoder, self._options, self._video = decoder, options, video

    def body(self, messages: Sequence[Message], frames_s: list[list[float]]) -> dict[str, Any]:
        """A request's fields. frames_s is filled with the times of the frames of each medium, where they are known."""
        sent = [
            {"role": message["role"], "content": [p for part in parts_of(message) for p in self._part(part, frames_s)]}
            for message in messages
        ]
        fields = {"temperature": 0, **_renamed(self._options, _FIELDS), **_renamed(self._options, _VISUAL_FIELDS)}
        if any(part["type"] == "video_url" for message in sent for part in message["content"]):
            fields |= _renamed(self._options, _CLIP_FIELDS)
        return {"messages": sent, **fields}

    def _part(self, part: str | MediaPart, frames_s: list[list[float]]) -> list[dict[str, Any]]:
        if isinstance(part, str):
            return [{"type": "text", "text": part}]
        if part.kind == "image":
            frames_s.append([0.0])
            return [_image(_data_url(Path(part.source)) if self._as_is(part) else self._decoded(part))]
        if self._video == "url" and _is_file(part.source):
            frames_s.append([])
            clip = {_CLIP_FIELDS[key]: value for key, value in part.options.items()}
            return [{"type": "video_url", "video_url": {"url": _data_url(Path(part.source)), **clip}}]
        return self._frames(part, frames_s)

    def _as_is(self, part: MediaPart) -> bool:
        """Whether an image file's own bytes are sent."""
        known = _is_file(part.source) and Path(part.source).suffix.lower() in _SENT_AS_IS
        return known and type(self._decoder) is Decoder

    def _decoded(self, part: MediaPart) -> str:
        return _jpeg(self._decoder.read(self._decoder.probe(part.source, kind="image")))

    def _frames(self, part: MediaPart, frames_s: list[list[float]]) -> list[dict[str, Any]]:
        """The frames as images, each after its time, as the model's own prompt has them."""
        asked = {key: value for key, value in self._options.items() if key in SamplingConfig.__dataclass_fields__}
        if "sampling" in self._options:
            asked["policy"] = self._options["sampling"]
        info = self._decoder.probe(part.source, decode(SamplingConfig, {**asked, **part.options}, "options"), part.kind)
        scale = min(1.0, FRAME_SIDE / max(info.height, info.width))
        size = (max(1, round(info.height * scale)), max(1, round(info.width * scale)))
        seen, frames = self._decoder.salvage(info, size)
        frames_s.append(list(seen.times_s))
        parts: list[dict[str, Any]] = []
        for time_s, frame in zip(seen.times_s, frames, strict=True):
            parts += [{"type": "text", "text": f"Time {time_s:.1f}s:"}, _image(_jpeg(frame))]
        return parts


def _is_file(source: Any) -> bool:
    """Whether a medium is one file here, and not single frames, a URL, or data."""
    named = isinstance(source, str | Path) and not str(source).startswith(("data:", "http://", "https://"))
    return named and Path(source).is_file()


def _renamed(options: Mapping[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names[key]: value for key, value in options.items() if key in names}


def _image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def _data_url(path: Path) -> str:
    """A file as a data: URL. UserError if it is not there."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _jpeg(frame: Any) -> str:
    """Pixels [h, w, 3] as a data: URL; quality 95."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(frame).reshape(frame.shape[-3:])).save(buffer, "JPEG", quality=95)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def shown_prompt(messages: Sequence[dict[str, Any]]) -> str:
    """The prompt of a request for people: media are `<image>` and `<video>`."""
    marks = {"image_url": "<image>", "video_url": "<video>"}
    return "\n".join(
        f"{message['role']}: " + "".join(part.get("text") or marks[part["type"]] for part in message["content"])
        for message in messages
    )
