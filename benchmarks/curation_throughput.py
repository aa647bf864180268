"""Fetching and filtering URLs: `vl3 curate` beside img2dataset and pandas, from a server on this machine.

    python -m venv img2dataset && img2dataset/bin/pip install img2dataset
    PYTHONPATH=. python benchmarks/curation_throughput.py --peer img2dataset/bin/python --rows 5000

Both sides download the same URLs (some dead, some no images, some too small or narrow), decode every picture, drop what
is small or narrow, and write WebDataset archives. img2dataset has its size and aspect filters; pandas then reads its
tables and keeps what succeeded. Processes and connections are the same. Printed is how many times faster vl3 is, and
how many pictures each side kept.
"""

import argparse
import asyncio
import io
import json
import multiprocessing
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from common import in_turns, ratio, say
from PIL import Image

PROCESSES, THREADS = 2, 32
PEER = """
import glob, sys
import img2dataset, pandas
table, out, processes, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
if __name__ == "__main__":
    img2dataset.download(
        url_list=table, input_format="parquet", url_col="url", caption_col="caption",
        output_folder=out, output_format="webdataset", number_sample_per_shard=500,
        processes_count=processes, thread_count=threads, retries=0, timeout=30, enable_wandb=False,
        resize_mode="no", skip_reencode=True, min_image_size=64, max_aspect_ratio=4.0,
        disallowed_header_directives=[],
    )
    rows = pandas.concat([pandas.read_parquet(file) for file in sorted(glob.glob(out + "/*.parquet"))])
    kept = rows[(rows.status == "success") & (rows[["width", "height"]].min(axis=1) >= 64)]
    kept.to_parquet(out + "/kept.parquet")
    print("kept", len(kept))
"""


def pictures() -> list[bytes]:
    """Forty JPEG files: good ones, a small one, a narrow one, one that is none."""
    rng = np.random.default_rng(0)
    sizes = [(640, 480)] * 36 + [(40, 40), (900, 100)]
    found = []
    for width, height in sizes:
        coarse = Image.fromarray(rng.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=88)
        found.append(buffer.getvalue())
    return [*found, b"<html>no picture</html>"]


def serve(files: list[bytes], ready: Any) -> None:
    """A server of these files at /NUMBER.jpg; beyond them 404. One answer a connection."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1].decode()
            number = int(path.strip("/").partition("-")[0])
            known = number < len(files)
            body = files[number] if known else b""
            head = f"HTTP/1.1 {'200 OK' if known else '404 Not Found'}\r\nContent-Length: {len(body)}\r\n"
            writer.write(f"{head}Content-Type: image/jpeg\r\nConnection: close\r\n\r\n".encode() + body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # whoever asked has gone
        finally:
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=512)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def ours(folder: Path, table: Path) -> None:
    """`vl3 curate` with the steps fetch, decode, shape and export."""
    out = folder / "vl3"
    shutil.rmtree(out, ignore_errors=True)
    fetch = {"connections": THREADS, "per_host": THREADS, "robots": False, "allow_private": True, "attempts": 1}
    data = {
        "output": str(out),
        "sources": [{"path": str(table)}],
        "steps": {
            "fetch": fetch,
            "decode": {},
            "shape": {"min_side": 64, "max_aspect": 4.0},
            "export": {"form": "webdataset", "per_file": 500},
        },
        "runner": {"workers": PROCESSES, "heavy_workers": PROCESSES},
        "part_rows": 500,
    }
    recipe = folder / "recipe.yaml"
    recipe.write_text(json.dumps(data))
    done = subprocess.run(
        [sys.executable, "-m", "vl3", "curate", str(recipe), "--json"], capture_output=True, check=True
    )
    (folder / "kept-vl3").write_text(str(json.loads(done.stdout)["steps"][-1]["kept"]))


def theirs(folder: Path, table: Path, python: str) -> None:
    """img2dataset, then pandas."""
    out = folder / "peer"
    shutil.rmtree(out, ignore_errors=True)
    script = folder / "peer.py"
    script.write_text(PEER)
    command = [python, str(script), str(table), str(out), str(PROCESSES), str(THREADS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"img2dataset failed:\n{done.stderr[-2000:]}")
    (folder / "kept-peer").write_text(done.stdout.split()[-1])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="interpreter that has img2dataset; without it only vl3 is tried")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="200 rows, one run")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows, runs = (200, 1) if arguments.quick else (arguments.rows, arguments.runs)
    files = pictures()
    mine, other = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(files, other), daemon=True)
    server.start()
    base = f"http://127.0.0.1:{mine.recv()}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        urls = [f"{base}/{number % (len(files) + 1)}-{number}.jpg" for number in range(rows)]
        captions = [f"picture {number}" for number in range(rows)]
        pq.write_table(pa.table({"url": urls, "caption": captions}), folder / "urls.parquet")
        sides: dict[str, Callable[[], Any]] = {"vl3": partial(ours, folder, folder / "urls.parquet")}
        if arguments.peer:
            sides["img2dataset"] = partial(theirs, folder, folder / "urls.parquet", arguments.peer)
        seconds = in_turns(sides, runs)
        result: dict[str, Any] = {"rows": rows, "kept by vl3": int((folder / "kept-vl3").read_text())}
        if arguments.peer:
            result["kept by img2dataset and pandas"] = int((folder / "kept-peer").read_text())
            result["times faster than img2dataset and pandas"] = ratio(seconds, "img2dataset", "vl3")
    server.terminate()
    say(result, arguments.json)


if __name__ == "__main__":
    main()
