"""Tables of two to four columns and two to five rows below their header."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recipes.nano.data import lexicon
from recipes.nano.data.fonts import Face, choose_face
from recipes.nano.data.page import BLACK, COLOURS, Canvas, choose_ink, choose_paper, choose_size, join, near, weather
from recipes.nano.data.page_questions import NTH, ask, choose_questions
from recipes.nano.data.sample import Question, Sample, Split

Cell = Callable[[random.Random], str]

HEADS: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "Item": (lexicon.short(lexicon.GOODS, 7), ("Price", "Count", "Stock", "Sold", "Size")),
    "Name": (lexicon.NAMES, ("Age", "Score", "City", "Day", "Points", "Color", "Room")),
    "City": (lexicon.CITIES, ("Rain", "Sun", "Time", "Price", "Hotels", "Flight")),
    "Day": (lexicon.SHORT_DAYS, ("Time", "Room", "Rain", "Sales", "Hours")),
    "Month": (lexicon.SHORT_MONTHS, ("Sales", "Rain", "Days", "Cost")),
    "Animal": (lexicon.short(lexicon.ANIMALS, 7), ("Age", "Weight", "Count", "Food", "Color")),
    "Team": (list(COLOURS), ("Wins", "Points", "Goals", "Rank")),
    "Place": (lexicon.short(lexicon.PLACES, 7), ("Open", "Price", "Rooms", "Floor")),
}
"""The first column's header -> what its cells are drawn from, and the columns that go with it."""

CELLS: dict[str, Cell] = {
    "Price": lambda rng: lexicon.price(rng, 20),
    "Cost": lambda rng: lexicon.price(rng, 90),
    "Size": lambda rng: rng.choice(("S", "M", "L", "XL")),
    "City": lambda rng: rng.choice(lexicon.short(lexicon.CITIES, 6)),
    "Day": lambda rng: rng.choice(lexicon.SHORT_DAYS),
    "Color": lambda rng: rng.choice(list(COLOURS)),
    "Food": lambda rng: rng.choice(lexicon.short(lexicon.GOODS, 6)),
    "Time": lexicon.clock,
    "Open": lexicon.clock,
    "Flight": lexicon.code,
    "Sales": lambda rng: str(rng.randint(10, 999)),
    "Points": lambda rng: str(rng.randint(10, 999)),
    "Room": lambda rng: str(rng.randint(1, 499)),
}
NUMBERS = (
    "Price",
    "Cost",
    "Sales",
    "Points",
    "Age",
    "Score",
    "Count",
    "Stock",
    "Sold",
    "Wins",
    "Goals",
    "Weight",
    "Rain",
)


@dataclass(frozen=True)
class Table:
    """Cells as written."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def column(self, place: int) -> list[str]:
        return [row[place] for row in self.rows]


def tables(rng: random.Random, split: Split) -> Sample:
    """A picture of a table."""
    table = _choose_table(rng)
    canvas = _draw(rng, table, choose_face(rng, split))
    return Sample(
        questions=_questions(rng, split, table), images=(weather(rng, canvas.image),), regions=canvas.regions()
    )


def _choose_table(rng: random.Random) -> Table:
    """Few enough cells to be large: at most 16 with the header."""
    columns = rng.choice((2, 2, 2, 3, 3, 4))
    head = rng.choice(list(HEADS))
    firsts, others = HEADS[head]
    header = (head, *rng.sample(others, columns - 1))
    count = rng.randint(2, min(5, 16 // columns - 1))
    names = rng.sample([first for first in firsts if len(first) <= 11 - 2 * columns + 2], count)
    rows = [(name, *(CELLS.get(column, _small)(rng) for column in header[1:])) for name in names]
    return Table(header, tuple(rows))


def _small(rng: random.Random) -> str:
    return str(rng.randint(0, 99))


def _draw(rng: random.Random, table: Table, face: Face) -> Canvas:
    """Columns as wide as they need, on the first of some sheets that lets the cells be large enough."""
    lines = [table.header, *table.rows]
    units = [max(face.at(100).getlength(line[place]) for line in lines) / 100 for place in range(len(table.header))]
    pitch, gap, most = rng.uniform(1.8, 2.4), rng.uniform(1.1, 1.6), rng.uniform(18, 30)
    for _ in range(12):
        width, height = choose_size(rng, 192)
        cap = min(most, 0.92 * width / (sum(units) + gap * len(units)), 0.94 * height / (pitch * len(lines)))
        if cap >= 14:
            break
    canvas = Canvas(width, height, choose_paper(rng))
    stretch = rng.uniform(1, 0.96 * width / (cap * (sum(units) + gap * len(units))))
    widths = [cap * stretch * (unit + gap) for unit in units]
    step = min(pitch * cap * 1.3, 0.96 * height / len(lines))
    left, top = (width - sum(widths)) / 2, rng.uniform(0.2, 0.8) * (height - step * len(lines))
    header_ink, ink = _rule(rng, canvas, (left, top), widths, step, len(lines))
    aligns = ["l", *(rng.choice("lmr") for _ in widths[1:])]
    for row, line in enumerate(lines):
        baseline, x = top + step * (row + 0.5) + cap / 2, left
        for cell, room, align in zip(line, widths, aligns, strict=True):
            at = x + {"l": gap * cap / 2, "m": room / 2, "r": room - gap * cap / 2}[align]
            canvas.write(at, baseline, cell, face.at(cap), header_ink if row == 0 else ink, align)
            x += room
    return canvas


def _rule(
    rng: random.Random, canvas: Canvas, corner: tuple[float, float], widths: Sequence[float], step: float, count: int
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Rules, stripes and a header's ground; returns the inks of the header and of the rows."""
    (left, top), right = corner, corner[0] + sum(widths)
    line = rng.choice((BLACK, (150, 150, 155), near(rng, rng.choice(list(COLOURS.values())))))
    header = canvas.ground
    if rng.random() < 0.5:
        header = near(rng, rng.choice([*COLOURS.values(), (215, 220, 228), (60, 70, 85)]))
        canvas.draw.rectangle((left, top, right, top + step), header)
    if rng.random() < 0.3:
        dim = tuple(part - 18 for part in canvas.ground)
        for row in range(2, count, 2):
            canvas.draw.rectangle((left, top + row * step, right, top + (row + 1) * step), dim)
    style = rng.choice(("grid", "rows", "header", "none"))
    thick = rng.randint(1, 2)
    for row in {"grid": range(count + 1), "rows": range(1, count + 1), "header": (1,), "none": ()}[style]:
        canvas.draw.line((left, top + row * step, right, top + row * step), line, thick)
    if style == "grid":
        for place in range(len(widths) + 1):
            x = left + sum(widths[:place])
            canvas.draw.line((x, top, x, top + count * step), line, thick)
    return choose_ink(rng, header, 4.5), choose_ink(rng, canvas.ground, 7.0)


def _questions(rng: random.Random, split: Split, table: Table) -> list[Question]:
    head, columns, names = table.header[0].lower(), [name.lower() for name in table.header], table.column(0)
    cells, others = [], []
    for place, column in enumerate(columns):
        for row, line in enumerate(table.rows):
            others.append(ask(rng, split, "cell_at", line[place], column=column, nth=NTH[row]))
            if place and table.column(place).count(line[place]) == 1:
                others.append(ask(rng, split, "row_of", line[0], head=head, column=column, cell=line[place]))
            if place:
                cells.append(ask(rng, split, "cell", line[place], column=column, row=line[0]))
        if table.header[place] in NUMBERS:
            for most, choose in (("highest", max), ("lowest", min)):
                best = choose(table.column(place), key=float)
                if table.column(place).count(best) == 1:
                    name = names[table.column(place).index(best)]
                    others.append(ask(rng, split, "extreme_row", name, head=head, column=column, most=most))
    asked = rng.choice((rng.choice(names), rng.choice([n for n in HEADS[table.header[0]][0] if n not in names])))
    extra = [
        ask(rng, split, "says", "yes" if asked in names else "no", thing="table", text=asked),
        ask(rng, split, "columns", ", ".join(table.header)),
        ask(rng, split, "things", str(len(table.rows)), things="rows below the header", thing="table"),
        ask(rng, split, "things", str(len(table.header)), things="columns", thing="table"),
        ask(rng, split, "caption", f"A table with the columns {join(columns)}, and {len(names)} rows."),
    ]
    return choose_questions(rng, [*rng.sample(cells, min(2, len(cells))), rng.choice(extra)], [*others, *extra])
