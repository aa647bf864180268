"""Memory of `vl3 curate` against the size of the pool: the most that the run and its workers hold.

    PYTHONPATH=. python benchmarks/curation_memory.py --rows 5000 20000 80000

Each pool is small pictures in WebDataset archives; steps are those of recipes/curate/images.yaml without the
judge, with the features of a tiny untrained model. Printed is the peak of each size (private memory, summed over
processes) as a multiple of the first's, and the bytes that a row more costs.
"""

import argparse
import io
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml
from common import progress, say
from PIL import Image

from vl3.weights.demo import save_demo_model

PER_ARCHIVE = 10_000
STEPS: dict[str, Any] = {
    "decode": {},
    "shape": {"min_side": 32},
    "words": {},
    "exact": {},
    "near": {},
    "quality": {"max_blur": 99.0},
    "embed": {"max_tokens": 16, "batch_size": 64},
    "cluster": {"clusters": 64, "iterations": 5, "train_rows": 8192},
    "similar": {"min_similarity": 0.9999},
    "balance": {"times": 3.0},
    "export": {"form": "webdataset"},
}


def write_pool(folder: Path, rows: int) -> None:
    """Pictures of 64 x 64 pixels, no two alike, with a text each."""
    folder.mkdir()
    rng = np.random.default_rng(rows)
    for first in range(0, rows, PER_ARCHIVE):
        with tarfile.open(folder / f"{first:08d}.tar", "w") as archive:
            for number in range(first, min(first + PER_ARCHIVE, rows)):
                coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
                buffer = io.BytesIO()
                coarse.resize((64, 64), Image.Resampling.NEAREST).save(buffer, "JPEG", quality=85)
                for ending, data in (("jpg", buffer.getvalue()), ("txt", f"picture number {number}".encode())):
                    header = tarfile.TarInfo(f"{number:08d}.{ending}")
                    header.size = len(data)
                    archive.addfile(header, io.BytesIO(data))


def peak_bytes(command: list[str]) -> int:
    """The most private memory of a command with all that it starts."""
    child = psutil.Popen(command, stdout=subprocess.DEVNULL)
    most = 0
    while child.poll() is None:
        try:
            family = [child, *child.children(recursive=True)]
            most = max(most, sum(_private(process) for process in family))
        except psutil.NoSuchProcess:
            continue
        time.sleep(0.2)
    if child.returncode:
        raise SystemExit(f"the run failed with status {child.returncode}")
    return most


def _private(process: psutil.Process) -> int:
    """Bytes that no other process shares."""
    try:
        return int(process.memory_full_info().uss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 4000])
    parser.add_argument("--quick", action="store_true", help="200 and 400 rows")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    sizes = [200, 400] if arguments.quick else sorted(arguments.rows)
    peaks: list[int] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_demo_model(folder / "tiny")
        steps = {**STEPS, "embed": {**STEPS["embed"], "model": str(folder / "tiny")}}
        for rows in sizes:
            progress(f"{rows} rows")
            write_pool(folder / f"pool-{rows}", rows)
            source = [{"path": str(folder / f"pool-{rows}")}]
            recipe = folder / f"{rows}.yaml"
            data = {"output": str(folder / f"out-{rows}"), "sources": source, "steps": steps}
            recipe.write_text(yaml.safe_dump(data, sort_keys=False))
            peaks.append(peak_bytes([sys.executable, "-m", "vl3", "curate", str(recipe)]))
    progress("")
    result: dict[str, Any] = {
        "peak as a multiple of the first": {str(rows): peak / peaks[0] for rows, peak in zip(sizes, peaks, strict=True)}
    }
    result["bytes a row"] = (peaks[-1] - peaks[0]) / (sizes[-1] - sizes[0])
    say(result, arguments.json)


if __name__ == "__main__":
    main()
