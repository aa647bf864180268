"""The datasheet of a run: one HTML page with its pictures inside, which says what was done to the pool and shows it.

Counts for each step and reason, examples of what was kept and dropped, the scores, a map of the embeddings, the balance
of classes before and after, sources, licences, and all settings. The same run gives the same page; nothing is fetched
when it is opened.
"""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vl3.config import read_yaml
from vl3.curate.record import Outcome
from vl3.curate.survey import Row, Survey, survey
from vl3.curate.thumbnails import Thumbnails
from vl3.errors import UserError

EXAMPLES = 8
"""Examples of each reason; four times as many kept ones."""
MOST_PICTURES = 300
"""Pictures of a page, of some 5 KB each."""
BINS = 40
MANY = 1000
"""Values from which on the outermost ones do not stretch a histogram."""
MAP_SIDE = 640
"""Of the map, in its own units."""
MAP_PICTURES = 16
"""Clusters that have a picture on the map, the largest ones."""


@dataclass(frozen=True)
class Example:
    """A row on the page."""

    row: Row
    picture: str
    """A `data:` URL, or empty."""
    words: Sequence[tuple[str, str]]
    """(what it is, the words)."""


@dataclass(frozen=True)
class Reason:
    """Why a step dropped rows."""

    name: str
    count: int
    examples: Sequence[Example]


@dataclass(frozen=True)
class Histogram:
    """Scores of kept and dropped rows. Heights are shares of the highest bar."""

    column: str
    low: float
    high: float
    bars: Sequence[tuple[float, float]]
    """(kept, dropped) of each bin."""
    outside: int
    """Values beyond the ends, of the sample."""


@dataclass(frozen=True)
class Point:
    """A row on the map."""

    x: float
    y: float
    colour: str
    kept: bool


@dataclass(frozen=True)
class ClusterMap:
    """Embeddings by their two principal components."""

    points: Sequence[Point]
    pictures: Sequence[tuple[float, float, str, str]]
    """(x, y, picture, cluster)."""
    explained: float
    """Share of the variance that the two components have."""
    num_clusters: int


def write_datasheet(output: Path, examples: int = EXAMPLES) -> Path:
    """Writes OUTPUT/datasheet.html of what is finished in a run's folder. UserError if nothing is."""
    environment = page_templates()
    found = survey(output, examples)
    with Thumbnails(MOST_PICTURES) as thumbnails:
        kept = [_example(row, thumbnails) for row in found.kept.rows]
        cluster_map = None if found.points is None else _map(found.points, found.point_rows, thumbnails)
        steps = [(step, _reasons(step, found, thumbnails)) for step in found.steps]
    page = environment.get_template("datasheet.html").render(
        steps=steps,
        kept=kept,
        histograms=[histogram(column, *values) for column, values in found.scores.items()],
        map=cluster_map,
        balances=found.balances,
        origins=found.origins,
        recipe=(output / "recipe.yaml").read_text(encoding="utf-8"),
        sources=read_yaml(output / "recipe.yaml")["sources"],
        side=MAP_SIDE,
    )
    path = output / "datasheet.html"
    path.write_text(page, encoding="utf-8", errors="replace")
    return path


def page_templates() -> Any:
    """jinja2's environment, or a UserError that says how to get it."""
    try:
        from jinja2 import Environment, PackageLoader
    except ImportError as error:
        raise UserError(
            "the datasheet needs the curate extra: pip install 'vl3[curate]', or add --no-datasheet"
        ) from error
    return Environment(loader=PackageLoader("vl3.curate"), autoescape=True, trim_blocks=True, lstrip_blocks=True)


def histogram(column: str, kept: NDArray[np.float32], dropped: NDArray[np.float32]) -> Histogram:
    """From the least to the greatest value; of many values from the 0.5th to the 99.5th percentile, and what lies
    beyond is counted."""
    both = np.concatenate([kept, dropped]).astype(np.float64)
    both = both[np.isfinite(both)]
    ends = [0.5, 99.5] if len(both) >= MANY else [0, 100]
    low, high = np.percentile(both, ends) if len(both) else (0.0, 1.0)
    if high <= low:
        low, high = low - 0.5, low + 0.5
    counts = [np.histogram(values[np.isfinite(values)], BINS, (low, high))[0] for values in (kept, dropped)]
    highest = max(1, int((counts[0] + counts[1]).max()))
    bars = [(float(a) / highest, float(b) / highest) for a, b in zip(*counts, strict=True)]
    outside = len(kept) + len(dropped) - int(counts[0].sum() + counts[1].sum())
    return Histogram(column, float(low), float(high), bars, outside)


def principal_components(points: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """[n, d] -> ([n, 2] along the two directions of most variance, its share of all variance). The sign of each is such
    that its largest entry is positive, so that equal data give equal maps."""
    centred = points.astype(np.float64) - points.mean(0, dtype=np.float64)
    _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
    two = directions[:2]
    two = two * np.sign(two[np.arange(len(two)), np.abs(two).argmax(1)])[:, None]
    total = float((lengths**2).sum())
    return (centred @ two.T).astype(np.float32), float((lengths[:2] ** 2).sum()) / total if total else 1.0


def _reasons(step: Outcome, found: Survey, thumbnails: Thumbnails) -> list[Reason]:
    ranked = sorted(step.reasons.items(), key=lambda item: (-item[1], item[0]))
    return [
        Reason(name, count, [_example(row, thumbnails) for row in found.dropped[step.name, name].rows])
        for name, count in ranked
    ]


def _example(row: Row, thumbnails: Thumbnails) -> Example:
    words = [("text", row["text"])] if row.get("text") else []
    words += [(name, row[name]) for name in row if name.startswith("caption") and row[name]]
    if row.get("start_s") is not None:
        words.append(("time", f"from {row['start_s']:.1f} to {row['end_s']:.1f} seconds"))
    detail = str(row.get("drop_reason") or "").partition(": ")[2]
    if detail:
        words.append(("because", detail))
    return Example(row, thumbnails.of(row), [(name, _short(value)) for name, value in words])


def _short(text: str, most: int = 300) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def _map(vectors: NDArray[np.float32], rows: Sequence[Row], thumbnails: Thumbnails) -> ClusterMap:
    """[n, d] embeddings of n rows."""
    places, explained = principal_components(vectors)
    low, high = np.percentile(places, 0.5, axis=0), np.percentile(places, 99.5, axis=0)
    scaled = np.clip((places - low) / np.maximum(high - low, 1e-9), 0, 1) * (MAP_SIDE - 40) + 20
    clusters = [row.get("cluster") for row in rows]
    names = sorted({cluster for cluster in clusters if cluster is not None})
    colours = {name: _colour(number) for number, name in enumerate(names)}
    points = [
        Point(round(float(x), 1), round(float(y), 1), colours.get(cluster, "#888"), row["dropped_by"] is None)
        for (x, y), cluster, row in zip(scaled, clusters, rows, strict=True)
    ]
    pictures = []
    for name in sorted(names, key=lambda name: (-clusters.count(name), name))[:MAP_PICTURES]:
        members = [number for number, cluster in enumerate(clusters) if cluster == name]
        centre = vectors[members].mean(0)
        nearest = min(members, key=lambda number: float(np.square(vectors[number] - centre).sum()))
        shown = thumbnails.of(rows[nearest], 48)
        if shown:
            pictures.append((points[nearest].x, points[nearest].y, shown, str(name)))
    return ClusterMap(points, pictures, explained, len(names))


def _colour(number: int) -> str:
    """Colours that differ from those before by the golden angle."""
    red, green, blue = colorsys.hls_to_rgb(number * 0.381966 % 1, 0.5, 0.6)
    return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"
