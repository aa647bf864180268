"""content: tells scenes, documents, charts and screenshots apart, and how much text a picture holds; without a model.

Text is where sudden changes from left to right, both up and down, lie densely (as in the step `motion`); so do leaves
and fur. Pages have much of it, few colours and a ground of one colour, which scenes lack: documents hardly any colour,
charts some on a plain ground, screenshots more. The limits were chosen on generated pages, photographs and wallpapers;
benchmarks/curation_content.py measures how often they hold.
"""

from functools import partial
from typing import Annotated, Literal

import numpy as np
from PIL import Image
from pydantic import Field

from vl3.config import configclass
from vl3.curate.media import PLACE, picture_batches
from vl3.curate.step import Found, Rows, RowStep, plain
from vl3.curate.steps.motion import GREY, standing_text

LONG_SIDE = 512
MIN_PAGE_TEXT = 0.07
"""Least text density of a page."""
MAX_PAGE_COLOUR = 0.55
"""Most coloured share of a page; more is a sign or a packet in a scene."""
MIN_PAGE_GROUND = 0.25
"""Least share of a page's most frequent colour."""
MAX_DOCUMENT_COLOUR = 0.14
MAX_CHART_COLOUR = 0.3
MIN_CHART_GROUND = 0.6
"""Least share of a chart's most frequent colour."""
COLOURED = 40
"""Least difference of a coloured pixel's channels, in grey levels."""

Share = Annotated[float, Field(ge=0, le=1)]
Kind = Literal["scene", "document", "chart", "screenshot"]


@configclass
class ContentConfig:
    """What is kept."""

    keep: tuple[Kind, ...] = ("scene", "document", "chart", "screenshot")
    """Kinds that are kept; all by default."""
    min_text: Share = 0.0
    """Least text density: share of the picture under text."""
    max_text: Share = 1.0
    """Most text density."""

    def __post_init__(self) -> None:
        if not self.keep:
            raise ValueError("keep needs at least one kind")
        if self.min_text > self.max_text:
            raise ValueError(f"min_text ({self.min_text:g}) is above max_text ({self.max_text:g})")


def content_step(config: ContentConfig) -> RowStep:
    """Writes `content` and `text_density`."""
    outputs = {"content": "string", "text_density": "float32"}
    return RowStep(PLACE, outputs, plain(partial(judge, config)), only="image")  # type: ignore[arg-type]


def judge(config: ContentConfig, rows: Rows) -> Found:
    """Looks at every picture."""
    columns: Rows = {name: [None] * len(rows["id"]) for name in ("content", "text_density")}
    reasons: list[str | None] = [None] * len(rows["id"])
    for (number,), (image,) in picture_batches(rows, range(len(reasons)), 1, reasons):
        columns["content"][number], columns["text_density"][number] = kind, density = tell(image)
        reasons[number] = _fault(config, kind, density)
    return Found(columns, reasons)


def tell(image: Image.Image) -> tuple[Kind, float]:
    """(what it is, text density)."""
    image = image.copy()
    image.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.BOX)
    rgb = np.asarray(image)
    density = standing_text((rgb @ GREY)[None])
    coloured = float((rgb.max(2) - rgb.min(2) > COLOURED).mean())
    coarse = (rgb >> 4).astype(np.int32) @ np.array([256, 16, 1])
    ground = float(np.bincount(coarse.ravel()).max()) / coarse.size
    if density < MIN_PAGE_TEXT or coloured >= MAX_PAGE_COLOUR or ground < MIN_PAGE_GROUND:
        return "scene", density
    if coloured < MAX_DOCUMENT_COLOUR:
        return "document", density
    return "chart" if coloured <= MAX_CHART_COLOUR and ground >= MIN_CHART_GROUND else "screenshot", density


def _fault(config: ContentConfig, kind: Kind, density: float) -> str | None:
    if kind not in config.keep:
        return f"a {kind}"
    if density < config.min_text:
        return "little text"
    return "much text" if density > config.max_text else None
