"""Any-resolution vision tokenization: how large each image and frame becomes (paper section 3.1).

Sides are multiples of factor = patch size * merge size, so that every token is a whole window of patches.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vl3.config import ProcessorConfig
from vl3.errors import UserError


@dataclass(frozen=True)
class Source:
    """What of an image or clip decides its size."""

    is_video: bool
    """Video frames and images have merge sizes and limits of their own."""
    num_frames: int
    """1 for an image."""
    height: int
    """Pixels, as displayed."""
    width: int
    """Pixels, as displayed."""


def target_sizes(sources: Sequence[Source], config: ProcessorConfig) -> list[tuple[int, int]]:
    """(height, width) in pixels for the frames of each image and clip of one request, in order."""
    if config.resize == "transformers":
        return [_own_limits(source, config) for source in sources]
    factors = [_factor(source, config) for source in sources]
    if len(set(factors)) > 1:
        return _shared_scale(sources, factors, config)
    num_frames = sum(source.num_frames for source in sources)
    return [_request_budget(s, f, num_frames, config) for s, f in zip(sources, factors, strict=True)]


def _factor(source: Source, config: ProcessorConfig) -> int:
    return config.patch_size * (config.video_merge_size if source.is_video else config.image_merge_size)


def _request_budget(source: Source, factor: int, num_frames: int, config: ProcessorConfig) -> tuple[int, int]:
    """The authors' rule: max_tokens are shared evenly by all images and frames of the request."""
    if num_frames > config.max_tokens:
        raise UserError(
            f"{num_frames} frames do not fit into {config.max_tokens} visual tokens: "
            "use fewer frames (--max-frames, --fps) or more tokens (--max-tokens)"
        )
    most = config.max_tokens / num_frames * factor**2
    height, width = fit(source.height, source.width, factor, config.min_tokens * factor**2, most)
    # a side cannot shrink below one window; then the other one gives way, or a thread-like picture breaks the budget
    longest = max(factor, int(most / factor**2) * factor)
    return (height, min(width, longest)) if height == factor else (min(height, longest), width)


def _shared_scale(sources: Sequence[Source], factors: list[int], config: ProcessorConfig) -> list[tuple[int, int]]:
    """The authors' rule for one request with different merge sizes: one scale for all media, no minimum."""
    pairs = list(zip(sources, factors, strict=True))
    tokens = sum(s.num_frames * math.ceil(s.height / f) * math.ceil(s.width / f) for s, f in pairs)
    if tokens <= config.max_tokens:
        return [(_at_least(round(s.height / f), f), _at_least(round(s.width / f), f)) for s, f in pairs]
    beta = math.sqrt(tokens / config.max_tokens)
    return [(_at_least(s.height / beta / f, f), _at_least(s.width / beta / f, f)) for s, f in pairs]


def _own_limits(source: Source, config: ProcessorConfig) -> tuple[int, int]:
    """`transformers`' rule: pixel limits for each image; for a clip, the maximum is divided among its frames."""
    height, width = source.height, source.width
    if max(height, width) > 200 * min(height, width):
        raise UserError(f"a picture of {width} x {height} pixels is too thin: sides may differ by a factor of 200")
    if source.is_video:
        limits = config.video_min_pixels, config.video_max_pixels // source.num_frames
    else:
        limits = config.image_min_pixels, config.image_max_pixels
    return fit(height, width, _factor(source, config), *limits)


def fit(height: int, width: int, factor: int, min_pixels: float, max_pixels: float) -> tuple[int, int]:
    """Rounds both sides to multiples of `factor`, then shrinks or grows them, aspect kept, to lie within the limits."""
    rounded = round(height / factor) * factor, round(width / factor) * factor
    if rounded[0] * rounded[1] > max_pixels:
        beta = math.sqrt(height * width / max_pixels)
        return _at_least(height / beta / factor, factor), _at_least(width / beta / factor, factor)
    if rounded[0] * rounded[1] < min_pixels:
        beta = math.sqrt(min_pixels / (height * width))
        return math.ceil(height * beta / factor) * factor, math.ceil(width * beta / factor) * factor
    return max(factor, rounded[0]), max(factor, rounded[1])


def _at_least(windows: float, factor: int) -> int:
    return max(1, math.floor(windows)) * factor
