"""Generated media whose frames say which they are: each carries its number as eight black or white squares."""

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

HEIGHT, WIDTH = 64, 128
SQUARE = 32
X264 = {"preset": "ultrafast", "bf": "3", "b_strategy": "0", "bframes": "3", "crf": "20"}


def picture(number: int) -> np.ndarray:
    """uint8 [64, 128, 3]: the number's bits as 2 x 4 squares."""
    bits = [(number >> place) & 1 for place in range(8)]
    squares = np.array(bits, np.uint8).reshape(2, 4) * 215 + 20
    return np.repeat(squares.repeat(SQUARE, 0).repeat(SQUARE, 1)[..., None], 3, 2)


def number_in(frame: np.ndarray) -> int:
    """Reads the number back, whatever the frame's size."""
    height, width = frame.shape[0] // 2, frame.shape[1] // 4
    total = 0
    for place in range(8):
        row, column = divmod(place, 4)
        cell = frame[row * height : (row + 1) * height, column * width : (column + 1) * width].astype(float)
        core = cell[height // 4 : -height // 4, width // 4 : -width // 4].mean()
        assert core < 90 or core > 165, f"square {place} is neither black nor white ({core:.0f})"
        total |= (core > 127) << place
    return total


def write_clip(
    path: Path | io.BytesIO,
    ticks: Sequence[int],
    codec: str = "libx264",
    time_base: Fraction = Fraction(1, 1000),
    gop: int = 12,
    options: dict[str, str] | None = None,
    size: tuple[int, int] = (HEIGHT, WIDTH),
    rotation: int | None = None,
    ratio: Fraction | None = None,
    container_format: str | None = None,
    rate: int = 25,
    container_options: dict[str, str] | None = None,
) -> None:
    """A video whose frame i shows the number i and has the presentation time ticks[i] * time_base."""
    if options is None:
        options = {"libx264": X264, "mpeg4": {"bf": "2"}}.get(codec, {"deadline": "realtime", "cpu-used": "8"})
    with av.open(path, "w", format=container_format, options=container_options) as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        stream.gop_size = gop
        stream.time_base = stream.codec_context.time_base = time_base
        stream.codec_context.bit_rate = 800_000
        if ratio is not None:
            stream.codec_context.sample_aspect_ratio = ratio
        if rotation is not None:
            stream.set_display_rotation(rotation)
        for number, tick in enumerate(ticks):
            image = Image.fromarray(picture(number)).resize((size[1], size[0]), Image.Resampling.NEAREST)
            frame = av.VideoFrame.from_image(image)
            frame.pts, frame.time_base = tick, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_sound(path: Path) -> None:
    """A file with a second of silence and no video."""
    with av.open(path, "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        for start in range(0, 16000, 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_animation(path: Path, delays_ms: Sequence[int]) -> None:
    """GIF, WebP or PNG, by the suffix."""
    images = [Image.fromarray(picture(number)) for number in range(len(delays_ms))]
    lossless = {"lossless": True} if path.suffix == ".webp" else {}
    images[0].save(path, save_all=True, append_images=images[1:], duration=list(delays_ms), loop=0, **lossless)
