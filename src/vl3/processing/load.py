"""Media -> visuals: choose the frames of a request, share the token budget, decode at that size, patch, prune."""

from collections.abc import Sequence

from vl3.chat import MediaPart
from vl3.config import ProcessorConfig, SamplingConfig, decode, encode
from vl3.media import Decoder, MediaInfo
from vl3.model.visual import Visual
from vl3.processing.processor import make_visual, media_sizes


def load_visuals(
    parts: Sequence[MediaPart], config: ProcessorConfig, decoder: Decoder
) -> tuple[list[Visual], list[MediaInfo]]:
    """Chooses frames of all media, then decodes each at its share of the request's token budget."""
    infos = probe_media(parts, config, decoder)
    visuals, seen = [], []
    for info, size in zip(infos, media_sizes(infos, config), strict=True):
        # frames that a damaged file cannot give are left out with a warning; the times that remain are true
        present, frames = decoder.salvage(info, size)
        visuals.append(make_visual(frames, info.kind == "video", config))
        seen.append(present)
    return visuals, seen


def probe_media(parts: Sequence[MediaPart], config: ProcessorConfig, decoder: Decoder) -> list[MediaInfo]:
    """Chooses the frames of all media; nothing is decoded but a frame of each video, to learn its size."""
    return [decoder.probe(part.source, _sampling(config.sampling, part), part.kind) for part in parts]


def times_of(infos: Sequence[MediaInfo]) -> list[Sequence[float] | None]:
    """Frame times of videos, None for images: what the prompt says of them."""
    return [info.times_s if info.kind == "video" else None for info in infos]


def _sampling(defaults: SamplingConfig, part: MediaPart) -> SamplingConfig:
    if not part.options:
        return defaults
    return decode(SamplingConfig, {**encode(defaults), **part.options}, f"options of {part.kind} {part.source!s:.60}")
