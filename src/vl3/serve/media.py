"""The media of a request: what they name is checked, downloaded or found, before the engine hears of them.

The engine is given paths and `data:` URLs only, so nothing that a stranger writes is ever taken for a path.
"""

import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio.to_thread
from anyio import CapacityLimiter

from vl3.chat import Message
from vl3.errors import UserError
from vl3.media.fetch import fetch
from vl3.media.info import Encoded
from vl3.serve import schema
from vl3.serve.config import ServerConfig
from vl3.serve.files import FileStore
from vl3.weights import Checkpoint

LONGEST_TOKEN = 64
"""Characters; a text of more than this times the model's range is not even tokenised."""
Wanted = tuple[str, str, dict[str, Any]]
"""(kind, URL or "file_id:...", options): one medium as the request has it."""


@dataclass
class Found:
    """What a request's media are here and in public. Downloads are deleted with it."""

    names: dict[str, str] = field(default_factory=dict)
    downloads: list[Encoded] = field(default_factory=list)

    def public(self, error: UserError) -> UserError:
        """An error without this machine's paths."""
        text = str(error)
        for path, name in self.names.items():
            text = text.replace(path, name)
        return UserError(text)


class MediaRoom:
    """Knows what may be reached."""

    def __init__(self, config: ServerConfig, files: FileStore, checkpoint: Checkpoint) -> None:
        self._config = config
        self._files = files
        self._most_frames = checkpoint.processor.sampling.max_frames
        self._longest_text = LONGEST_TOKEN * checkpoint.config.language.max_positions
        self._downloads = CapacityLimiter(config.max_fetches)
        folder = config.media_folder
        if folder is not None and not folder.is_dir():
            raise UserError(f"{folder}: the folder of local media does not exist")
        self._folder = None if folder is None else folder.resolve()

    async def locate(self, messages: Sequence[schema.ChatMessage], owner: str, found: Found) -> list[Message]:
        """The messages as the engine takes them, all media fetched. UserError for what may not be reached or cannot be
        had, and for more than a request may hold."""
        self._check_text(messages)
        located: list[Message] = []
        for message in messages:
            role = "system" if message.role == "developer" else message.role
            content: str | list[Any] = (
                message.content
                if isinstance(message.content, str)
                else [await self._part(part, owner, found) for part in message.content]
            )
            located.append({"role": role, "content": content})
        return located

    def checked(self, options: dict[str, Any]) -> dict[str, Any]:
        """Options of a clip, if they ask for no more frames than the model was made for."""
        for name in ("max_frames", "num_frames"):
            if options.get(name, 0) > self._most_frames:
                raise UserError(f"{name}: at most {self._most_frames} here")
        return options

    def _check_text(self, messages: Sequence[schema.ChatMessage]) -> None:
        parts = [part for message in messages for part in message.content if not isinstance(part, str)]
        texts = [message.content for message in messages if isinstance(message.content, str)]
        texts += [part.text for part in parts if isinstance(part, schema.TextPart)]
        if (length := sum(map(len, texts))) > self._longest_text:
            raise UserError(f"{length} characters of text are more than the model can read; send less")
        num_media = len(parts) - sum(isinstance(part, schema.TextPart) for part in parts)
        if num_media > self._config.max_media:
            raise UserError(f"{num_media} images and videos; a request may hold {self._config.max_media}")

    async def _part(self, part: schema.Part, owner: str, found: Found) -> dict[str, Any]:
        if isinstance(part, schema.TextPart):
            return {"type": "text", "text": part.text}
        kind, url, options = wanted(part)
        return {"type": kind, kind: await self._source(url, owner, found), **self.checked(options)}

    async def _source(self, url: str, owner: str, found: Found) -> Path | str:
        scheme, _, rest = url.partition(":")
        if scheme.lower() == "data":
            return url
        if scheme == "file_id":
            path = await anyio.to_thread.run_sync(self._files.path, owner, rest)
            found.names[str(path)] = rest
        elif scheme.lower() in ("http", "https"):
            download = await anyio.to_thread.run_sync(
                fetch, url, self._config.fetch, abandon_on_cancel=True, limiter=self._downloads
            )
            found.downloads.append(download)
            downloaded = download.path_or_bytes()
            assert isinstance(downloaded, Path)
            path = downloaded
            found.names[str(path)] = download.name
        else:
            path = self._local(url)
            found.names[str(path)] = url
        return path

    def _local(self, url: str) -> Path:
        """A file under the allowed folder, given as file:///path or as a path, also relative to that folder."""
        if self._folder is None:
            raise UserError(
                f"{url[:80]}: local files are not served here; send http(s) or data: URLs, or upload to /v1/files"
            )
        name = url
        if url[:7].lower() == "file://":
            host, slash, rest = url[7:].partition("/")
            if host not in ("", "localhost"):
                raise UserError(f"{url[:80]}: a file URL names no host: file:///folder/file")
            name = slash + urllib.parse.unquote(rest)
        refusal = UserError(f"{url[:80]}: no such file in the folder of local media")
        try:
            path = (self._folder / name).resolve()  # links are followed before the check, not after
            if not path.is_relative_to(self._folder) or not path.is_file():
                raise refusal
        except (OSError, ValueError, RuntimeError) as error:  # a null byte, a name too long, links in a circle
            raise refusal from error
        return path


def wanted(part: schema.Part) -> Wanted:
    """What a part names. UserError for one that names nothing, or two things."""
    match part:
        case schema.ImagePart(image_url=str(url)) | schema.ImagePart(image_url=schema.ImageUrl(url=url)):
            return "image", url, {}
        case schema.InputImagePart():
            return "image", _one_of(part.type, url=part.image_url, file_id=part.file_id), {}
        case schema.VideoPart(video_url=str(url)):
            return "video", url, {}
        case schema.VideoPart(video_url=schema.VideoUrl() as video):
            return "video", video.url, clip_options(video)
        case schema.InputVideoPart(input_video=video):
            data = None if video.data is None else _as_data_url(video.data)
            return "video", _one_of(part.type, data=data, url=video.url, file_id=video.file_id), clip_options(video)
        case schema.FilePart(file=file):
            data = None if file.file_data is None else _as_data_url(file.file_data)
            return "media", _one_of(part.type, file_data=data, file_id=file.file_id), clip_options(file)
    raise AssertionError(part)


def clip_options(clip: schema.Clip) -> dict[str, Any]:
    """What a clip says, in the engine's words."""
    names = {"fps": "fps", "max_frames": "max_frames", "num_frames": "num_frames", "start": "start_s", "end": "end_s"}
    said = clip.model_dump(include=set(names), exclude_none=True)
    return {names[key]: value for key, value in said.items()}


def _one_of(kind: str, **given: str | None) -> str:
    said = {name: value for name, value in given.items() if value is not None}
    if len(said) != 1:
        raise UserError(f"a part of type {kind} needs exactly one of {', '.join(given)}, not {len(said)} of them")
    [(name, value)] = said.items()
    return f"file_id:{value}" if name == "file_id" else value


def _as_data_url(data: str) -> str:
    return data if data[:5].lower() == "data:" else f"data:;base64,{data}"
