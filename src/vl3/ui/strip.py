"""The strip of frames that the model saw, as HTML that holds its pictures."""

import base64
import html
import io
import urllib.parse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from vl3.generate.sheet import THUMBNAIL, seen_frames, thumbnail
from vl3.media import MediaInfo
from vl3.media.info import Pixels
from vl3.model import Visual


def link(video: int, time_s: float) -> str:
    """The address of a moment of a video; the page's script takes the player there."""
    return f"#v={video}&t={time_s:.3f}"


def served(file: Path) -> str:
    """The address of a file in the page's folder, relative to the page."""
    return f"gradio_api/file={urllib.parse.quote(str(file))}"


def strip(infos: Sequence[MediaInfo], visuals: Sequence[Visual], videos: Sequence[int | None], patch: int) -> str:
    """All frames with their times and tokens; dropped tokens are dark. A frame of a video leads to its moment.

    videos: the number of each medium for `link`; None for a picture.
    """
    figures = "".join(
        _figure(
            picture,
            _caption(info, k),
            f"{count}/{visual.keep.shape[1]}",
            None if video is None else link(video, time_s),
        )
        for info, visual, video in zip(infos, visuals, videos, strict=True)
        for k, (picture, time_s, count) in enumerate(
            zip(seen_frames(visual, patch), info.times_s, visual.tokens_per_frame, strict=True)
        )
    )
    return f'<p class="vl3-sum">{_summary(visuals)}</p><div class="vl3-strip" tabindex="0">{figures}</div>'


def pictures(named: Sequence[tuple[str, Pixels]]) -> str:
    """Pictures with the names of their files."""
    figures = "".join(_figure(Image.fromarray(pixels), Path(name).name[:24], "", None) for name, pixels in named)
    return f'<div class="vl3-strip" tabindex="0">{figures}</div>' if figures else ""


def thumbnail_size(info: MediaInfo) -> tuple[int, int]:
    """(height, width) at which a picture is decoded for `pictures`."""
    return max(1, round(THUMBNAIL * info.height / info.width)), THUMBNAIL


def _summary(visuals: Sequence[Visual]) -> str:
    frames = sum(visual.grid[0] for visual in visuals)
    kept, tokens = sum(visual.num_tokens for visual in visuals), sum(visual.keep.numel() for visual in visuals)
    dropped = f", {tokens - kept} dropped by DiffFP (dark)" if kept < tokens else ", none dropped"
    return f"{frames} frame{'s' * (frames > 1)}, {kept} of {tokens} visual tokens{dropped}"


def _caption(info: MediaInfo, k: int) -> str:
    return f"{info.times_s[k]:.1f} s" if info.kind == "video" else Path(info.name).name[:24]


def _figure(picture: Image.Image, caption: str, count: str, address: str | None) -> str:
    out = io.BytesIO()
    thumbnail(picture).save(out, "JPEG", quality=70)
    source = f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"
    image = f'<img alt="" src="{source}">'
    said = f"<figcaption><b>{html.escape(caption)}</b> {count}</figcaption>"
    if address is None:
        return f"<figure>{image}{said}</figure>"
    return f'<figure><a href="{address}" title="Go to {html.escape(caption)}">{image}{said}</a></figure>'
