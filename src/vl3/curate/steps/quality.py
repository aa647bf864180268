"""quality: how good a photograph or drawing is technically, by classical measures that need no model.

All are taken of the picture in at most 512 pixels, so that they mean the same for all sizes.

- *blur*, in pixels: the width of the sharpest edges. Where a step that is blurred by s pixels is blurred again by t,
  its slope falls by the factor sqrt(s^2 + t^2) / s, so the fall tells s (S. Zhuo, T. Sim: Defocus map estimation from a
  single image, Pattern Recognition 44, 2011). Measured at the strongest edges, in the worst of four directions, so that
  camera shake shows too.
- *contrast*: how far the 2nd and the 98th percentile of brightness lie apart, 1 from black to white. Dark, overexposed
  and foggy pictures have little.
- *colourfulness*: D. Hasler, S. Suesstrunk: Measuring colourfulness in natural images, SPIE 5007, 2003; 0 is grey, 100
  very colourful.
- *entropy* of brightness, in bits; 0 is one colour.
- *quality*, in 0..1: 0.4 sharp + 0.3 contrast + 0.1 colourful + 0.2 rich, each of these in 0..1.
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vl3.config import configclass
from vl3.curate.media import PLACE, picture_batches
from vl3.curate.step import Found, Rows, RowStep, Type, plain

LONG_SIDE = 512
REBLUR = 1.5
"""The blur t that is added to measure the blur s, in pixels."""
STRONGEST = 0.01
"""Share of pixels that count as edges."""
GRADIENT = 1 / 3
"""Variance, in square pixels, of the blur that taking differences over two pixels adds."""
DIRECTIONS = 4
LEAST_EDGES = 0.1
"""Share of the edges that a direction must have to be judged."""

Grey = NDArray[np.float32]
"""[h, w], brightness in 0..255."""


@configclass
class QualityConfig:
    """Which pictures are not good enough; None judges nothing."""

    max_blur: float | None = 1.5
    """Most blur, in pixels of the picture at 512 pixels."""
    min_contrast: float | None = 0.04
    """Least contrast."""
    min_colourfulness: float | None = None
    """Least colourfulness."""
    min_entropy: float | None = 0.5
    """Least entropy, in bits."""
    min_quality: float | None = None
    """Least quality in all."""


MEASURES = ("blur", "contrast", "colourfulness", "entropy", "quality")


def quality_step(config: QualityConfig) -> RowStep:
    """Writes the five measures."""
    outputs: dict[str, Type] = dict.fromkeys(MEASURES, "float32")
    return RowStep(PLACE, outputs, plain(partial(judge, config)), only="image")


def judge(config: QualityConfig, rows: Rows) -> Found:
    """Measures every picture."""
    columns: Rows = {name: [None] * len(rows["id"]) for name in MEASURES}
    reasons: list[str | None] = [None] * len(rows["id"])
    for (number,), (image,) in picture_batches(rows, range(len(reasons)), 1, reasons):
        measured = measure(image)
        for name in MEASURES:
            columns[name][number] = measured[name]
        reasons[number] = _fault(config, measured)
    return Found(columns, reasons)


def measure(image: Image.Image) -> dict[str, float]:
    """The five measures of a picture."""
    image = image.copy()
    image.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.BOX)
    rgb = np.asarray(image, np.float32)
    grey = rgb @ np.array([0.299, 0.587, 0.114], np.float32)
    found = {
        "blur": blur(grey),
        "contrast": float(np.subtract(*np.percentile(grey, [98, 2]))) / 255,
        "colourfulness": colourfulness(rgb),
        "entropy": entropy(grey),
    }
    sharp = np.clip(2 - found["blur"] / 1.3, 0, 1)
    colourful, rich = min(1.0, found["colourfulness"] / 60), found["entropy"] / 8
    quality = 0.4 * sharp + 0.3 * min(1.0, found["contrast"] / 0.6) + 0.1 * colourful + 0.2 * rich
    return {**found, "quality": float(quality)}


def blur(grey: Grey) -> float:
    """Width of the sharpest edges, in pixels; 99 where there are none."""
    if min(grey.shape) < 8:
        return 99.0
    smooth = gaussian(grey, REBLUR)
    slope_y, slope_x = slopes(smooth)
    strength: Grey = np.asarray(np.hypot(slope_x, slope_y))
    edges = strength >= max(float(np.quantile(strength, 1 - STRONGEST)), 0.5)
    if not edges.any():
        return 99.0
    falls = np.hypot(*slopes(grey))[edges] / strength[edges]
    angle = np.arctan2(slope_y[edges], slope_x[edges]) % np.pi / np.pi * DIRECTIONS
    widths = []
    for direction in range(DIRECTIONS):
        away = np.abs((angle - direction + DIRECTIONS / 2) % DIRECTIONS - DIRECTIONS / 2)
        own = falls[away <= 0.5]
        if len(own) >= LEAST_EDGES * len(falls):
            widths.append(REBLUR**2 / max(float(np.quantile(own, 0.75)) ** 2 - 1, 1e-4))
    return float(np.sqrt(max(0.0, max(widths) - GRADIENT)))


def slopes(grey: Grey) -> tuple[Grey, Grey]:
    """Differences of a pixel's neighbours, halved: (downwards, to the right)."""
    down, right = np.gradient(grey)
    return np.asarray(down), np.asarray(right)


def gaussian(grey: Grey, sigma: float) -> Grey:
    """Blurred; edges are repeated outwards."""
    reach = round(4 * sigma)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-(offsets**2) / (2 * sigma**2)).astype(np.float32)
    weights /= weights.sum()
    for axis in (0, 1):
        length = grey.shape[axis]
        padded = np.pad(grey, [(reach, reach) if axis == at else (0, 0) for at in (0, 1)], mode="edge")
        shifted = (np.take(padded, range(k, k + length), axis) for k in range(len(weights)))
        grey = sum((w * part for w, part in zip(weights, shifted, strict=True)), np.zeros_like(grey))
    return grey


def colourfulness(rgb: NDArray[np.float32]) -> float:
    """Hasler and Suesstrunk's measure of [h, w, 3] in 0..255."""
    red_green = rgb[..., 0] - rgb[..., 1]
    yellow_blue = (rgb[..., 0] + rgb[..., 1]) / 2 - rgb[..., 2]
    spread = np.hypot(red_green.std(), yellow_blue.std())
    return float(spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))


def entropy(grey: Grey) -> float:
    """Bits of the histogram of 256 levels."""
    counts = np.bincount(np.clip(grey, 0, 255).astype(np.uint8).ravel(), minlength=256)
    shares = counts[counts > 0] / grey.size
    return float(max(0.0, -(shares * np.log2(shares)).sum()))


def _fault(config: QualityConfig, found: dict[str, float]) -> str | None:
    limits = {
        "blurred": config.max_blur is not None and found["blur"] > config.max_blur,
        "little contrast": config.min_contrast is not None and found["contrast"] < config.min_contrast,
        "little colour": config.min_colourfulness is not None and found["colourfulness"] < config.min_colourfulness,
        "nearly one colour": config.min_entropy is not None and found["entropy"] < config.min_entropy,
        "low quality": config.min_quality is not None and found["quality"] < config.min_quality,
    }
    return next((reason for reason, holds in limits.items() if holds), None)
