"""A static page of one or several runs: tables, plots, and the worst answers with the frames that were seen.

FOLDER/index.html, FOLDER/plots/*.svg and FOLDER/frames/*.jpg; nothing is fetched when it is opened.
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from vl3.config import SamplingConfig
from vl3.errors import UserError
from vl3.eval.log import Record, read_row
from vl3.eval.report import Run, by_task, compared, percent, table_of
from vl3.eval.sums import MODEL
from vl3.media import Decoder

FRAMES_SHOWN = 8
"""Most frames of one answer, evenly spread over those that were seen."""
FRAME_SIDE = 240
"""Longest side of a frame on the page, in pixels."""
DECODE_TIME_S = 60.0


@dataclass(frozen=True)
class Shown:
    """One answer on the page."""

    record: Record
    frames: Sequence[tuple[str, str]]
    """(path relative to the page, caption)."""
    trouble: str = ""
    """Why frames are not shown."""


def write_page(runs: Sequence[Run], folder: Path, worst: int, seed: int = 0) -> Path:
    """Writes the page and returns its path. UserError if the folder cannot be written."""
    from jinja2 import Environment, PackageLoader

    try:
        (folder / "plots").mkdir(parents=True, exist_ok=True)
        (folder / "frames").mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror or error}") from error
    sections = []
    for task, found in by_task(runs).items():
        plot = f"plots/{_file_name(task)}.svg"
        draw(found, folder / plot)
        sections.append(
            {
                "task": task,
                "plot": plot,
                "table": table_of(found),
                "pairs": [compared(found[0], other, seed) for other in found[1:]],
                "runs": found,
                "worst": [(run, shown_worst(run, folder, worst, seed)) for run in found],
            }
        )
    environment = Environment(loader=PackageLoader("vl3.eval"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = percent
    path = folder / "index.html"
    path.write_text(environment.get_template("page.html").render(sections=sections), encoding="utf-8")
    return path


# -------------------------------------------------------------------------------------------------------------- plots


def draw(runs: Sequence[Run], path: Path) -> None:
    """Scores by kind with their intervals, a colour for each run; baselines are hollow. SVG."""
    from matplotlib.figure import Figure

    rows = [(run, row) for run in runs for row in run.result["rows"]]
    kinds = list(dict.fromkeys(kind for run, row in rows for kind in run.result["rows"][row]))
    figure = Figure(figsize=(8, 1.2 + (0.18 * len(rows) + 0.16) * len(kinds)), layout="constrained")
    axes = figure.subplots()
    step = 0.8 / max(len(rows), 1)
    for place, (run, row) in enumerate(rows):
        heights, means, below, above = [], [], [], []
        for height, kind in enumerate(kinds):
            cell = run.result["rows"][row].get(kind)
            if cell is None or cell["mean"] is None:
                continue
            mean = 100 * cell["mean"]
            heights.append(height + (place - (len(rows) - 1) / 2) * step)
            means.append(mean)
            below.append(0.0 if cell["low"] is None else mean - 100 * cell["low"])
            above.append(0.0 if cell["high"] is None else 100 * cell["high"] - mean)
        axes.errorbar(
            means,
            heights,
            xerr=[[max(0.0, value) for value in side] for side in (below, above)],
            fmt="o",
            markersize=4.5,
            linewidth=1.2,
            color=f"C{runs.index(run)}",
            markerfacecolor="white" if row != MODEL else f"C{runs.index(run)}",
            label=run.name if row == MODEL else f"{run.name}: {row}",
        )
    axes.set_yticks(range(len(kinds)), kinds)
    axes.invert_yaxis()
    axes.set_xlim(-2, 102)
    axes.set_xlabel("score, with its 95 % interval")
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12 if len(kinds) > 6 else -0.25), ncols=2, frameon=False)
    figure.savefig(path, metadata={"Date": None})


# ------------------------------------------------------------------------------------------------------ worst answers


def worst_records(records: Sequence[Record], most: int, seed: int) -> list[Record]:
    """The lowest scores, at most `most`, taken from the kinds in turn; among equals drawn by `seed`. Failures last."""
    drawn = sorted(records, key=lambda found: found.id)
    random.Random(seed).shuffle(drawn)
    queues: dict[str, list[Record]] = {}
    for found in sorted(drawn, key=lambda found: (found.error is not None, found.score or 0.0)):
        if found.error is not None or (found.score is not None and found.score < 1):
            queues.setdefault(found.kind, []).append(found)
    taken: list[Record] = []
    while len(taken) < most and any(queues.values()):
        for kind in sorted(queues):
            if queues[kind] and len(taken) < most:
                taken.append(queues[kind].pop(0))
    return taken


def shown_worst(run: Run, folder: Path, most: int, seed: int) -> list[Shown]:
    """The worst answers of a run with their frames written to the page's folder."""
    records = worst_records(list(read_row(run.folder, MODEL).values()), most, seed)
    shown = []
    with Decoder(DECODE_TIME_S) as decoder:
        for found in records:
            try:
                shown.append(Shown(found, list(_frames(found, folder, decoder))))
            except UserError as error:  # the media may have moved since the run
                shown.append(Shown(found, [], str(error)))
    return shown


def _frames(found: Record, folder: Path, decoder: Decoder) -> Iterator[tuple[str, str]]:
    """Writes the frames that were seen, some of them where there are many."""
    per_medium = max(1, FRAMES_SHOWN // max(1, len(found.media)))
    for place, medium in enumerate(found.media):
        times_s = found.frames_s[place] if place < len(found.frames_s) else []
        for number, (image, caption) in enumerate(_pictures(medium, times_s, per_medium, decoder)):
            key = hashlib.sha256(f"{found.id} {medium} {number} {caption}".encode()).hexdigest()[:16]
            image.thumbnail((FRAME_SIDE, FRAME_SIDE))
            image.save(folder / "frames" / f"{key}.jpg", quality=85)
            yield f"frames/{key}.jpg", caption


def _pictures(medium: str, times_s: Sequence[float], most: int, decoder: Decoder) -> Iterator[tuple[Image.Image, str]]:
    if len(times_s) <= 1:  # an image, or a video of which it is not known what was seen
        info = decoder.probe(medium, SamplingConfig(num_frames=most))
        _, pixels = decoder.salvage(info)
        if info.kind == "image":
            yield Image.fromarray(pixels.reshape(pixels.shape[-3:])), ""
            return
        for time_s, frame in zip(info.times_s, pixels, strict=False):
            yield Image.fromarray(frame), f"{time_s:.1f} s"
        return
    last = len(times_s) - 1
    chosen = sorted({round(place * last / (most - 1)) if most > 1 else 0 for place in range(most)})
    for number in chosen:
        # only the frame that is on screen at that time
        window = SamplingConfig(num_frames=1, start_s=times_s[number], end_s=times_s[number] + 0.01)
        _, pixels = decoder.salvage(decoder.probe(medium, window, "video"))
        yield Image.fromarray(pixels[0]), f"{times_s[number]:.1f} s"


def _file_name(task: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in task)
