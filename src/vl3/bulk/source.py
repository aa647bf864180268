"""What is asked: the lines of a file, or all media of a folder with the same questions."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from vl3.chat import Message, media_of
from vl3.data.schema import files_of, independent_turns, messages_of, writable
from vl3.errors import UserError
from vl3.generate import Options
from vl3.log import logger
from vl3.media.source import FRAME_SUFFIXES, VIDEO_SUFFIXES, natural_key

Key = tuple[int | str, int]
"""The number of a line or the path of a file, and which of its questions."""


@dataclass(frozen=True)
class Question:
    """One request of the many."""

    place: int | str
    """The number of its line, or the path of its file inside the folder."""
    number: int | None
    """Which of the questions of that place, from 1 on; None when there is one."""
    id: str | int | None
    """What its line calls it."""
    where: str
    """The same for people."""
    digest: str
    """Of all that it says."""
    asked: list[Message] | UserError
    """The conversation up to what is to be answered, or why it cannot be asked."""
    options: Options
    """Its own frames, tokens and decoding."""

    @property
    def key(self) -> Key:
        """Tells it apart from all others of its source."""
        return self.place, self.number or 1


Source = Callable[[], Iterator[Question]]
"""Gives all questions, anew at each call."""


def open_source(path: Path, questions: Sequence[str] = (), root: Path | None = None) -> Source:
    """The questions of a .jsonl file; or with `questions`, each of them about each image and video under a folder.

    root: where the file's relative paths begin, if not beside it. UserError when there is nothing to ask.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    if path.is_dir():
        if not questions:
            raise UserError(f'{path}: a folder needs a question: vl3 run {path} -q "What is this?" -o answers.jsonl')
        if root is not None:
            raise UserError("--root is for the paths inside a .jsonl file, not for a folder")
        files = _media(path)
        return partial(_of_folder, path, files, list(questions))
    if questions:
        raise UserError(f"{path}: -q asks about the media of a folder; a .jsonl file has its own questions")
    if path.suffix.lower() != ".jsonl":
        raise UserError(f"{path}: the questions are the lines of a .jsonl file, or a folder of media and -q")
    source = partial(_of_file, path, (root or path.parent).absolute())
    if next(source(), None) is None:
        raise UserError(f"{path}: no questions in it; it takes one JSON object a line")
    return source


# ---------------------------------------------------------------------------------------------------------- a folder


def _media(folder: Path) -> list[Path]:
    """The images and videos under a folder, in the order of their names; what else lies there is counted."""
    files = [file for file in folder.rglob("*") if file.is_file() and not _hidden(file.relative_to(folder))]
    media = [file for file in files if file.suffix.lower() in FRAME_SUFFIXES | VIDEO_SUFFIXES]
    others = sorted({file.suffix or file.name for file in set(files).difference(media)})
    if not media:
        raise UserError(f"{folder}: no images or videos in it ({', '.join(sorted(FRAME_SUFFIXES | VIDEO_SUFFIXES))})")
    if others:
        count = len(files) - len(media)
        logger.warning(
            "%s: %d of %d files are neither images nor videos: %s", folder, count, len(files), ", ".join(others[:10])
        )
    return sorted(media, key=lambda file: (natural_key(file.parent), natural_key(file)))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _of_folder(folder: Path, files: list[Path], questions: list[str]) -> Iterator[Question]:
    for file in files:
        place = file.relative_to(folder).as_posix()
        for number, text in enumerate(questions, 1):
            content = [{"type": "media", "media": file}, {"type": "text", "text": text}]
            yield Question(
                place=place,
                number=number if len(questions) > 1 else None,
                id=None,
                where=str(file),
                digest=_digest(text.encode()),
                asked=[{"role": "user", "content": content}],
                options={},
            )


# ------------------------------------------------------------------------------------------------------------ a file


def _of_file(path: Path, root: Path) -> Iterator[Question]:
    """One question for each line, more for a line of independent ones; a line that is none, with its error."""
    seen: dict[str | int, int] = {}
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            id_: str | int | None = None
            try:
                data = _parsed(line)
                id_ = _id(data, seen, number)
                conversations: list[list[Message] | UserError] = [*_conversations(data, root)]
                options = _options(data)
            except UserError as error:
                conversations, options = [UserError(writable(error))], {}
            for place, asked in enumerate(conversations, 1):
                yield Question(
                    place=number,
                    number=place if len(conversations) > 1 else None,
                    id=id_,
                    where=f"{path}:{number}",
                    digest=_digest(line.strip()),
                    asked=asked,
                    options=options,
                )


def _parsed(line: bytes) -> Mapping[str, Any]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:  # also what is not UTF-8, numbers of 5000 digits, endless nesting
        raise UserError(f"not valid JSON: {error}") from error
    if not isinstance(data, Mapping):
        raise UserError(f"a line must be an object, not {data!r:.60}")
    return data


def _id(data: Mapping[str, Any], seen: dict[str | int, int], number: int) -> str | int | None:
    """What the line calls itself; UserError when an earlier one is called so too."""
    id_ = data.get("id")
    if id_ is None:
        return None
    if not isinstance(id_, str | int):
        raise UserError(f"its id must be text or a whole number, not {id_!r:.40}")
    if seen.setdefault(id_, number) != number:
        raise UserError(f"its id {id_!r:.60} is that of line {seen[id_]} already")
    return id_


def _conversations(data: Mapping[str, Any], root: Path) -> list[list[Message]]:
    """What a line asks: its messages, without the true answer that training data end with."""
    if "question" in data:
        messages = messages_of({"messages": [_user_turn(data)]}, root)
    elif not {"messages", "conversations", "stream"} & set(data):
        raise UserError("a line needs `question` (with `image` or `video`), `messages` or `conversations`")
    else:
        messages = messages_of(data, root)
    several = independent_turns(messages) if data.get("independent") else [messages]
    return [_open_end(conversation) for conversation in several]


def _user_turn(data: Mapping[str, Any]) -> Message:
    """{"image": ..., "video": ..., "question": ...} as a message."""
    if not isinstance(data["question"], str) or not data["question"].strip():
        raise UserError("`question` must be text that is not empty")
    media = [{"type": kind, kind: file} for kind in ("image", "video") for file in files_of(data, kind)]
    return {"role": "user", "content": [*media, {"type": "text", "text": data["question"]}]}


def _open_end(messages: list[Message]) -> list[Message]:
    media_of(messages)  # raises for what is no message
    asked = messages[:-1] if messages[-1]["role"] == "assistant" else messages
    if not asked or asked[-1]["role"] not in ("user", "stream"):
        raise UserError("nothing is asked: the last turn before the answer must be a user's")
    return asked


def _options(data: Mapping[str, Any]) -> Options:
    """The line's own options; whether they make sense is found out when it is submitted."""
    options: Any = data.get("options", {})
    if not isinstance(options, dict) or "constraint" in options:
        raise UserError('`options` must be an object such as {"fps": 2, "max_new_tokens": 60}')
    return cast(Options, options)


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()
