"""The peak that `vl3 plan` predicts against the measured one, each input in a fresh process.

python benchmarks/memory.py                   # a small model, ten inputs
python benchmarks/memory.py --shapes 2b       # the 2B's widths with 2 of 28 and 2 of 27 layers, random weights

Measured is VmHWM of /proc (the most memory that a process ever held, shared files included) at the end, less VmRSS once
everything is imported and before the model is read: Python, torch and the other packages. The C library's allocator is
set as --max-memory sets it, to give large blocks back at once.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import say

ANSWER = 32


def main() -> None:
    """Prints predicted and measured megabytes of each input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", choices=["small", "2b"], default="small")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--only", type=int, help="the first so many inputs")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        _child(json.loads(args.child))
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = compare(Path(folder), args.shapes, args.dtype, args.only)
    result: dict[str, Any] = dict(rows)
    result["largest error"] = max(abs(row["error"]) for row in rows.values())
    say(result, args.json)


def compare(folder: Path, shapes: str, dtype: str, only: int | None = None) -> dict[str, dict[str, float]]:
    """{input: predicted and measured MB, relative error}."""
    from vl3.chat import question
    from vl3.generate.plan import footprint, plan
    from vl3.media import Decoder

    model = folder / "model"
    make_model(model, shapes, dtype)
    rows: dict[str, dict[str, float]] = {}
    with Decoder() as decoder:
        for name, (media, text, options) in list(inputs(folder).items())[:only]:
            options = {"max_new_tokens": ANSWER, **options}
            planned = plan(footprint(model, dtype=dtype), question(media, text), options, decoder, read=True)
            measured = _measure({"model": str(model), "media": media, "text": text, "options": options, "dtype": dtype})
            rows[name] = {
                "predicted MB": planned.memory.peak / 1e6,
                "measured MB": measured["peak"] / 1e6,
                "error": planned.memory.peak / measured["peak"] - 1,
                "loaded MB": measured["loaded"] / 1e6,
            }
            figures = ", ".join(f"{key} {value:.3g}" for key, value in rows[name].items())
            print(f"{name}: {figures}", file=sys.stderr, flush=True)
    return rows


def _measure(job: dict[str, Any]) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, __file__, "--child", json.dumps(job)], check=True, stdout=subprocess.PIPE, text=True
    )
    result: dict[str, int] = json.loads(done.stdout)
    return result


def _child(job: dict[str, Any]) -> None:
    import vl3.generate
    import vl3.weights.load
    from vl3.heap import give_back_freed_memory

    give_back_freed_memory()
    before = resident("VmRSS")
    assistant = vl3.generate.load(job["model"], dtype=job["dtype"])
    loaded = resident("VmHWM")
    assistant.ask(*job["media"], job["text"], **job["options"])
    print(json.dumps({"peak": resident("VmHWM") - before, "loaded": loaded - before}))


def resident(field: str) -> int:
    """Bytes of a field of this process's status, from /proc."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field)]
    return int(line.split()[1]) * 1024


def make_model(folder: Path, shapes: str, dtype: str) -> None:
    """Saves a random model."""
    import torch

    from vl3.config import LanguageConfig, ModelConfig, ProcessorConfig, VisionConfig
    from vl3.model import VideoLLaMA3
    from vl3.weights import Checkpoint, save_checkpoint
    from vl3.weights.demo import byte_tokenizer
    from vl3.weights.tokenizer import token_id

    tokenizer = byte_tokenizer()
    image, end = token_id(tokenizer, "<|image_pad|>"), token_id(tokenizer, "<|im_end|>")
    if shapes == "2b":
        vision, language = VisionConfig(num_layers=2), LanguageConfig(num_layers=2)
    else:
        vision = VisionConfig(hidden_size=384, num_layers=4, num_heads=8, intermediate_size=1536)
        language = LanguageConfig(
            vocab_size=272,
            hidden_size=384,
            num_layers=6,
            num_heads=6,
            num_kv_heads=2,
            head_dim=64,
            intermediate_size=1536,
        )
    config = ModelConfig(vision=vision, language=language, image_token_id=image, video_token_id=image)
    torch.manual_seed(0)
    model = VideoLLaMA3(config).to(getattr(torch, dtype))
    checkpoint = Checkpoint(
        model=model,
        config=config,
        processor=ProcessorConfig(),
        tokenizer=tokenizer,
        layout="vl3",
        path=folder,
        eos_token_ids=(end,),
    )
    save_checkpoint(checkpoint, folder, "vl3")


def inputs(folder: Path) -> dict[str, tuple[list[Any], str, dict[str, Any]]]:
    """Ten: {name: (files, question, options)}."""
    photo, large = _picture(folder / "photo.png", 640, 480), _picture(folder / "large.png", 2240, 1680)
    clip, screen = _clip(folder / "clip.mp4", 200, noise=True), _clip(folder / "screen.mp4", 200, noise=False)
    many = [_picture(folder / f"{i}.png", 448, 448) for i in range(8)]
    return {
        "a word": ([], "Hello", {}),
        "6000 letters": ([], "x" * 6000, {}),
        "a photo": ([photo], "What?", {}),
        "a large photo": ([large], "What?", {}),
        "8 photos": (many, "Which?", {}),
        "8 frames": ([clip], "When?", {"num_frames": 8}),
        "60 frames": ([clip], "When?", {"num_frames": 60}),
        "180 frames": ([clip], "When?", {}),
        "180 frames, 4000 tokens": ([clip], "When?", {"max_tokens": 4000}),
        "a screen, pruned to a tenth": ([screen], "When?", {"prune": "keep=0.1"}),
    }


def _picture(path: Path, width: int, height: int) -> str:
    import numpy as np
    from PIL import Image

    Image.fromarray(np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
    return str(path)


def _clip(path: Path, seconds: int, noise: bool) -> str:
    """One frame a second, 640 x 360."""
    import av
    import numpy as np

    random = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=1)
        stream.width, stream.height = 640, 360
        picture = random.integers(0, 256, (360, 640, 3), dtype=np.uint8)
        for _ in range(seconds):
            if noise:
                picture = random.integers(0, 256, (360, 640, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return str(path)


if __name__ == "__main__":
    main()
