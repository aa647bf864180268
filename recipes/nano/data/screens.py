"""Simple screens: dialogs, menus, forms to fill in, telephones, and panels of buttons."""

import random
from dataclasses import dataclass

from recipes.nano.data import lexicon
from recipes.nano.data.fonts import Face, choose_face
from recipes.nano.data.page import (
    BLACK,
    COLOURS,
    WHITE,
    Canvas,
    Colour,
    choose_ink,
    choose_size,
    contrast,
    join,
    near,
    weather,
)
from recipes.nano.data.page_questions import NTH, ask, choose_questions
from recipes.nano.data.sample import Question, Sample, Split

BUTTONS = """OK Cancel Yes No Save Open Close Next Back Send Delete Edit Start Stop Help Exit Print Search Apply Reset
Login Retry Done Share Buy Play Pause Call Skip Accept Copy Paste Add Remove Update Submit Allow Later""".split()
TITLES = """Settings Mail Files Music Photos Calendar Contacts Clock Camera Weather Maps Notes Messages Games Search
Profile Account Printer Editor Welcome Warning Error Update Login Battery Network Sound Display""".split()
MENUS = """New Open Save Print Close Exit Undo Redo Cut Copy Paste Find Select Zoom View Help About Tools Insert Format
Home Share Export Import Rename Delete""".split()
FIELDS = {
    "Name": lambda rng: rng.choice(lexicon.NAMES),
    "City": lambda rng: rng.choice(lexicon.CITIES),
    "Age": lambda rng: str(rng.randint(1, 99)),
    "Volume": lambda rng: str(rng.randint(0, 100)),
    "Battery": lambda rng: f"{rng.randint(1, 100)}%",
    "Sound": lambda rng: rng.choice(("on", "off")),
    "Wifi": lambda rng: rng.choice(("on", "off")),
    "Alarm": lexicon.clock,
    "Date": lexicon.date,
    "Code": lexicon.code,
    "Steps": lexicon.number,
    "Mode": lambda rng: rng.choice(("dark", "light", "quiet", "fast", "slow")),
}


@dataclass(frozen=True, eq=False)
class Screen:
    """A screen being drawn, and how."""

    rng: random.Random
    split: Split
    canvas: Canvas
    face: Face
    cap: float
    accent: str
    """The name of the colour of the title bar, of what is selected, and of one button."""

    @property
    def colour(self) -> Colour:
        return COLOURS[self.accent]

    def fitted(self, texts: list[str], width: float, cap: float | None = None) -> float:
        """The height of capitals at which each of the texts is at most that wide."""
        return min(self.face.cap_within(text, width, cap or self.cap) for text in texts)


def screens(rng: random.Random, split: Split) -> Sample:
    """A picture of a screen."""
    draw = rng.choice((_dialog, _menu, _fields, _phone, _panel))
    tall = draw is _phone
    sizes = [choose_size(rng, 192) for _ in range(8)]
    width, height = max(sizes, key=lambda size: (size[1] / size[0] >= 1.3) == tall)
    dark = rng.random() < 0.3
    ground = (40, 42, 48) if dark else rng.choice((WHITE, (240, 240, 242), (225, 230, 238), (250, 246, 236)))
    canvas = Canvas(width, height, near(rng, ground, 5))
    accent = rng.choice([name for name in COLOURS if name not in ("white", "black")])
    screen = Screen(rng, split, canvas, choose_face(rng, split), rng.uniform(17, 26), accent)
    first, others = draw(screen)
    return Sample(
        questions=choose_questions(rng, first, others),
        images=(weather(rng, canvas.image, 0.5),),
        regions=canvas.regions(),
    )


Asked = tuple[list[Question], list[Question]]
"""The questions that are always asked, and those to choose from."""


def _title_bar(screen: Screen, title: str, height: float) -> None:
    """A bar across the top, with the title and sometimes the three dots of a window."""
    canvas = screen.canvas
    canvas.draw.rectangle((0, 0, canvas.width, height), screen.colour)
    cap = screen.fitted([title], 0.66 * canvas.width, 0.45 * height)
    canvas.write(
        0.05 * canvas.width, (height + cap) / 2, title, screen.face.at(cap), choose_ink(screen.rng, screen.colour)
    )
    if screen.rng.random() < 0.5:
        for place, dot in enumerate(((255, 95, 87), (254, 188, 46), (40, 200, 64))):
            x, radius = canvas.width - 14 - 16 * place, 5
            canvas.draw.ellipse((x - radius, height / 2 - radius, x + radius, height / 2 + radius), dot, WHITE)


def _button(screen: Screen, box: tuple[float, float, float, float], text: str, colour: Colour, cap: float) -> None:
    """A rounded box with its text in the middle."""
    x1, y1, x2, y2 = box
    screen.canvas.draw.rounded_rectangle(box, 0.2 * (y2 - y1), colour, (110, 110, 115), 1)
    screen.canvas.mark(box, "button")
    ink = max((BLACK, WHITE), key=lambda ink: contrast(ink, colour))
    screen.canvas.write((x1 + x2) / 2, (y1 + y2 + cap) / 2, text, screen.face.at(cap), ink, "m")


def _buttons(screen: Screen, texts: list[str], top: float, height: float, coloured: int) -> None:
    """Buttons side by side; one in the accent colour."""
    room = screen.canvas.width / len(texts)
    cap = screen.fitted(texts, 0.78 * room, 0.45 * height)
    for place, text in enumerate(texts):
        box = (room * (place + 0.06), top, room * (place + 0.94), top + height)
        _button(screen, box, text, screen.colour if place == coloured else (214, 216, 220), cap)


def _about_buttons(screen: Screen, texts: list[str], coloured: int, thing: str) -> list[Question]:
    rng, split = screen.rng, screen.split
    asked = rng.choice((rng.choice(texts), rng.choice([text for text in BUTTONS if text not in texts])))
    return [
        ask(rng, split, "button", texts[coloured], colour=screen.accent),
        ask(rng, split, "buttons", ", ".join(texts)),
        ask(rng, split, "things", str(len(texts)), things="buttons", thing=thing),
        ask(rng, split, "says", "yes" if asked in texts else "no", thing=thing, text=asked),
    ]


def _dialog(screen: Screen) -> Asked:
    """A title, a short message, and one to three buttons."""
    rng, split, canvas = screen.rng, screen.split, screen.canvas
    title, buttons = rng.choice(TITLES), rng.sample(BUTTONS, rng.randint(1, 3))
    noun, verb = rng.choice(lexicon.THINGS), rng.choice(lexicon.VERBS).capitalize()
    message = rng.choice(
        (f"{verb} the {noun}?", f"The {noun} is {rng.choice(lexicon.ADJECTIVES)}.", f"{verb} {noun} now?")
    )
    bar, height = rng.uniform(0.18, 0.24) * canvas.height, rng.uniform(0.18, 0.24) * canvas.height
    _title_bar(screen, title, bar)
    said = message.split()
    lines = (
        [message] if screen.fitted([message], 0.9 * canvas.width) >= 16 else [" ".join(said[:2]), " ".join(said[2:])]
    )
    cap = screen.fitted(lines, 0.9 * canvas.width)
    middle = (bar + canvas.height - height - 0.06 * canvas.height) / 2
    for place, line in enumerate(lines):
        baseline = middle + cap * (0.5 + 2 * (place - (len(lines) - 1) / 2))
        canvas.write(0.05 * canvas.width, baseline, line, screen.face.at(cap), _ink(screen))
    coloured = rng.randrange(len(buttons))
    _buttons(screen, buttons, canvas.height * 0.95 - height, height, coloured)
    others = [
        *_about_buttons(screen, buttons, coloured, "window"),
        ask(rng, split, "colour", screen.accent, thing="title bar"),
        ask(rng, split, "caption", f'A window titled "{title}" with the {_named(buttons)}.'),
    ]
    return [ask(rng, split, "top", title, thing="window"), ask(rng, split, "message", message, thing="window")], others


def _menu(screen: Screen) -> Asked:
    """Entries below one another, one of them highlighted."""
    rng, split, canvas = screen.rng, screen.split, screen.canvas
    entries = rng.sample(MENUS, rng.randint(3, 6 if canvas.height >= 224 else 4))
    chosen, step = rng.randrange(len(entries)), canvas.height / len(entries)
    cap = screen.fitted(entries, 0.8 * canvas.width, min(0.42 * step, 1.3 * screen.cap))
    for place, entry in enumerate(entries):
        top, ink = step * place, _ink(screen)
        if place == chosen:
            canvas.draw.rectangle((0, top, canvas.width, top + step), screen.colour)
            ink = choose_ink(rng, screen.colour)
        canvas.write(0.08 * canvas.width, top + (step + cap) / 2, entry, screen.face.at(cap), ink)
    first = [ask(rng, split, "selected", entries[chosen]), ask(rng, split, "items", ", ".join(entries), thing="menu")]
    others = [ask(rng, split, "item_at", entry, nth=NTH[place]) for place, entry in enumerate(entries)]
    others += [
        ask(rng, split, "things", str(len(entries)), things="items", thing="menu"),
        ask(rng, split, "bottom", entries[-1], thing="menu"),
        ask(rng, split, "caption", f'A menu of {len(entries)} items with "{entries[chosen]}" selected.'),
    ]
    return first, others


def _fields(screen: Screen) -> Asked:
    """Names of fields with boxes that are filled in, and a button."""
    rng, split, canvas = screen.rng, screen.split, screen.canvas
    title, button, keys = rng.choice(TITLES), rng.choice(BUTTONS), rng.sample(list(FIELDS), rng.randint(1, 3))
    values = [FIELDS[key](rng) for key in keys]
    step = canvas.height / (len(keys) + 2)
    _title_bar(screen, title, 0.9 * step)
    cap = min(
        screen.fitted(keys, 0.4 * canvas.width, 0.4 * step), screen.fitted(values, 0.42 * canvas.width, 0.4 * step)
    )
    for place, (key, value) in enumerate(zip(keys, values, strict=True)):
        baseline = step * (place + 1.5) + cap / 2
        canvas.write(0.04 * canvas.width, baseline, key, screen.face.at(cap), _ink(screen))
        box = (0.5 * canvas.width, step * (place + 1.08), 0.97 * canvas.width, step * (place + 1.92))
        canvas.draw.rectangle(box, WHITE, (120, 120, 125), 1)
        canvas.write(0.525 * canvas.width, baseline, value, screen.face.at(cap), BLACK)
    wide = rng.uniform(0.2, 0.45) * canvas.width
    box = (canvas.width / 2 - wide, canvas.height - 0.93 * step, canvas.width / 2 + wide, canvas.height - 0.12 * step)
    _button(screen, box, button, screen.colour, screen.fitted([button], 1.7 * wide, 0.4 * step))
    first = [
        ask(rng, split, "value", value, key=key.lower(), thing="screen")
        for key, value in zip(keys, values, strict=True)
    ]
    others = [
        ask(rng, split, "top", title, thing="window"),
        ask(rng, split, "button", button, colour=""),
        ask(rng, split, "colour", screen.accent, thing="button"),
        ask(rng, split, "things", str(len(keys)), things="fields", thing="window"),
        ask(rng, split, "caption", f'A window titled "{title}" with {join([key.lower() for key in keys])}.'),
    ]
    return first, others


def _phone(screen: Screen) -> Asked:
    """A time in a dark bar, a title, and entries."""
    rng, split, canvas = screen.rng, screen.split, screen.canvas
    time, title, entries = lexicon.clock(rng), rng.choice(TITLES), rng.sample(TITLES + MENUS, rng.randint(2, 4))
    entries = [entry for entry in dict.fromkeys(entries) if entry != title]
    step = canvas.height / (len(entries) + 2.2)
    canvas.draw.rectangle((0, 0, canvas.width, step), (20, 20, 24))
    cap = screen.fitted([time], 0.5 * canvas.width, 0.4 * step)
    canvas.write(canvas.width / 2, (step + cap) / 2, time, screen.face.at(cap), WHITE, "m")
    canvas.draw.rectangle((0, step, canvas.width, 2.1 * step), screen.colour)
    cap = screen.fitted([title], 0.9 * canvas.width, 0.45 * step)
    canvas.write(
        canvas.width / 2, 1.55 * step + cap / 2, title, screen.face.at(cap), choose_ink(rng, screen.colour), "m"
    )
    cap = screen.fitted(entries, 0.84 * canvas.width, 0.38 * step)
    for place, entry in enumerate(entries):
        middle = step * (place + 2.65)
        canvas.write(0.08 * canvas.width, middle + cap / 2, entry, screen.face.at(cap), _ink(screen))
        canvas.draw.line((0, middle + step / 2, canvas.width, middle + step / 2), (160, 160, 165), 1)
    first = [ask(rng, split, "time", time, thing="phone"), ask(rng, split, "screen_title", title, thing="phone")]
    others = [ask(rng, split, "item_at", entry, nth=NTH[place]) for place, entry in enumerate(entries)]
    others += [
        ask(rng, split, "items", ", ".join(entries), thing="phone"),
        ask(rng, split, "bottom", entries[-1], thing="screen"),
        ask(rng, split, "caption", f'A phone that shows "{title}" at {time}.'),
    ]
    return first, others


def _panel(screen: Screen) -> Asked:
    """Two to four buttons below one another, each in a colour of its own."""
    rng, split, canvas = screen.rng, screen.split, screen.canvas
    texts = rng.sample(BUTTONS, rng.randint(2, 4))
    colours = rng.sample([name for name in COLOURS if name not in ("white", "black")], len(texts))
    step, side = canvas.height / len(texts), rng.uniform(0.04, 0.2) * canvas.width
    cap = screen.fitted(texts, 0.8 * (canvas.width - 2 * side), min(0.36 * step, 34))
    for place, (text, colour) in enumerate(zip(texts, colours, strict=True)):
        box = (side, step * (place + 0.12), canvas.width - side, step * (place + 0.88))
        _button(screen, box, text, COLOURS[colour], cap)
    pairs = list(zip(texts, colours, strict=True))
    first = [ask(rng, split, "button", text, colour=colour) for text, colour in rng.sample(pairs, 2)]
    others = [ask(rng, split, "colour", colour, thing=f"button {text}") for text, colour in pairs]
    others += [
        ask(rng, split, "buttons", ", ".join(texts)),
        ask(rng, split, "things", str(len(texts)), things="buttons", thing="picture"),
        ask(rng, split, "caption", f"The {_named(texts)}."),
    ]
    return first, others


def _named(buttons: list[str]) -> str:
    return f"button{'s' * (len(buttons) > 1)} {join(buttons)}"


def _ink(screen: Screen) -> Colour:
    return max((BLACK, WHITE), key=lambda ink: contrast(ink, screen.canvas.ground))
