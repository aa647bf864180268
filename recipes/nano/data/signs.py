"""One to three large words, a number or a price, on a sign, a label, a button, a banner or just on a wall."""

import random
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from recipes.nano.data import lexicon
from recipes.nano.data.fonts import Face, choose_face
from recipes.nano.data.page import (
    COLOURS,
    WHITE,
    Canvas,
    Colour,
    PixelBox,
    choose_ink,
    choose_size,
    near,
    places_of_words,
    texture,
    weather,
)
from recipes.nano.data.page_questions import NTH, ask, choose_questions
from recipes.nano.data.sample import Question, Sample, Split

SOLID = [255 * (level > 60) for level in range(256)]
"""What of a turned word's soft edges counts as ink."""

THINGS = ("sign", "label", "button", "banner", "sticker", "wall")


@dataclass(frozen=True)
class Writing:
    """What is written, line by line."""

    lines: tuple[str, ...]
    number: bool
    """Whether it is one number or price."""

    @property
    def text(self) -> str:
        return " ".join(self.lines)

    @property
    def words(self) -> list[str]:
        return self.text.split(" ")


def words(rng: random.Random, split: Split) -> Sample:
    """A picture of large writing."""
    thing = rng.choice(THINGS)
    writing = _choose_writing(rng)
    name = rng.choice(list(COLOURS))
    face = choose_face(rng, split, display=True)
    (width, height), cap = _choose_scale(rng, writing, face)
    canvas = Canvas(width, height, WHITE)
    plate = near(rng, COLOURS[name], 8)
    canvas.image = Image.new("RGB", (width, height), plate) if thing == "wall" else texture(rng, width, height)
    _draw(rng, canvas, thing, plate, writing, Print(face.at(cap), cap, choose_ink(rng, plate)))
    return Sample(
        questions=_questions(rng, split, thing, name, writing),
        images=(weather(rng, canvas.image),),
        regions=canvas.regions(),
    )


def _choose_writing(rng: random.Random) -> Writing:
    what = rng.random()
    if what < 0.22:
        number = rng.choice((lexicon.number, lexicon.number, lexicon.price, lexicon.clock, lexicon.code))(rng)
        return Writing((number,), number=True)
    if what < 0.34:
        return Writing((rng.choice(lexicon.SIGNS),), number=False)
    count = rng.choice((1, 1, 2, 2, 3))
    case = rng.choice((str.upper, str.upper, str.capitalize, str, str))
    chosen = [case(rng.choice(lexicon.WORDS)) for _ in range(count)]
    if count > 1 and rng.random() < 0.15:
        chosen[-1] = rng.choice((lexicon.number, lexicon.price, lexicon.code))(rng)
    if count == 1 or rng.random() < 0.65:
        return Writing(tuple(chosen), number=False)
    return Writing((" ".join(chosen[:2]), *chosen[2:]), number=False)


def _choose_scale(rng: random.Random, writing: Writing, face: Face) -> tuple[tuple[int, int], float]:
    """The first of some sizes of the picture that lets the words be large enough, and the height of their capitals."""
    wanted, share = rng.uniform(24, 70), rng.uniform(0.6, 0.8)
    for _ in range(12):
        size = choose_size(rng)
        most = min(wanted, share * size[1] / (1.75 * len(writing.lines) + 0.6))
        cap = min(face.cap_within(line, 0.76 * size[0], most) for line in writing.lines)
        if cap >= 20:
            break
    return size, cap


@dataclass(frozen=True)
class Print:
    """Letters of one height in one colour."""

    font: ImageFont.FreeTypeFont
    cap: float
    ink: Colour


def _draw(rng: random.Random, canvas: Canvas, thing: str, plate: Colour, writing: Writing, letters: Print) -> None:
    """The plate and the words, turned together. Each word's box is where its own ink falls."""
    width, height, count = canvas.width, canvas.height, len(writing.lines)
    font, ink, cap, pitch = letters.font, letters.ink, letters.cap, 1.75 * letters.cap
    half_width = max(font.getlength(line) for line in writing.lines) / 2 + rng.uniform(0.4, 0.9) * cap
    half_height = (pitch * count + 0.5 * cap) / 2
    x = width / 2 + rng.uniform(-0.8, 0.8) * max(0, 0.46 * width - half_width)
    y = height / 2 + rng.uniform(-0.8, 0.8) * max(0, 0.46 * height - half_height)
    angle = rng.uniform(-7, 7) if rng.random() < 0.5 else 0.0
    if thing != "wall":
        if thing == "banner":
            x, half_width = width / 2, 0.6 * width
        _draw_plate(
            rng, canvas, thing, (x - half_width, y - half_height, x + half_width, y + half_height), (plate, ink), angle
        )
    for place, line in enumerate(writing.lines):
        baseline = round(y + pitch * (place + 0.5 - count / 2) + cap / 2)
        start = round((width if thing == "banner" else 2 * x) / 2 - font.getlength(line) / 2)
        for offset, word in places_of_words(line, font):
            mask = Image.new("L", (width, height))
            ImageDraw.Draw(mask).text((start + offset, baseline), word, 255, font, anchor="ls")
            mask = mask.rotate(angle, Image.Resampling.BILINEAR, center=(x, y)) if angle else mask
            canvas.image.paste(ink, (0, 0, width, height), mask)
            box = mask.point(SOLID).getbbox()
            assert box is not None, word
            canvas.mark(box, word)


def _draw_plate(
    rng: random.Random, canvas: Canvas, thing: str, sides: PixelBox, colours: tuple[Colour, Colour], angle: float
) -> None:
    """A rounded plate in the first colour, sometimes with a border in the second."""
    x1, y1, x2, y2 = sides
    radius = {"banner": 0.0, "button": 0.5, "sticker": 0.35}.get(thing, rng.choice((0.0, 0.15, 0.3))) * (y2 - y1)
    border = rng.choice((0, 2, 3, 4)) or 2 * (thing == "label")
    for colour, extra in ((colours[1], border), (colours[0], 0))[border == 0 :]:
        mask = Image.new("L", (canvas.width, canvas.height))
        outline = (x1 - extra, y1 - extra, x2 + extra, y2 + extra)
        ImageDraw.Draw(mask).rounded_rectangle(outline, radius + extra, 255)
        mask = mask.rotate(angle, Image.Resampling.BILINEAR, center=((x1 + x2) / 2, (y1 + y2) / 2)) if angle else mask
        canvas.image.paste(colour, (0, 0, canvas.width, canvas.height), mask)


def _questions(rng: random.Random, split: Split, thing: str, colour: str, writing: Writing) -> list[Question]:
    text, said = writing.text, writing.words
    article = "An" if colour == "orange" else "A"
    first = [
        ask(rng, split, "text", text, thing=thing),
        ask(rng, split, "caption", f'{article} {colour} {thing} that says "{text}".'),
    ]
    others = [ask(rng, split, "colour", colour, thing=thing)]
    if writing.number and text.isdigit():
        others.append(ask(rng, split, "number", text, thing=thing))
    if len(said) > 1:
        others += [ask(rng, split, "word_at", word, nth=NTH[at], thing=thing) for at, word in enumerate(said)]
        others.append(ask(rng, split, "word_at", said[-1], nth="last", thing=thing))
    if not writing.number:
        others.append(ask(rng, split, "words", str(len(said)), thing=thing))
    if len(writing.lines) > 1:
        others += [ask(rng, split, "line_at", line, nth=NTH[at], thing=thing) for at, line in enumerate(writing.lines)]
        others.append(ask(rng, split, "bottom", writing.lines[-1], thing=thing))
    changed = rng.choice(said)
    foil = text.replace(changed, _like(rng, changed))
    asked = rng.choice((text, foil))
    others.append(ask(rng, split, "says", "yes" if asked == text else "no", text=asked, thing=thing))
    return choose_questions(rng, first, others)


def _like(rng: random.Random, word: str) -> str:
    """Another word or number, written alike."""
    if not word.isalpha():
        digits = [str((int(sign) + rng.randint(1, 9)) % 10) if sign.isdigit() else sign for sign in word]
        return "".join(digits)
    other = rng.choice(lexicon.WORDS)
    return other.upper() if word.isupper() else other.capitalize() if word[0].isupper() else other
