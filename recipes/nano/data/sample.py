"""What every renderer of nano's data returns, and how it becomes files and lines of annotations.

A renderer is a function of a random source (and of a pool of pictures): the same seed gives the same sample.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from PIL import Image

from vl3.data.boxes import Box

Split = Literal["train", "held_out"]
"""held_out: pictures, fonts, chart styles, motions and question templates that training never sees."""


@dataclass(frozen=True)
class Question:
    """One question of a picture or clip, with its answer."""

    kind: str
    """What it asks for; evaluation scores and reports by it. One of KINDS."""
    text: str
    answer: str


@dataclass(frozen=True)
class Region:
    """A thing in a picture, for dense alignment."""

    box: Box
    """[x1, y1, x2, y2] in thousandths of the picture."""
    text: str
    """What is there: a name (`dog`), a coloured shape (`red circle`), or a written word or number."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A picture, several pictures, a clip, a stream or plain text, with questions that know nothing of each other."""

    questions: Sequence[Question]
    images: Sequence[Image.Image] = ()
    clip: "Clip | None" = None
    regions: Sequence[Region] = ()
    """Of a single picture."""
    stream: Sequence[tuple[float, str, str]] = ()
    """(seconds, role, content) of a streamed clip's turns; then `questions` is empty."""


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames of one size at a steady rate."""

    frames: np.ndarray
    """uint8 [t, height, width, 3], even sides."""
    fps: int = 8


KINDS = (
    "name",  # a picture's subject: name_photo or name_drawing in evaluation, by its source
    "colour",
    "shape",
    "count",
    "position",
    "relation",
    "size",
    "yes_no",
    "list",
    "caption",
    "read",
    "key_value",
    "table",
    "chart_title",
    "chart_label",
    "chart_largest",
    "chart_value",
    "box",
    "compare",
    "motion",
    "event",
    "order",
    "when",
    "video_count",
    "video_caption",
    "stream",
    "text",
)


@dataclass(frozen=True)
class Writer:
    """Writes samples of one kind of data into `folder`/`name`.jsonl and `folder`/media/`name`/."""

    folder: Path
    name: str

    def line(self, index: int, sample: Sample) -> str:
        """Writes the sample's media and returns its line. Any index, in any process."""
        media = self.folder / "media" / self.name
        media.mkdir(parents=True, exist_ok=True)
        data: dict[str, Any] = {}
        stem = f"media/{self.name}/{index:06d}"
        if sample.clip is not None:
            data["video"] = [f"{stem}.mp4"]
            write_clip(self.folder / f"{stem}.mp4", sample.clip)
        if sample.images:
            data["image"] = []
        for place, image in enumerate(sample.images):
            path = f"{stem}.jpg" if len(sample.images) == 1 else f"{stem}-{place}.jpg"
            image.convert("RGB").save(self.folder / path, quality=92)
            data["image"].append(path)
        if sample.stream:
            assert sample.clip is not None
            turns = [{"role": role, "content": content, "time": time_s} for time_s, role, content in sample.stream]
            end = len(sample.clip.frames) / sample.clip.fps
            return json.dumps({"stream": True, **data, "start_time": 0, "end_time": end, "conversation": turns})
        placeholders = "<video>\n" * (sample.clip is not None) + "<image>\n" * len(sample.images)
        turns = []
        for place, question in enumerate(sample.questions):
            assert question.kind in KINDS, question.kind
            turns.append({"from": "human", "value": (placeholders if place == 0 else "") + question.text})
            turns.append({"from": "gpt", "value": question.answer})
        data |= {"independent": True, "kinds": [q.kind for q in sample.questions], "conversations": turns}
        if sample.regions:
            data["regions"] = [{"box": list(region.box), "text": region.text} for region in sample.regions]
        return json.dumps(data, ensure_ascii=False)


def write_clip(path: Path, clip: Clip) -> None:
    """H.264 in mp4, small."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(clip.fps))
        stream.height, stream.width = clip.frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "20", "preset": "veryfast", "threads": "1"}
        for frame in clip.frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode(None))
    path.write_bytes(buffer.getvalue())
