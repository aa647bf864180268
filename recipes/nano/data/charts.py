"""Bar, line and pie charts with few, large labels; values printed, or read from an axis."""

import random
from collections.abc import Callable
from itertools import pairwise

from recipes.nano.data import lexicon
from recipes.nano.data.chart_plots import Chart, Style, draw_bars, draw_line, draw_pie, draw_rows
from recipes.nano.data.fonts import choose_face
from recipes.nano.data.page import COLOURS, SIZES, Canvas, join, weather
from recipes.nano.data.page_questions import ask, choose_questions
from recipes.nano.data.sample import Question, Sample, Split

STYLES = (
    Style(ground=(255, 255, 255), ink=(30, 30, 30), grid=None),
    Style(ground=(252, 246, 230), ink=(70, 50, 35), grid=(215, 200, 175)),
    Style(ground=(232, 234, 240), ink=(40, 40, 48), grid=(255, 255, 255)),
    Style(ground=(255, 255, 255), ink=(60, 60, 66), grid=(214, 214, 218), border=(150, 150, 155)),
    Style(ground=(250, 252, 255), ink=(20, 40, 90), grid=None, border=(20, 40, 90), outline=3),
    Style(ground=(38, 42, 54), ink=(235, 238, 245), grid=(70, 76, 92)),
)
HELD_OUT_STYLE = Style(
    ground=(18, 62, 48),
    ink=(245, 245, 225),
    grid=(52, 104, 86),
    border=(245, 245, 225),
    outline=2,
    hatched=True,
)
"""A blackboard with hatched marks: in held-out charts only."""

TITLES = {
    "Month": ("Sales", "Rain", "Visitors", "Sales per Month", "Sunny Days", "Cost", "Income", "Trips"),
    "Day": ("Steps", "Hours of Work", "Calls", "Guests", "Tickets Sold", "Orders"),
    "Name": ("Points", "Goals", "Books Read", "Score", "Votes", "Wins", "Stars"),
    "City": ("Hotels", "Rain", "Flights", "Museums", "Snow Days", "Parks"),
    "Item": ("Price", "Stock", "Food Sold", "Orders", "Sales", "Fruit Sold"),
    "Animal": ("Animals Seen", "Zoo Animals", "Votes", "Weight", "Pets", "Speed"),
}
LABELS = {
    "Month": lexicon.SHORT_MONTHS,
    "Day": lexicon.SHORT_DAYS,
    "Name": lexicon.short(lexicon.NAMES, 5),
    "City": lexicon.short(lexicon.CITIES, 6),
    "Item": lexicon.short(lexicon.GOODS, 6),
    "Animal": lexicon.short(lexicon.ANIMALS, 6),
}
CHART_SIZES = [(w, h) for w, h in SIZES if w >= 224 and h >= 192 and 0.75 <= w / h <= 1.8]
DRAW: dict[str, Callable[[random.Random, Canvas, Chart, Style], None]] = {
    "bar": draw_bars,
    "row": draw_rows,
    "line": draw_line,
    "pie": draw_pie,
}
MARKS = {"bar": "bar", "row": "bar", "line": "point", "pie": "slice"}


def charts(rng: random.Random, split: Split) -> Sample:
    """A picture of a chart."""
    chart = _choose_chart(rng, split)
    style = HELD_OUT_STYLE if split == "held_out" else rng.choice(STYLES)
    count = len(chart.labels)
    sizes = [
        (width, height) for width, height in CHART_SIZES if width >= 64 * count and width * height >= 14_000 * count
    ]
    canvas = Canvas(*rng.choice(sizes), style.ground)
    DRAW[chart.kind](rng, canvas, chart, style)
    return Sample(
        questions=_questions(rng, split, chart), images=(weather(rng, canvas.image, 0.6),), regions=canvas.regions()
    )


def _choose_chart(rng: random.Random, split: Split) -> Chart:
    kind = rng.choice(("bar", "bar", "row", "line", "pie"))
    topic = rng.choice(list(TITLES))
    count = rng.randint(2, 4 if kind == "pie" else 5)
    pool = lexicon.short(LABELS[topic], 10 - count if kind in ("bar", "line") else 6)
    labels = [pool[place] for place in sorted(rng.sample(range(len(pool)), count))]
    if topic not in ("Month", "Day"):
        rng.shuffle(labels)
    printed = rng.random() < 0.65
    colours = rng.sample([name for name in COLOURS if name not in ("white", "black")], count)
    if kind == "line" or (kind != "pie" and rng.random() < 0.35):
        colours = colours[:1] * count
    if kind == "pie":
        values, printed = _shares(rng, count), True
    else:
        values = _values(rng, count, printed)
    return Chart(
        kind, rng.choice(TITLES[topic]), tuple(labels), tuple(values), tuple(colours), printed, choose_face(rng, split)
    )


def _values(rng: random.Random, count: int, printed: bool) -> list[int]:
    """Clearly different values; those to be read from an axis lie on its lines, which are at 1/5 of the top."""
    if not printed:
        unit = rng.choice((1, 2, 5, 10, 20))
        return [unit * step for step in rng.sample(range(1, 6), count)]
    top = rng.choice((9, 20, 50, 100, 200, 500))
    while True:
        values = [rng.randint(max(1, top // 10), top) for _ in range(count)]
        ordered = sorted(values)
        if all(b - a >= 0.08 * ordered[-1] for a, b in pairwise(ordered)):
            return values


def _shares(rng: random.Random, count: int) -> list[int]:
    """Percentages that make 100, none below 15, all clearly different."""
    while True:
        cuts = sorted(rng.sample(range(15, 90, 5), count - 1))
        shares = [b - a for a, b in zip([0, *cuts], [*cuts, 100], strict=True)]
        if min(shares) >= 15 and len(set(shares)) == count:
            return shares


def _questions(rng: random.Random, split: Split, chart: Chart) -> list[Question]:
    mark, labels = MARKS[chart.kind], list(chart.labels)
    pairs = list(zip(labels, chart.colours, strict=True))
    largest, smallest = (labels[chart.values.index(choose(chart.values))] for choose in (max, min))
    written = dict(zip(labels, chart.written, strict=True))
    name = f"{chart.kind} chart" if chart.kind != "row" else "bar chart"
    extremes = [
        ask(
            rng,
            split,
            "extreme",
            largest,
            mark=mark,
            most="largest" if chart.kind == "pie" else rng.choice(("highest", "largest")),
        ),
        ask(
            rng,
            split,
            "extreme",
            smallest,
            mark=mark,
            most="smallest" if chart.kind == "pie" else rng.choice(("lowest", "smallest")),
        ),
    ]
    values = [ask(rng, split, "chart_value", written[label], label=label) for label in labels]
    one, other = rng.sample(range(len(labels)), 2)
    more = "yes" if chart.values[one] > chart.values[other] else "no"
    others = [
        ask(rng, split, "chart_labels", ", ".join(labels)),
        ask(rng, split, "chart_kind", name),
        ask(rng, split, "marks", str(len(labels)), mark=mark),
        ask(rng, split, "more", more, one=labels[one], other=labels[other], mark=mark),
        *values,
    ]
    others.append(ask(rng, split, "caption", f'A {name} titled "{chart.title}" with {join(labels)}.'))
    label, colour = rng.choice(pairs)
    if chart.kind != "line":
        others.append(ask(rng, split, "mark_colour", colour, mark=mark, label=label))
        if len(set(chart.colours)) == len(labels):
            others.append(ask(rng, split, "mark_of_colour", label, mark=mark, colour=colour))
    first = [ask(rng, split, "chart_title", chart.title), rng.choice(extremes), rng.choice(values)]
    return choose_questions(rng, first, [*others, *extremes])


RENDERERS: dict[str, Callable[[random.Random, Split], Sample]] = {"charts": charts}
