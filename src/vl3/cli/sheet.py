"""A contact sheet: the frames that the model sees, with their times, and what the pruner dropped in shade."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from vl3.media import MediaInfo
from vl3.model import Visual
from vl3.processing import unpatchify

THUMBNAIL = 240
"""Width of a frame on the sheet, in pixels."""
MOST_COLUMNS = 6
GAP, CAPTION = 6, 16


def contact_sheet(infos: Sequence[MediaInfo], visuals: Sequence[Visual], patch: int) -> Image.Image:
    """All frames of all media in rows, each with its time and its tokens kept of how many."""
    cells = [cell for info, visual in zip(infos, visuals, strict=True) for cell in _cells(info, visual, patch)]
    columns = min(MOST_COLUMNS, len(cells))
    height = max(cell.height for cell in cells) + GAP
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * (THUMBNAIL + GAP) + GAP, rows * height + GAP), "white")
    for place, cell in enumerate(cells):
        row, column = divmod(place, columns)
        sheet.paste(cell, (GAP + column * (THUMBNAIL + GAP), GAP + row * height))
    return sheet


def _cells(info: MediaInfo, visual: Visual, patch: int) -> list[Image.Image]:
    frames = unpatchify(visual.patches, visual.grid, patch, visual.merge).numpy()
    t, h, w = visual.grid
    side = patch * visual.merge
    kept = visual.keep.view(t, h // visual.merge, w // visual.merge).numpy()
    cells = []
    for frame, mask, time_s, count in zip(frames, kept, info.times_s, visual.tokens_per_frame, strict=True):
        shade = np.repeat(np.repeat(~mask, side, axis=0), side, axis=1)[..., None]
        # dropped windows turn to a dark blue through which the picture still shows
        shaded = np.where(shade, (frame * 0.25 + np.array([20, 30, 90])).astype(np.uint8), frame)
        picture = Image.fromarray(shaded)
        height = max(1, round(THUMBNAIL * picture.height / picture.width))
        cell = Image.new("RGB", (THUMBNAIL, height + CAPTION), "white")
        cell.paste(picture.resize((THUMBNAIL, height)), (0, CAPTION))
        name = f"{time_s:.1f} s" if info.kind == "video" else info.name.rsplit("/", 1)[-1][:24]
        ImageDraw.Draw(cell).text((2, 2), f"{name}   {count} of {mask.size} tokens", fill="black")
        cells.append(cell)
    return cells
