"""A folder of tiny media and a processor for them."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.tiny import tiny_config, tiny_tokenizer
from vl3.config import ProcessorConfig
from vl3.processing import Processor


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """a.png to c.png, and clip.mp4: 6 s of 56 x 56 pixels."""
    folder = tmp_path_factory.mktemp("media")
    rng = np.random.default_rng(0)
    for name in "abc":
        Image.fromarray(rng.integers(0, 256, (40, 56, 3), dtype=np.uint8)).save(folder / f"{name}.png")
    with av.open(str(folder / "clip.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width = stream.height = 56
        stream.pix_fmt = "yuv420p"
        for number in range(60):
            image = np.full((56, 56, 3), number * 4, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return folder


@pytest.fixture(scope="session")
def processor() -> Processor:
    return Processor(ProcessorConfig(max_tokens=200, min_tokens=1), tiny_tokenizer(), tiny_config())
