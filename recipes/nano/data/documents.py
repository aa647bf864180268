"""Notes, lists, receipts, invoices, forms, letters and cards, as lines of large print."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from recipes.nano.data import lexicon
from recipes.nano.data.fonts import Face, choose_face
from recipes.nano.data.page import (
    COLOURS,
    Canvas,
    choose_ink,
    choose_paper,
    choose_size,
    join,
    near,
    weather,
)
from recipes.nano.data.page_questions import NTH, ask, choose_questions
from recipes.nano.data.sample import Question, Sample, Split
from recipes.nano.data.screens import screens
from recipes.nano.data.signs import words
from recipes.nano.data.tables import tables

Renderer = Callable[[random.Random, Split], Sample]


@dataclass(frozen=True)
class Line:
    """A line of text, or a key at the left and its value at the right or after a colon."""

    text: str
    value: str = ""
    title: bool = False

    def written(self, joined: bool) -> str:
        """As one run of text."""
        return self.text if not self.value else f"{self.text}: {self.value}" if joined else f"{self.text} {self.value}"


@dataclass(frozen=True)
class Document:
    """What is written, and what can be asked about it."""

    thing: str
    lines: tuple[Line, ...]
    caption: str
    questions: tuple[Question, ...]


def documents(rng: random.Random, split: Split) -> Sample:
    """A picture of a document."""
    document = rng.choice((_receipt, _form, _list, _letter, _card))(rng, split)
    joined = document.thing != "receipt" and rng.random() < 0.6
    canvas = _draw(rng, document, choose_face(rng, split), joined)
    return Sample(
        questions=_questions(rng, split, document, joined),
        images=(weather(rng, canvas.image),),
        regions=canvas.regions(),
    )


def _questions(rng: random.Random, split: Split, document: Document, joined: bool) -> list[Question]:
    """About the lines, whatever the document is, and what is to be asked about this one."""
    lines, thing = [line.written(joined) for line in document.lines], document.thing
    others = [
        *document.questions,
        ask(rng, split, "lines", str(len(lines)), thing=thing),
        ask(rng, split, "bottom", lines[-1], thing=thing),
        *(ask(rng, split, "line_at", line, nth=NTH[place], thing=thing) for place, line in enumerate(lines)),
    ]
    first = rng.sample(document.questions, min(2, len(document.questions)))
    if document.lines[0].title:
        first.append(ask(rng, split, "top", lines[0], thing=thing))
    if rng.random() < 0.5:
        first.append(ask(rng, split, "caption", document.caption))
    if len(" ".join(lines).split()) <= 8:
        first.append(ask(rng, split, "text", " ".join(lines), thing=thing))
    return choose_questions(rng, first, others)


def _draw(rng: random.Random, document: Document, face: Face, joined: bool) -> Canvas:
    """The lines below one another, on the first of some sheets that lets them be large enough."""
    lines = document.lines
    scales = [rng.uniform(1.0, 1.35) if line.title else 1.0 for line in lines]
    runs = [line.written(joined) if joined or not line.value else f"{line.text}   {line.value}" for line in lines]
    pitch, most = rng.uniform(1.8, 2.2), rng.uniform(18, 34)
    for _ in range(12):
        width, height = choose_size(rng, 192)
        caps = [
            face.cap_within(run, 0.86 * width, most * scale) / scale for run, scale in zip(runs, scales, strict=True)
        ]
        cap = min(*caps, 0.94 * height / (pitch * sum(scales)))
        if cap >= 14:
            break
    canvas = Canvas(width, height, choose_paper(rng))
    ink = choose_ink(rng, canvas.ground, 6.0)
    centred = document.thing in ("card", "badge", "poster") and rng.random() < 0.6
    step = pitch * cap
    spare = height - step * sum(scales)
    y = rng.uniform(0.2, 0.6) * spare
    gap = rng.uniform(0, 0.35) * spare / len(lines)
    _decorate(rng, canvas, round(y + step * scales[0]), titled=lines[0].title)
    for line, scale in zip(lines, scales, strict=True):
        font, baseline = face.at(cap * scale), y + scale * (step + cap) / 2
        if line.value and not joined:
            canvas.write(0.07 * width, baseline, line.text, font, ink)
            canvas.write(0.93 * width, baseline, line.value, font, ink, "r")
        elif centred:
            canvas.write(width / 2, baseline, line.written(joined), font, ink, "m")
        else:
            canvas.write(0.07 * width, baseline, line.written(joined), font, ink)
        y += step * scale + gap
    return canvas


def _decorate(rng: random.Random, canvas: Canvas, below_title: int, titled: bool) -> None:
    """What is on the sheet besides writing: a rule below the title, a bar, a border, or nothing."""
    colour = near(rng, rng.choice(list(COLOURS.values())), 30)
    what = rng.choice(("nothing", "rule", "bar", "border", "tint"))
    width, height = canvas.width, canvas.height
    if what == "rule" and titled:
        canvas.draw.line((0.07 * width, below_title, 0.93 * width, below_title), colour, rng.randint(1, 3))
    if what == "bar":
        canvas.draw.rectangle((0, 0, 0.03 * width, height), colour)
    if what == "border":
        canvas.draw.rectangle((2, 2, width - 3, height - 3), None, colour, rng.randint(1, 4))
    if what == "tint" and titled:
        pale = tuple(round(0.2 * part + 0.8 * paper) for part, paper in zip(colour, canvas.ground, strict=True))
        canvas.draw.rectangle((0, 0, width, below_title), pale)


def _receipt(rng: random.Random, split: Split) -> Document:
    shop = rng.choice((f"{rng.choice(lexicon.NAMES)} {rng.choice(SHOPS)}", rng.choice(SHOPS).upper(), "RECEIPT"))
    goods = rng.sample(lexicon.GOODS, rng.randint(1, 3))
    costs = [lexicon.price(rng, 20) for _ in goods]
    total = f"{sum(map(float, costs)):.2f}"
    case = rng.choice((str.upper, str.capitalize, str))
    lines = [Line(case(good), cost) for good, cost in zip(goods, costs, strict=True)]
    lines.append(Line(rng.choice(("Total", "TOTAL")), total))
    questions = [ask(rng, split, "cost", cost, key=good) for good, cost in zip(goods, costs, strict=True)]
    questions += [ask(rng, split, "value", total, key=key, thing="receipt") for key in ("total", "total")]
    questions.append(ask(rng, split, "things", str(len(goods)), things="items", thing="receipt"))
    questions.append(_present(rng, split, "receipt", goods))
    return Document(
        "receipt", (Line(shop, title=True), *lines), f"A receipt with a total of {total}.", tuple(questions)
    )


SHOPS = ("Bakery", "Market", "Cafe", "Store", "Grocery", "Shop", "Pizza", "Books", "Foods", "Garden")
TITLES = {
    "form": ("Form", "Order", "Visitor", "Application", "Member", "Delivery"),
    "invoice": ("Invoice", "INVOICE", "Bill"),
    "ticket": ("Ticket", "TICKET", "Bus Ticket", "Train Ticket"),
    "report": ("Report", "Summary", "Results"),
}


def _form(rng: random.Random, split: Split) -> Document:
    thing = rng.choice(list(TITLES))
    keys = rng.sample(list(VALUES), rng.randint(2, 4))
    values = [VALUES[key](rng) for key in keys]
    lines = [Line(key, value) for key, value in zip(keys, values, strict=True)]
    title = rng.choice(TITLES[thing])
    questions = [
        ask(rng, split, "value", value, key=key.lower(), thing=thing) for key, value in zip(keys, values, strict=True)
    ]
    caption = f"{'An' if thing[0] in 'aeiou' else 'A'} {thing} with {join([key.lower() for key in keys])}."
    return Document(thing, (Line(title, title=True), *lines), caption, tuple(questions))


VALUES: dict[str, Callable[[random.Random], str]] = {
    "Name": lambda rng: rng.choice(lexicon.NAMES),
    "City": lambda rng: rng.choice(lexicon.CITIES),
    "Date": lexicon.date,
    "Time": lexicon.clock,
    "Room": lambda rng: str(rng.randint(1, 499)),
    "Number": lexicon.number,
    "Code": lexicon.code,
    "Total": lambda rng: lexicon.price(rng, 400),
    "Price": lexicon.price,
    "Tax": lambda rng: lexicon.price(rng, 9),
    "Age": lambda rng: str(rng.randint(3, 99)),
    "Seat": lambda rng: f"{rng.randint(1, 40)}{rng.choice('ABCDEF')}",
    "Color": lambda rng: rng.choice(list(COLOURS)),
    "Job": lambda rng: rng.choice(lexicon.PEOPLE),
    "Phone": lambda rng: f"{rng.randint(200, 999)}-{rng.randint(1000, 9999)}",
    "Day": lambda rng: rng.choice(lexicon.DAYS),
    "Weight": lambda rng: f"{rng.randint(1, 99)} kg",
    "Size": lambda rng: rng.choice(("small", "medium", "large", "S", "M", "L", "XL")),
    "Score": lambda rng: str(rng.randint(1, 100)),
    "Gate": lexicon.code,
    "Owner": lambda rng: rng.choice(lexicon.NAMES),
    "Pages": lambda rng: str(rng.randint(2, 600)),
    "Status": lambda rng: rng.choice(("open", "closed", "paid", "ready", "late", "new", "sold")),
}


def _list(rng: random.Random, split: Split) -> Document:
    title, pool = rng.choice(
        (
            ("Shopping List", lexicon.GOODS),
            ("To Buy", lexicon.GOODS),
            (
                "To Do",
                [
                    f"{verb} {noun}"
                    for verb, noun in zip(rng.sample(CHORES, 6), rng.sample(lexicon.THINGS, 6), strict=True)
                ],
            ),
            ("Guests", lexicon.NAMES),
            ("Team", lexicon.NAMES),
            ("Packing List", lexicon.THINGS),
            ("Trip", lexicon.CITIES),
            ("Zoo", lexicon.ANIMALS),
            ("Menu", lexicon.GOODS),
            ("Words", lexicon.WORDS),
        )
    )
    items = rng.sample(pool, rng.randint(2, 4))
    numbered = rng.random() < 0.25
    lines = [Line(f"{place}. {item}" if numbered else item) for place, item in enumerate(items, 1)]
    questions = [ask(rng, split, "item_at", item, nth=NTH[place]) for place, item in enumerate(items)]
    questions.append(ask(rng, split, "items", ", ".join(items), thing="list"))
    questions.append(ask(rng, split, "things", str(len(items)), things="items", thing="list"))
    questions.append(_present(rng, split, "list", items, pool))
    caption = f'A list titled "{title}" with {join(items)}.'
    return Document("list", (Line(title, title=True), *lines), caption, tuple(questions))


CHORES = ("buy", "clean", "fix", "find", "paint", "wash", "sell", "move", "pack", "return", "order", "check")


def _letter(rng: random.Random, split: Split) -> Document:
    thing = rng.choice(("note", "letter", "message"))
    receiver, sender = rng.sample(lexicon.NAMES, 2)
    verb, noun, adjective = rng.choice(CHORES), rng.choice(lexicon.THINGS), rng.choice(lexicon.ADJECTIVES)
    body = rng.choice(
        (
            (f"Please {verb}", f"the {noun}."),
            (f"Meet me at the {rng.choice(lexicon.PLACES)}", f"at {lexicon.clock(rng)}."),
            (f"The {noun}", f"is {adjective}."),
            (f"See you on {rng.choice(lexicon.DAYS)}.",),
            (f"Thank you for the {adjective} {noun}.",),
            (f"I am in {rng.choice(lexicon.CITIES)}.",),
        )
    )
    greeting, ending = rng.choice(("Dear {},", "Hi {},", "Hello {}!")), rng.choice(("Love, {}", "{}", "Yours, {}"))
    lines = (greeting.format(receiver), *body, ending.format(sender))
    questions = (
        ask(rng, split, "sender", sender, thing=thing),
        ask(rng, split, "receiver", receiver, thing=thing),
        _present(rng, split, thing, [receiver, sender], lexicon.NAMES),
    )
    return Document(thing, tuple(map(Line, lines)), f"A {thing} from {sender} to {receiver}.", questions)


EVENTS = ("Big", "New", "Open", "Free", "Summer", "Winter"), ("Party", "Sale", "Show", "Day", "Market", "Contest")


def _card(rng: random.Random, split: Split) -> Document:
    thing = rng.choice(("card", "badge", "poster"))
    name = rng.choice(lexicon.NAMES)
    job, place, when = (
        rng.choice(lexicon.PEOPLE),
        rng.choice(lexicon.PLACES),
        rng.choice((lexicon.date, lexicon.clock))(rng),
    )
    title, rest = rng.choice(
        (
            (name, (job.capitalize(), f"Room {rng.randint(1, 99)}")),
            (
                f"{rng.choice(EVENTS[0])} {rng.choice(EVENTS[1])}",
                (when, place),
            ),
            (rng.choice(lexicon.WORDS).upper(), (" ".join(rng.sample(lexicon.WORDS, 2)), lexicon.price(rng))),
        )
    )
    lines = (title, *rest)
    questions = [ask(rng, split, "line_at", line, nth=NTH[at], thing=thing) for at, line in enumerate(lines)]
    questions.append(_present(rng, split, thing, list(lines), lexicon.WORDS))
    return Document(
        thing, (Line(title, title=True), *map(Line, rest)), f'A {thing} that says "{title}".', tuple(questions)
    )


def _present(
    rng: random.Random, split: Split, thing: str, there: list[str], pool: list[str] = lexicon.GOODS
) -> Question:
    """Whether something is written: yes half of the time."""
    if rng.random() < 0.5:
        return ask(rng, split, "says", "yes", thing=thing, text=rng.choice(there))
    absent = rng.choice([text for text in pool if text not in there])
    return ask(rng, split, "says", "no", thing=thing, text=absent)


RENDERERS: dict[str, Renderer] = {"words": words, "documents": documents, "tables": tables, "screens": screens}
