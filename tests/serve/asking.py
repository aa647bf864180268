"""What tests say to a server."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.media.clips import picture


def png(number: int = 5) -> bytes:
    """A numbered picture."""
    out = io.BytesIO()
    Image.fromarray(picture(number)).save(out, "PNG")
    return out.getvalue()


def data_url(data: bytes, kind: str = "image/png") -> str:
    """The bytes in a URL."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def image(number: int = 5) -> dict[str, Any]:
    """A picture in a message."""
    return {"type": "image_url", "image_url": {"url": data_url(png(number))}}


def video(path: Path, **clip: Any) -> dict[str, Any]:
    """A clip in a message."""
    return {"type": "video_url", "video_url": {"url": data_url(path.read_bytes(), "video/mp4"), **clip}}


def user(*parts: Any) -> dict[str, Any]:
    """A turn."""
    return {"role": "user", "content": [{"type": "text", "text": p} if isinstance(p, str) else p for p in parts]}


def noise(seed: int, height: int, width: int) -> Image.Image:
    """A picture that no codec makes small."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))
