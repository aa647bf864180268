"""How charts are drawn: every label and value a region, and every bar, point and slice."""

import math
import random
from dataclasses import dataclass
from functools import partial

from PIL import Image, ImageDraw, ImageFont

from recipes.nano.data.fonts import Face
from recipes.nano.data.page import BLACK, COLOURS, WHITE, Canvas, Colour, PixelBox, contrast, near


@dataclass(frozen=True)
class Chart:
    """What a chart shows. `kind`: bar (upright), row (a bar that lies), line, pie."""

    kind: str
    title: str
    labels: tuple[str, ...]
    values: tuple[int, ...]
    colours: tuple[str, ...]
    printed: bool
    """Whether values are written beside the marks; else they are read from an axis with five lines."""
    face: Face

    @property
    def written(self) -> list[str]:
        """The values as they are written, or would be."""
        return [f"{value}%" if self.kind == "pie" else str(value) for value in self.values]

    @property
    def unit(self) -> int:
        """The distance of the lines of the axis: no value is above five of them."""
        highest = max(self.values)
        if not self.printed:
            return next(
                unit for unit in (1, 2, 5, 10, 20) if highest <= 5 * unit and all(v % unit == 0 for v in self.values)
            )
        return math.ceil(highest / 5)


@dataclass(frozen=True)
class Style:
    """How charts of one look are drawn."""

    ground: Colour
    ink: Colour
    grid: Colour | None
    border: Colour | None = None
    outline: int = 0
    """Width of the line around marks."""
    hatched: bool = False


@dataclass(frozen=True)
class Plot:
    """The area of the marks, in pixels, and the fonts."""

    left: float
    top: float
    right: float
    bottom: float
    cap: float
    font: ImageFont.FreeTypeFont


def draw_bars(rng: random.Random, canvas: Canvas, chart: Chart, style: Style) -> None:
    """Upright bars with labels below, and values above them or an axis at the left."""
    plot, axis = _frame(rng, canvas, chart, style)
    room = (plot.right - plot.left) / len(chart.labels)
    thick = rng.uniform(0.5, 0.8) * room
    for place, (label, value, colour) in enumerate(zip(chart.labels, chart.values, chart.colours, strict=True)):
        x, height = plot.left + room * (place + 0.5), (plot.bottom - plot.top) * value / axis
        box = (x - thick / 2, plot.bottom - height, x + thick / 2, plot.bottom)
        _bar(rng, canvas, box, colour, style)
        if chart.printed:
            canvas.write(x, box[1] - 0.4 * plot.cap, str(value), plot.font, style.ink, "m")
        canvas.write(x, plot.bottom + 1.6 * plot.cap, label, plot.font, style.ink, "m")


def draw_line(rng: random.Random, canvas: Canvas, chart: Chart, style: Style) -> None:
    """Points joined by a line."""
    plot, axis = _frame(rng, canvas, chart, style)
    room, colour = (plot.right - plot.left) / len(chart.labels), near(rng, COLOURS[chart.colours[0]], 8)
    xs = [plot.left + room * (place + 0.5) for place in range(len(chart.labels))]
    ys = [plot.bottom - (plot.bottom - plot.top) * value / axis for value in chart.values]
    canvas.draw.line(list(zip(xs, ys, strict=True)), colour, rng.randint(3, 5), joint="curve")
    radius = rng.randint(5, 8)
    for place, (x, y, label, value) in enumerate(zip(xs, ys, chart.labels, chart.values, strict=True)):
        box = (x - radius, y - radius, x + radius, y + radius)
        canvas.draw.ellipse(box, colour, style.ink if style.outline else None, style.outline)
        canvas.mark(box, f"{chart.colours[0]} point")
        if chart.printed:
            valley = all(ys[side] < y for side in (place - 1, place + 1) if 0 <= side < len(ys))
            below = valley and y + radius + 1.8 * plot.cap < plot.bottom
            baseline = y + radius + 1.4 * plot.cap if below else y - radius - 0.4 * plot.cap
            canvas.write(x, baseline, str(value), plot.font, style.ink, "m")
        canvas.write(x, plot.bottom + 1.6 * plot.cap, label, plot.font, style.ink, "m")


def draw_rows(rng: random.Random, canvas: Canvas, chart: Chart, style: Style) -> None:
    """Lying bars with labels at the left, and values at their ends or an axis below."""
    top = _title(rng, canvas, chart, style)
    count, width, height = len(chart.labels), canvas.width, canvas.height
    cap = min(chart.face.cap_within(label, 0.3 * width, rng.uniform(15, 22)) for label in chart.labels)
    font, unit = chart.face.at(cap), chart.unit
    left = 0.06 * width + max(font.getlength(label) for label in chart.labels)
    bottom = height - (0.6 if chart.printed else 2.4) * cap
    end = width - font.getlength(str(5 * unit)) - 0.05 * width if chart.printed else 0.94 * width
    axis = max(chart.values) if chart.printed else 5 * unit
    if not chart.printed:
        for step in range(6):
            x = left + (end - left) * step / 5
            canvas.draw.line((x, top, x, bottom), style.grid or style.ink, 1)
            if step in (0, 5) or len(str(5 * unit)) < 3 or step % 2 == 1:
                canvas.write(x, bottom + 1.6 * cap, str(step * unit), font, style.ink, "m")
    canvas.draw.line((left, top, left, bottom), style.ink, 2)
    room = (bottom - top) / count
    thick = rng.uniform(0.5, 0.8) * room
    for place, (label, value, colour) in enumerate(zip(chart.labels, chart.values, chart.colours, strict=True)):
        y, length = top + room * (place + 0.5), (end - left) * value / axis
        _bar(rng, canvas, (left + 1, y - thick / 2, left + length, y + thick / 2), colour, style)
        canvas.write(left - 0.02 * width, y + cap / 2, label, font, style.ink, "r")
        if chart.printed:
            canvas.write(left + length + 0.3 * cap, y + cap / 2, str(value), font, style.ink)
    _border(canvas, style)


def draw_pie(rng: random.Random, canvas: Canvas, chart: Chart, style: Style) -> None:
    """Slices with their percentages inside, and a legend at the right or below."""
    top = _title(rng, canvas, chart, style)
    width, height, count = canvas.width, canvas.height, len(chart.labels)
    cap = min(rng.uniform(15, 20), 0.8 * (height - top) / (2 * count))
    areas = (0.58 * width, height - top), (0.96 * width, height - top - 2.1 * cap * math.ceil(count / 2) - 4)
    beside = min(areas[0]) >= min(areas[1])
    area = areas[0] if beside else areas[1]
    radius = 0.47 * min(area)
    x, y = (area[0] if beside else width) / 2, top + area[1] / 2
    cap = min(cap, 0.24 * radius)
    start = rng.uniform(0, 360)
    boxes, texts = [], []
    for share, colour, text in zip(chart.values, chart.colours, chart.written, strict=True):
        end, paint = start + 3.6 * share, near(rng, COLOURS[colour], 8)
        box = (x - radius, y - radius, x + radius, y + radius)
        line = style.ink if style.outline else style.ground
        canvas.draw.pieslice(box, start, end, paint, line, max(2, style.outline))
        boxes.append((share, _slice_box(x, y, radius, start, end), f"{colour} slice"))
        middle = math.radians((start + end) / 2)
        ink = max((BLACK, WHITE), key=partial(contrast, paint))
        at = (x + 0.64 * radius * math.cos(middle), y + 0.64 * radius * math.sin(middle) + cap / 2)
        texts.append((at, text, ink))
        start = end
    for _, box, name in sorted(boxes, reverse=True):  # small slices, and then words, after what they lie upon
        canvas.mark(box, name)
    for at, text, ink in texts:
        canvas.write(*at, text, chart.face.at(cap), ink, "m")
    _legend(canvas, chart, style, (area[0] + 2, top) if beside else (0.04 * width, top + area[1] + 2), beside)
    _border(canvas, style)


def _frame(rng: random.Random, canvas: Canvas, chart: Chart, style: Style) -> tuple[Plot, float]:
    """Title, lines and axis of an upright chart; returns the area of the marks and the value at its top."""
    top, width, height, unit = _title(rng, canvas, chart, style), canvas.width, canvas.height, chart.unit
    wanted = rng.uniform(15, 22)
    texts = [*chart.labels, *(chart.written if chart.printed else ())]
    share = 0.92 if chart.printed else 0.8
    cap = min(chart.face.cap_within(text, share * 0.94 * width / len(chart.labels), wanted) for text in texts)
    font = chart.face.at(cap)
    left = 0.04 * width + (0 if chart.printed else font.getlength(str(5 * unit)) + 0.4 * cap)
    bottom, top = height - 2.3 * cap, top + (2.2 * cap if chart.printed else 0.5 * cap)
    plot = Plot(left, top, 0.97 * width, bottom, cap, font)
    for step in range(6):
        y = bottom - (bottom - top) * step / 5
        if style.grid or not chart.printed:
            canvas.draw.line((left, y, plot.right, y), style.grid or style.ink, 1)
        if not chart.printed and (step in (0, 5) or (bottom - top) / 5 > 1.5 * cap):
            canvas.write(left - 0.3 * cap, y + cap / 2, str(step * unit), font, style.ink, "r")
    canvas.draw.line((left, bottom, plot.right, bottom), style.ink, 2)
    _border(canvas, style)
    return plot, max(chart.values) if chart.printed else 5 * unit


def _title(rng: random.Random, canvas: Canvas, chart: Chart, style: Style) -> float:
    """Writes the title; returns where it ends."""
    cap = chart.face.cap_within(chart.title, 0.92 * canvas.width, rng.uniform(17, 24))
    canvas.write(canvas.width / 2, 1.75 * cap, chart.title, chart.face.at(cap), style.ink, "m")
    return 2.5 * cap


def _border(canvas: Canvas, style: Style) -> None:
    if style.border:
        canvas.draw.rectangle((1, 1, canvas.width - 2, canvas.height - 2), None, style.border, 2)


def _bar(rng: random.Random, canvas: Canvas, box: PixelBox, colour: str, style: Style) -> None:
    """A rectangle, plain or hatched."""
    x1, y1, x2, y2 = (round(side) for side in box)
    paint = near(rng, COLOURS[colour], 8)
    canvas.draw.rectangle((x1, y1, x2 - 1, y2 - 1), paint)
    if style.hatched:
        size = max(1, x2 - x1), max(1, y2 - y1)
        mask = Image.new("L", size)
        draw = ImageDraw.Draw(mask)
        for start in range(-size[1], size[0], 9):
            draw.line((start, size[1], start + size[1], 0), 110, 2)
        canvas.image.paste(style.ground, (x1, y1, x1 + size[0], y1 + size[1]), mask)
    if style.outline:
        canvas.draw.rectangle((x1, y1, x2 - 1, y2 - 1), None, style.ink, style.outline)
    canvas.mark((x1, y1, x2, y2), f"{colour} bar")


def _slice_box(x: float, y: float, radius: float, start: float, end: float) -> PixelBox:
    """The box around a slice from one angle to another (degrees, clockwise from the right)."""
    turns = [turn for turn in range(0, 721, 90) if start < turn < end]
    angles = [math.radians(angle) for angle in (start, end, *turns)]
    xs = [x, *(x + radius * math.cos(angle) for angle in angles)]
    ys = [y, *(y + radius * math.sin(angle) for angle in angles)]
    return min(xs), min(ys), max(xs), max(ys)


def _legend(canvas: Canvas, chart: Chart, style: Style, corner: tuple[float, float], beside: bool) -> None:
    """A square of each colour with its label: below one another beside the pie, or two a row below it."""
    left, top = corner
    columns = 1 if beside else 2
    room = (canvas.width - left) / columns
    cap = min(chart.face.cap_within(label, room - 34, 19) for label in chart.labels)
    rows = math.ceil(len(chart.labels) / columns)
    step = min((canvas.height - top - 4) / rows, 3 * cap)
    top += (canvas.height - top - 4 - rows * step) / 2
    for place, (label, colour) in enumerate(zip(chart.labels, chart.colours, strict=True)):
        x, y = left + room * (place % columns), top + step * (place // columns + 0.5)
        canvas.draw.rectangle((x, y - 8, x + 16, y + 8), COLOURS[colour], style.ink if style.outline else None)
        canvas.write(x + 24, y + cap / 2, label, chart.face.at(cap), style.ink)
