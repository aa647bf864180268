"""Small pictures of rows, inside the page that shows them."""

import base64
import io
from types import TracebackType
from typing import Any, Self

from PIL import Image

from vl3.config import SamplingConfig
from vl3.curate.media import picture, source_of
from vl3.curate.step import Rows
from vl3.errors import UserError
from vl3.media import Decoder

SIDE = 160
"""Longest side of a thumbnail, in pixels."""
TIME_LIMIT_S = 30.0
"""Longest time for a frame of a video."""

Row = dict[str, Any]


class Thumbnails:
    """Makes them, up to a number. A context manager."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._decoder = Decoder(TIME_LIMIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._decoder.close()

    def of(self, row: Row, side: int = SIDE) -> str:
        """A `data:` URL; empty where there is nothing to show: no file, a damaged one, or enough pictures made."""
        if self._left <= 0 or not row.get("path"):
            return ""
        rows: Rows = {name: [value] for name, value in row.items()}
        try:
            image = picture(rows, 0) if row["kind"] == "image" else self._frame(rows, row)
        except (UserError, OSError):
            return ""
        self._left -= 1
        image.thumbnail((side, side))
        data = io.BytesIO()
        image.convert("RGB").save(data, "JPEG", quality=70)
        return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"

    def _frame(self, rows: Rows, row: Row) -> Image.Image:
        """The frame in the middle of a clip, or the first of a whole video."""
        start_s, end_s = row.get("start_s"), row.get("end_s")
        window: dict[str, float] = {}
        if start_s is not None and end_s is not None:
            middle = (start_s + end_s) / 2
            window = {"start_s": middle, "end_s": middle + 0.01}
        info = self._decoder.probe(source_of(rows, 0), SamplingConfig(num_frames=1, **window), "video")  # type: ignore[arg-type]
        scale = min(1.0, SIDE / max(info.height, info.width))
        size = (max(1, round(info.height * scale)), max(1, round(info.width * scale)))
        return Image.fromarray(self._decoder.read(info, size)[0])
