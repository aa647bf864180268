"""The renderers of still pictures: what they ask is checked against the pixels they draw."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from recipes.nano.data import composing
from recipes.nano.data.backgrounds import Background
from recipes.nano.data.canvas import compose, picture_layer
from recipes.nano.data.pool import Picture, Pool
from recipes.nano.data.sample import Question, Writer
from recipes.nano.data.scenes import RENDERERS
from recipes.nano.data.templates import TEMPLATES, ask
from recipes.nano.data.words import COLOURS, NUMBERS, POSITIONS, SHAPES, a, alike, plural, shade, words

NAMES = sorted(
    words(
        "dog cat horse cow pig rabbit mouse monkey bear elephant giraffe fish bird frog bee snail octopus car bus bike "
        "train ship airplane apple banana lemon carrot pizza cookie house tent flower tree shoe hat hammer saw "
        "scissors guitar drum lamp kettle globe stamp book anchor"
    )
)

PURE = {
    "red": (220, 20, 20),
    "orange": (250, 140, 15),
    "yellow": (245, 225, 35),
    "green": (40, 155, 50),
    "blue": (35, 70, 205),
    "purple": (110, 40, 155),
    "pink": (250, 150, 195),
    "brown": (105, 60, 30),
    "black": (15, 15, 15),
    "white": (250, 250, 250),
}


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    """Cut-outs in one odd outline, and a background."""
    folder = tmp_path_factory.mktemp("pool")
    rng = random.Random(0)
    pictures = []
    for name in NAMES:
        image = Image.new("RGBA", (rng.randint(80, 200), rng.randint(80, 200)))
        w, h = image.width - 1, image.height - 1
        ImageDraw.Draw(image).polygon([(0, h / 2), (w / 2, 0), (w, h / 3), (w * 0.7, h)], fill=(200, 0, 220, 255))
        image.save(folder / f"{name}.png")
        kind = rng.choice(("photo", "drawing"))
        pictures.append(Picture(folder / f"{name}.png", name, kind, rng.random() < 0.9, "test", "CC0", "train"))
    Image.effect_noise((400, 300), 60).convert("RGB").save(folder / "ground.png")
    return Pool(pictures, [folder / "ground.png"])


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grey background, and a camera without faults."""
    grey = lambda rng, size, *_, **__: Background(Image.new("RGB", size, (128, 128, 128)), None)  # noqa: E731, ARG005
    monkeypatch.setattr(composing, "make_background", grey)
    monkeypatch.setattr(composing, "camera", lambda _, image: image)


def colour_map(image: Image.Image) -> np.ndarray:
    """The nearest of PURE for every pixel, as a number; -1 for the grey background and what is near to it."""
    pixels = np.asarray(image).astype(int)
    reference = np.array([*PURE.values(), (128, 128, 128)])
    nearest = np.stack([((pixels - colour) ** 2).sum(-1) for colour in reference]).argmin(0)
    return np.where(nearest == len(PURE), -1, nearest)


def blobs(mask: np.ndarray) -> int:
    """Connected regions of more than 20 pixels."""
    left, number = {(int(y), int(x)) for y, x in np.argwhere(mask)}, 0
    while left:
        stack, pixels = [left.pop()], 0
        while stack:
            y, x = stack.pop()
            pixels += 1
            for near in ((y, x + 1), (y, x - 1), (y + 1, x), (y - 1, x)):
                if near in left:
                    left.remove(near)
                    stack.append(near)
        number += pixels > 20
    return number


def questions(name: str, pool: Pool, split: str, count: int) -> list[Question]:
    return [q for seed in range(count) for q in RENDERERS[name](random.Random(seed), pool, split).questions]


@pytest.mark.parametrize("name", RENDERERS)
def test_the_same_seed_gives_the_same_sample_and_it_can_be_written(name: str, pool: Pool, tmp_path: Path) -> None:
    for seed in range(8):
        one, two = (RENDERERS[name](random.Random(seed), pool, "train") for _ in range(2))
        assert one.questions == two.questions and one.regions == two.regions and one.questions
        assert [image.tobytes() for image in one.images] == [image.tobytes() for image in two.images]
        assert len({q.text for q in one.questions}) == len(one.questions) <= 8
        low, high = (128, 176) if name == "compare" else (160, 320)
        assert all(low <= side <= high for image in one.images for side in image.size)
        assert Writer(tmp_path, name).line(seed, one)


def test_boxes_bound_what_was_pasted(pool: Pool) -> None:
    for seed in range(40):
        rng = random.Random(seed)
        ground = Image.new("RGB", (220, 180), "white")
        layers = [picture_layer(rng, picture, rng.randint(40, 70)) for picture in rng.sample(pool.pictures, 2)]
        things = compose(rng, ground, layers)
        changed = (np.asarray(ground) != 255).any(-1)
        outside = changed.copy()
        for thing in things:
            x1, y1, x2, y2 = thing.box
            rows, columns = np.nonzero(changed[y1:y2, x1:x2])
            assert rows.min() <= 2 and columns.min() <= 2 and y2 - y1 - rows.max() <= 3 and x2 - x1 - columns.max() <= 3
            outside[max(0, y1 - 3) : y2 + 3, max(0, x1 - 3) : x2 + 3] = False  # 3: a rim
        assert not outside.any()


@pytest.mark.usefixtures("plain")
def test_shapes_are_where_the_regions_say_in_the_colour_they_say(pool: Pool) -> None:
    for seed in range(15):
        sample = RENDERERS["shapes"](random.Random(seed), pool, "train")
        colours = colour_map(sample.images[0])
        height, width = colours.shape
        for region in sample.regions:
            x1, y1, x2, y2 = (round(v * s / 1000) for v, s in zip(region.box, (width, height) * 2, strict=True))
            inside = colours[y1:y2, x1:x2]
            seen = Counter(inside[inside >= 0].tolist()).most_common(1)[0][0]
            assert list(PURE)[seen] == region.text.split()[0], (seed, region)


@pytest.mark.usefixtures("plain")
def test_counts_follow_from_the_pixels(pool: Pool) -> None:
    checked = 0
    for seed in range(60):
        sample = RENDERERS["shapes"](random.Random(seed), pool, "train")
        question = sample.questions[0]
        asked = [colour for colour in PURE if f"{colour} shapes" in question.text]
        if asked and asked[0] not in ("black", "white"):  # those two are rims as well
            number = blobs(colour_map(sample.images[0]) == list(PURE).index(asked[0]))
            assert question.answer == NUMBERS[number], (seed, question)
            checked += 1
    assert checked > 5


def test_positions_and_relations_follow_from_the_regions(pool: Pool) -> None:
    places = {word for row in POSITIONS for word in row}
    positions = relations = 0
    for seed in range(150):
        sample = RENDERERS["scenes"](random.Random(seed), pool, "train")
        centers = {r.text: ((r.box[0] + r.box[2]) / 2000, (r.box[1] + r.box[3]) / 2000) for r in sample.regions}
        for q in sample.questions:
            if q.kind == "position" and q.answer in places:
                name = max((n for n in centers if f"the {n}" in q.text.lower()), key=len)
                x, y = centers[name]
                for value, low, high in ((x, "left", "right"), (y, "top", "bottom")):
                    word = low if value < 0.37 else high if value > 0.63 else ""
                    assert (low in q.answer, high in q.answer) == (word == low, word == high), (seed, q)
                positions += 1
            for word, axis, sign in ((" left of ", 0, 1), (" right of ", 0, -1), (" above ", 1, 1), (" below ", 1, -1)):
                if q.kind == "relation" and q.answer in ("yes", "no") and word in q.text:
                    one, other = (
                        max((n for n in centers if f"the {n}" in part), key=len) for part in q.text.lower().split(word)
                    )
                    assert (sign * (centers[other][axis] - centers[one][axis]) > 0) == (q.answer == "yes"), (seed, q)
                    relations += 1
    assert positions > 50 and relations > 5


def test_yes_and_no_and_counts_are_balanced(pool: Pool) -> None:
    asked = [q for name in ("scenes", "shapes", "grounding") for q in questions(name, pool, "train", 170)]
    answers = Counter(q.answer for q in asked if q.kind == "yes_no")
    assert answers.keys() == {"yes", "no"}
    assert 0.44 < answers["yes"] / answers.total() < 0.56
    counts = Counter(q.answer for q in asked if q.kind == "count")
    assert all(0.12 < counts[NUMBERS[number]] / counts.total() < 0.28 for number in range(1, 6)), counts


def test_long_answers_are_asked_for_in_some_pictures_of_training_and_in_all_held_out(pool: Pool) -> None:
    """Of scenes with captions, the share in which one may be asked for."""
    shares = {
        split: sum(
            any(q.kind == "caption" for q in RENDERERS["scenes"](random.Random(seed), pool, split).questions)
            for seed in range(150)
        )
        / 150
        for split in ("train", "held_out")
    }
    assert 0.1 < shares["train"] < 0.3 < 0.5 < shares["held_out"]


def test_held_out_wordings_are_not_asked_in_training() -> None:
    names = words("a the other first second plural colour where box beside one two more most order nth aspect")
    fields = {name: name.upper() for name in names}
    for key, wordings in TEMPLATES.items():
        assert len(set(wordings.train)) >= 6 and len(set(wordings.held_out)) >= 3
        assert not set(wordings.train) & set(wordings.held_out)
        rng = random.Random(key)
        train = {ask(rng, "train", key, **fields) for _ in range(100)}
        both = [ask(rng, "held_out", key, **fields) for _ in range(200)]
        assert len(train) == len(set(wordings.train))
        assert len(set(both)) == len(train) + len(set(wordings.held_out))
        assert 60 < sum(text in train for text in both) < 140


def test_shades_are_nearest_to_their_own_colour() -> None:
    rng = random.Random(0)
    for colour in COLOURS:
        for _ in range(200):
            pixel = np.array(shade(rng, colour))
            assert min(PURE, key=lambda name: ((np.array(PURE[name]) - pixel) ** 2).sum()) == colour, (colour, pixel)


def test_words() -> None:
    assert [a(name) for name in ("dog", "owl", "unicorn", "hourglass", "scissors", "cup of coffee", "bread")] == [
        "a dog", "an owl", "a unicorn", "an hourglass", "scissors", "a cup of coffee", "bread"
    ]  # fmt: skip
    assert [plural(name) for name in ("cross", "leaf", "policeman", "cup of tea", "cherry", "key", "human")] == [
        "crosses", "leaves", "policemen", "cups of tea", "cherries", "keys", "humans"
    ]  # fmt: skip
    assert alike("taxi", "police car") and alike("dog", "guide dog") and not alike("dog", "cat")
    assert len(SHAPES) == 12 and len(COLOURS) == 10
