"""LongVideoBench (validation): questions about long videos with their subtitles. https://arxiv.org/abs/2407.15754

Prompt: subtitles between the frames, as VideoLLaMA3 (evaluation/benchmarks/longvideobench.py). Score: the right letter.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vl3.config import read_json
from vl3.errors import UserError
from vl3.eval.benchmark import VIDEO, Benchmark, Need
from vl3.eval.files import Row, check_row, json_rows, letter_at
from vl3.eval.measures import choices
from vl3.eval.task import Item, Task, lettered, video
from vl3.generate import Options

PAGE = "https://huggingface.co/datasets/longvideobench/LongVideoBench"
QUESTIONS = Need("lvb_val.json", "questions and answers", PAGE)
VIDEOS = Need("videos/*.mp4", "videos", f"{PAGE}/tree/main (videos.tar.part.*)")
SUBTITLES = Need("subtitles/*.json", "subtitles", f"{PAGE}/tree/main (subtitles.tar)")
FORM = {
    **dict.fromkeys(("id", "video_path", "subtitle_path", "question"), str),
    "candidates": list,
    "correct_choice": int,
    "duration": int | float,
    "duration_group": int | str,
}
Subtitle = tuple[float, float, str]


def load(folder: Path, options: Options) -> Task:
    """Kinds: the groups of duration, in seconds."""
    items = []
    [path] = QUESTIONS.found(folder)
    for row in json_rows(path):
        check_row(row, FORM, str(path))
        letters = lettered(row["candidates"])
        lines = [f"Question: {row['question']}", *(f"{letter}. {text}" for letter, text in letters.items())]
        prompt = "\n".join([*lines, "Answer with the option's letter from the given choices directly."])
        file = str((folder / "videos" / row["video_path"]).absolute())
        subtitles = _subtitles(folder / "subtitles" / row["subtitle_path"], row)
        content = [*interleaved(file, row["duration"], subtitles, options), {"type": "text", "text": prompt}]
        messages = [{"role": "user", "content": content}]
        truth = letter_at(letters, row["correct_choice"], str(path))
        kind = str(row["duration_group"])
        items.append(Item(row["id"], kind, messages, truth, row["video_path"], choices=letters))
    return Task("longvideobench", items, choices)


def interleaved(file: str, duration_s: float, subtitles: Sequence[Subtitle], options: Options) -> list[dict[str, Any]]:
    """The video in parts, each subtitle after the last frame before its middle. A subtitle that no frame falls into is
    left out. Frames are evenly spaced, the rate lowered where max_frames would be exceeded."""
    fps = min(options.get("fps", 1.0), options.get("max_frames", 180) / max(duration_s, 1e-6))
    frames = [place / fps for place in range(max(1, math.ceil(duration_s * fps - 1e-6)))]
    parts: list[dict[str, Any]] = []
    shown = 0
    for begin, end, text in subtitles:
        middle = (begin + end) / 2
        if end - begin < 1:
            begin, end = middle - 0.5, middle + 0.5
        if not any(begin < time_s < end for time_s in frames):
            continue
        upto = sum(time_s <= middle for time_s in frames)
        if upto > shown:
            parts.append({**_part(file, frames, shown, upto), "fps": fps})
            shown = upto
        parts.append({"type": "text", "text": text})
    if shown < len(frames):
        parts.append({**_part(file, frames, shown, len(frames)), "fps": fps})
    return parts


def _part(file: str, frames: Sequence[float], first: int, stop: int) -> Row:
    """The video from one frame up to another, not included; open at both ends of the video."""
    return video(file, frames[first] if first else None, frames[stop] if stop < len(frames) else None)


def _subtitles(path: Path, row: Row) -> list[Subtitle]:
    """(begin, end, text) in the video's own time; both of the published forms."""
    offset = row.get("starting_timestamp_for_subtitles") or 0
    if not isinstance(offset, int | float):
        raise UserError(f"{path.name}: starting_timestamp_for_subtitles is {offset!r:.60}, not a number of seconds")
    found = []
    lines = read_json(path)
    for line in lines if isinstance(lines, list) else [lines]:
        match line:
            case {"timestamp": [int() | float() as begin, end], "text": str(text)}:
                end = end if isinstance(end, int | float) else row["duration"] + offset
            case {"start": str(first), "end": str(last), "line": str(text)}:
                begin, end = _clock(first, path), _clock(last, path)
            case _:
                raise UserError(f"{path}: not a subtitle with its times: {line!r:.80}")
        found.append((begin - offset, end - offset, text))
    return found


def _clock(text: str, path: Path) -> float:
    match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", text.strip())
    if match is None:
        raise UserError(f"{path}: {text!r:.40} is not a time such as 00:01:02.500")
    return 3600 * int(match[1]) + 60 * int(match[2]) + float(match[3])


LONGVIDEOBENCH = Benchmark(
    "longvideobench",
    "LongVideoBench (validation)",
    "video",
    PAGE,
    [QUESTIONS, VIDEOS, SUBTITLES],
    load,
    VIDEO,
    dataset="longvideobench/LongVideoBench",
)
