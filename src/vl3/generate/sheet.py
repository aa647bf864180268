"""What the model saw: the frames at the size that it was shown, with what the pruner dropped in shade."""

from collections.abc import Iterator, Sequence

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


def seen_frames(visual: Visual, patch: int, shade: bool = True) -> Iterator[Image.Image]:
    """The frames of a visual, one at a time; with `shade`, dropped windows are a dark blue through which the picture
    still shows."""
    side = patch * visual.merge
    t, h, w = visual.grid
    kept = visual.keep.view(t, h // visual.merge, w // visual.merge).cpu().numpy()
    for rows, mask in zip(visual.patches.cpu().split(visual.patches_per_frame), kept, strict=True):
        frame = unpatchify(rows, (1, h, w), patch, visual.merge)[0].numpy()
        if shade:
            dropped = np.repeat(np.repeat(~mask, side, axis=0), side, axis=1)[..., None]
            frame = np.where(dropped, (frame * 0.25 + np.array([20, 30, 90])).astype(np.uint8), frame)
        yield Image.fromarray(frame)


def thumbnail(picture: Image.Image) -> Image.Image:
    """The picture in the width that the sheet has."""
    return picture.resize((THUMBNAIL, max(1, round(THUMBNAIL * picture.height / picture.width))))


def _cells(info: MediaInfo, visual: Visual, patch: int) -> Iterator[Image.Image]:
    per_frame = visual.keep.shape[1]
    for picture, time_s, count in zip(seen_frames(visual, patch), info.times_s, visual.tokens_per_frame, strict=True):
        small = thumbnail(picture)
        cell = Image.new("RGB", (THUMBNAIL, small.height + CAPTION), "white")
        cell.paste(small, (0, CAPTION))
        name = f"{time_s:.1f} s" if info.kind == "video" else info.name.rsplit("/", 1)[-1][:24]
        ImageDraw.Draw(cell).text((2, 2), f"{name}   {count} of {per_frame} tokens", fill="black")
        yield cell
