"""File -> model inputs: a 60 s clip of 1080p at 1 frame a second, vl3 against transformers' video processor.

    python benchmarks/preprocess.py

Each side runs in processes of its own, in turns; memory is the peak of the side's processes together, above what is
resident once its imports are done. transformers' processor needs torchvision (see benchmarks/README.md).
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from common import progress, ratio, say

MAX_PIXELS = 16384 * 28 * 28
"""Of a whole clip: the authors' 16384 tokens."""


def main() -> None:
    """Prints how many times faster and smaller vl3 is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, help="a video of your own instead of the generated one")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a clip of 4 s at 320 x 180, to try the script")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        print(json.dumps(SIDES[args.side](args.clip)))
        return
    with tempfile.TemporaryDirectory() as folder:
        clip = args.clip or Path(folder) / "clip.mp4"
        if args.clip is None:
            progress("making the clip")
            make_clip(clip, *((4, 320, 180) if args.quick else (60, 1920, 1080)))
        runs: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
        for run in range(args.runs):
            for side in SIDES:
                progress(f"{side}: run {run + 1} of {args.runs}")
                command = [sys.executable, __file__, "--side", side, "--clip", str(clip)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    sys.exit(f"{side} failed: {done.stderr[-2000:]}")
                runs[side].append(json.loads(done.stdout.splitlines()[-1]))
    progress("")
    seconds = {side: [run["seconds"] for run in runs[side]] for side in SIDES}
    memory = {side: statistics.median(run["bytes"] for run in runs[side]) for side in SIDES}
    ours, theirs = runs["vl3"][0], runs["transformers"][0]
    result = {
        "what": f"{ours['grid'][0]} frames, grid {ours['grid'][1]} x {ours['grid'][2]}",
        "same grid": "yes" if ours["grid"] == theirs["grid"] else f"no: {theirs['grid']}",
        "mean of the inputs, vl3 and transformers": f"{ours['mean']:.4f} {theirs['mean']:.4f}",
        "times faster than transformers": ratio(seconds),
        "peak memory, share of transformers'": memory["vl3"] / memory["transformers"],
    }
    say(result, args.json)


def vl3_side(clip: Path) -> dict[str, Any]:
    """Our way: the frames are chosen, decoded in the worker process and resized, patched and pruned."""
    from vl3.chat import MediaPart
    from vl3.config import ProcessorConfig
    from vl3.media import Decoder
    from vl3.model.visual import normalise
    from vl3.processing import load_visuals

    config = ProcessorConfig(resize="transformers", video_max_pixels=MAX_PIXELS)
    before = resident()
    start = time.perf_counter()
    with Decoder() as decoder:
        [visual], _ = load_visuals([MediaPart("video", str(clip))], config, decoder)
        children = sum(peak(process) for process in child_ids())
    # the encoder normalises its portions of patches as it goes; that time counts here
    total = sum(float(normalise(part, visual.mean, visual.std).sum()) for part in visual.patches.split(16384))
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "bytes": peak() - before + children,
        "grid": list(visual.grid),
        "mean": total / visual.patches.numel(),
    }


def transformers_side(clip: Path) -> dict[str, Any]:
    """transformers' way: its video processor reads the file with its own default decoder."""
    from transformers import VideoLlama3VideoProcessor

    size = {"shortest_edge": 128 * 28 * 28, "longest_edge": MAX_PIXELS}
    processor = VideoLlama3VideoProcessor(size=size, do_sample_frames=True, fps=1, max_frames=180)
    before = resident()
    start = time.perf_counter()
    out = processor(videos=[str(clip)], return_tensors="pt", do_sample_frames=True, fps=1)
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "bytes": peak() - before,
        "grid": out["video_grid_thw"][0].tolist(),
        "mean": float(out["pixel_values_videos"].mean()),
    }


SIDES = {"transformers": transformers_side, "vl3": vl3_side}


def peak(process: str = "self") -> int:
    """Greatest resident size of a process so far, in bytes.

    From its memory map: what wait() reports for a child counts the parent's size at the fork too.
    """
    [line] = [line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def child_ids() -> list[str]:
    """The processes that this one has started."""
    return [process for task in Path("/proc/self/task").glob("*/children") for process in task.read_text().split()]


def resident() -> int:
    """Resident size of this process now, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def make_clip(path: Path, seconds: int, width: int, height: int) -> None:
    """H.264 at 25 frames a second: a textured background that pans under moving blocks; libx264's default settings."""
    import av

    rng = np.random.default_rng(0)
    texture = rng.integers(0, 256, (height // 8 + 40, width // 8 + 80, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(seconds * 25):
            x, y = number % 300, number % 150
            image = texture[y : y + height, x : x + width].copy()
            left = number * 7 % (width - width // 8)
            image[height // 3 : height // 2, left : left + width // 8] = (number % 256, 80, 200)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    main()
