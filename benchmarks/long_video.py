"""Long videos within a limit: the peak of memory of `vl3 ask` about 1, 10 and 60 minutes of 1080p.

python benchmarks/long_video.py                                # a small random model, --max-memory 4GB
python benchmarks/long_video.py --model nano --plot docs/images/long_video.png
python benchmarks/long_video.py --minutes 1                    # to try it

The peak is that of everything together: resident memory of the process and of the one that decodes, sampled twenty
times a second. Each length is a fresh process.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

from common import progress, say
from memory import make_model

RATE, GOP = 30, 60
CACHE = Path(tempfile.gettempdir()) / "vl3-benchmarks"


def main() -> None:
    """Prints the peak for each length, and the ratio of the largest and the smallest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, nargs="+", default=[1, 10, 60])
    parser.add_argument("--model", help="a checkpoint; the default is a small random one")
    parser.add_argument("--max-memory", default="4GB")
    parser.add_argument("--size", type=int, nargs=2, default=[1920, 1080], metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--plot", type=Path, help="draw a picture of it here")
    parser.add_argument("--quick", action="store_true", help="a second of small pictures, to try the script")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    if args.quick:
        args.minutes, args.size = [1, 2], [320, 180]
    CACHE.mkdir(exist_ok=True)
    model = args.model or str(_small_model())
    rows = {}
    for minutes in args.minutes:
        progress(f"{minutes} minutes: making the clip")
        clip = _clip(minutes, args.size, seconds=2 if args.quick else 60)
        progress(f"{minutes} minutes: asking")
        rows[minutes] = _ask(clip, model, args.max_memory)
    progress("")
    peaks = [row["peak MB"] for row in rows.values()]
    result: dict[str, Any] = {f"{minutes} minutes": row for minutes, row in rows.items()}
    result["largest of smallest peak"] = max(peaks) / min(peaks)
    if args.plot:
        _plot(rows, args.max_memory, args.plot)
    say(result, args.json)


def _small_model() -> Path:
    folder = CACHE / "small-model"
    if not folder.exists():
        make_model(folder, "small", "float32")
    return folder


def _clip(minutes: int, size: list[int], seconds: int) -> Path:
    """A minute of simple moving pictures is encoded once; its packets are repeated."""
    import av
    import numpy as np

    width, height = size
    first, path = CACHE / f"{width}-{seconds}.mp4", CACHE / f"{width}-{seconds}-{minutes}.mp4"
    if path.exists():
        return path
    if not first.exists():
        part = first.with_suffix(".part.mp4")  # what is stopped half way is not taken for a clip
        with av.open(str(part), "w") as container:
            options = {"preset": "ultrafast", "g": str(GOP), "bf": "0"}
            stream = container.add_stream("libx264", rate=RATE, options=options)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for number in range(seconds * RATE):
                picture = np.full((height, width, 3), 60 + number % 90, np.uint8)
                left = number * 8 % (width - 100)
                picture[40:140, left : left + 100] = (200, 40 + number % 200, 30)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
        part.rename(first)
    part = path.with_suffix(".part.mp4")
    with av.open(str(part), "w") as output:
        copy = None
        for turn in range(minutes):
            with av.open(str(first)) as source:
                video = source.streams.video[0]
                copy = copy or output.add_stream_from_template(video)
                shift = round(turn * seconds / (video.time_base or Fraction(1, RATE)))
                for packet in source.demux(video):
                    if packet.dts is not None and packet.pts is not None:
                        packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, copy
                        output.mux(packet)
    part.rename(path)
    return path


def _ask(clip: Path, model: str, limit: str) -> dict[str, float]:
    command = [sys.executable, "-m", "vl3", "ask", str(clip), "What happens?", "--model", model, "--json"]
    start = time.perf_counter()
    with subprocess.Popen(
        [*command, "--max-memory", limit, "--max-new-tokens", "16"], stdout=subprocess.PIPE, text=True
    ) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, sum(_resident(pid) for pid in [process.pid, *_children(process.pid)]))
            time.sleep(0.05)
        assert process.stdout is not None
        answer = json.loads(process.stdout.read())
    return {
        "peak MB": peak / 1e6,
        "frames": len(answer["frame_times_s"][0]),
        "visual tokens": answer["num_visual_tokens_unpruned"],
        "seconds": time.perf_counter() - start,
    }


def _children(pid: int) -> list[int]:
    try:
        files = list(Path(f"/proc/{pid}/task").glob("*/children"))
        return [int(child) for file in files for child in file.read_text().split()]
    except OSError:  # it has just ended
        return []


def _resident(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def _plot(rows: dict[int, dict[str, float]], limit: str, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
    axis.plot(list(rows), [row["peak MB"] / 1000 for row in rows.values()], marker="o")
    axis.axhline(float(limit.lower().removesuffix("gb")), linestyle="--", color="grey", label=f"--max-memory {limit}")
    axis.set(xlabel="minutes of 1080p video", ylabel="peak memory (GB)", xscale="log", ylim=(0, None))
    axis.set_xticks(list(rows), [str(minutes) for minutes in rows])
    axis.legend()
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
