"""Clips that are known from their making: what they show, when they are cut, what moves and what is written over."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

HEIGHT, WIDTH = 180, 320


def write_frames(path: Path, frames: Iterable[np.ndarray], ticks: Iterable[int], per_s: int = 25) -> None:
    """uint8 [h, w, 3] frames at presentation times of ticks / per_s seconds."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=per_s, options={"preset": "ultrafast", "crf": "18"})
        stream.height, stream.width = HEIGHT, WIDTH
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for tick, pixels in zip(ticks, frames, strict=False):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = tick * 1000 // per_s, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def scene(seed: int) -> np.ndarray:
    """uint8 [2 h, 2 w, 3]: soft blobs in colours of their own."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (8, 12, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((2 * WIDTH, 2 * HEIGHT), Image.Resampling.BICUBIC))


def pan(picture: np.ndarray, num_frames: int, step: int = 2) -> list[np.ndarray]:
    """The camera moves over a picture that is larger than the frame."""
    return [picture[at * step // 2 :, at * step :][:HEIGHT, :WIDTH] for at in range(num_frames)]


def still(picture: np.ndarray, num_frames: int, noise: float = 0.0) -> list[np.ndarray]:
    """The camera stands; noise: standard deviation of its pixels, in grey levels."""
    rng = np.random.default_rng(0)
    frame = picture[:HEIGHT, :WIDTH]
    return [np.clip(frame + rng.normal(0, noise, frame.shape), 0, 255).astype(np.uint8) for _ in range(num_frames)]


def written_over(frames: list[np.ndarray], lines: list[str], size: int = 18) -> tuple[list[np.ndarray], float]:
    """The frames with lines of white text on black over their lower part, and the text's share of the picture."""
    font = ImageFont.load_default(size)
    area = 0.0
    out = []
    for pixels in frames:
        image = Image.fromarray(pixels)
        draw = ImageDraw.Draw(image)
        area = 0.0
        for number, line in enumerate(lines):
            box = draw.textbbox((10, HEIGHT - 10 - (size + 6) * (number + 1)), line, font)
            draw.text(box[:2], line, "white", font, stroke_width=1, stroke_fill="black")
            area += (box[2] - box[0]) * (box[3] - box[1])
        out.append(np.asarray(image))
    return out, area / (HEIGHT * WIDTH)
