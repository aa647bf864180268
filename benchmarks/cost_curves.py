"""What a question costs: time and memory against frames, resolution, questions side by side, and length of the answer.

python benchmarks/cost_curves.py --plot docs/images/cost.png        # random weights of a small model
python benchmarks/cost_curves.py --shapes 2b --only frames   # the 2B's widths with 2 of 28 and 2 of 27 layers

One thing varies, the others stay as they are. Each point is a fresh process; memory is its peak less what Python, torch
and other packages take. Times are given in relation to the first point of their kind.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from common import progress, say
from long_video import CACHE
from memory import make_model, resident

CURVES: dict[str, list[int]] = {
    "frames": [1, 4, 16, 64],
    "visual tokens of a picture": [64, 256, 1024, 4096],
    "questions side by side": [1, 2, 4, 8],
    "tokens of the answer": [1, 32, 128, 512],
}


def main() -> None:
    """Prints a line for each point, and draws the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", choices=["small", "2b"], default="small")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--only", choices=CURVES, help="one of the curves")
    parser.add_argument("--plot", type=Path, help="draw the curves here")
    parser.add_argument("--quick", action="store_true", help="two points each, to try the script")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        _child(json.loads(args.child))
        return
    model = CACHE / f"{args.shapes}-{args.dtype}-model"
    if not model.exists():
        make_model(model, args.shapes, args.dtype)
    curves = {}
    for kind in [args.only] if args.only else CURVES:
        points = CURVES[kind][: 2 if args.quick else None]
        curves[kind] = [_point(model, kind, value) for value in points]
    progress("")
    if args.plot:
        _plot(curves, args.plot)
    rows = [(kind, point, points[0]) for kind, points in curves.items() for point in points]
    say({f"{kind}: {point['value']:g}": _relative(point, first) for kind, point, first in rows}, args.json)


def _point(model: Path, kind: str, value: int) -> dict[str, float]:
    progress(f"{kind}: {value}")
    job = json.dumps({"model": str(model), "kind": kind, "value": value})
    done = subprocess.run([sys.executable, __file__, "--child", job], check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def _relative(point: dict[str, float], first: dict[str, float]) -> dict[str, float]:
    return {"time": point["seconds"] / first["seconds"], "peak MB": point["peak MB"]}


def _child(job: dict[str, Any]) -> None:
    import numpy as np

    import vl3
    from vl3.chat import question
    from vl3.generate import Options, Service, ServiceConfig
    from vl3.heap import give_back_freed_memory

    give_back_freed_memory()
    before = resident("VmRSS")
    kind, value = job["kind"], job["value"]
    assistant = vl3.load(job["model"])
    random = np.random.default_rng(0)
    options: Options = {"max_new_tokens": 8, "num_frames": 8}
    media: list[Any] = [random.integers(0, 256, (8, 224, 224, 3), dtype=np.uint8)]
    together = 1
    if kind == "frames":
        options["num_frames"] = value
        media = [random.integers(0, 256, (value, 224, 224, 3), dtype=np.uint8)]
    elif kind == "visual tokens of a picture":
        options["max_tokens"] = value
        media = [random.integers(0, 256, (1400, 1400, 3), dtype=np.uint8)]
    elif kind == "questions side by side":
        together = value
    else:
        options["max_new_tokens"] = value
    with Service(assistant, ServiceConfig(max_running=together)) as service:
        start = time.perf_counter()
        tickets = [service.submit(question(media, f"What is {i}?"), **options) for i in range(together)]
        answers = [ticket.answer for ticket in tickets]
        seconds = time.perf_counter() - start
    assert all(answer.num_generated_tokens for answer in answers)
    print(json.dumps({"value": value, "seconds": seconds, "peak MB": (resident("VmHWM") - before) / 1e6}))


def _plot(curves: dict[str, list[dict[str, float]]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(curves), figsize=(3 * len(curves), 5), layout="constrained", squeeze=False)
    for column, (kind, points) in enumerate(curves.items()):
        values = [point["value"] for point in points]
        for row, (name, label) in enumerate((("seconds", "time, first point = 1"), ("peak MB", "peak memory (MB)"))):
            scale = points[0]["seconds"] if name == "seconds" else 1.0
            axis = axes[row][column]
            heights = [point[name] / scale for point in points]
            axis.plot(values, heights, marker="o")
            axis.set(xlabel=kind, ylabel=label if column == 0 else None, ylim=(0, 1.1 * max(heights)))
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
