"""Things to read: boxes hold the ink of their words, answers agree with what is drawn, held-out means held out."""

import random
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFont

from recipes.nano.data import charts, documents, fonts, lexicon, page, page_questions, signs
from recipes.nano.data.sample import KINDS, Sample, Split
from vl3.data.boxes import box_to_pixels
from vl3.errors import UserError

RENDERERS: dict[str, Callable[[random.Random, Split], Sample]] = {**documents.RENDERERS, **charts.RENDERERS}
EACH = pytest.mark.parametrize("name", sorted(RENDERERS))


@pytest.fixture(autouse=True)
def _fonts(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's own font under the name of every font: what is tested must not hang on how letters look."""
    folder = tmp_path_factory.getbasetemp() / "nano" / "fonts"
    if not folder.exists():
        folder.mkdir(parents=True)
        data = ImageFont.load_default(20).font_bytes
        for family in fonts.FAMILIES:
            for file in family.files:
                (folder / file).write_bytes(data)
    monkeypatch.setenv("NANO_DATA", str(folder.parent))


def samples(name: str, split: Split = "train", count: int = 40) -> list[Sample]:
    return [RENDERERS[name](random.Random(seed), split) for seed in range(count)]


@EACH
def test_samples_keep_the_contract(name: str) -> None:
    for sample in samples(name) + samples(name, "held_out", 10):
        (image,) = sample.images
        assert image.width * image.height <= 110_000 and image.width % 32 == image.height % 32 == 0
        assert {question.kind for question in sample.questions} <= set(KINDS)
        assert 2 <= len({question.text for question in sample.questions}) == len(sample.questions) <= 6
        assert all(question.text and question.answer and "{" not in question.text for question in sample.questions)
        for region in sample.regions:
            x1, y1, x2, y2 = region.box
            assert x1 < x2 and y1 < y2, region


@EACH
def test_same_seed_same_sample(name: str) -> None:
    one, other = samples(name, count=5), samples(name, count=5)
    for left, right in zip(one, other, strict=True):
        assert (left.questions, left.regions) == (right.questions, right.regions)
        assert left.images[0].tobytes() == right.images[0].tobytes()
    assert len({sample.images[0].tobytes() for sample in one}) == 5


def test_written_words_have_tight_boxes_and_no_ink_is_outside() -> None:
    canvas = page.Canvas(384, 256, (255, 255, 255))
    face = fonts.choose_face(random.Random(0), "train")
    canvas.write(20, 60, "Jumpy fog, 12.50", face.at(22), (0, 0, 0))
    canvas.write(370, 120, "May Total", face.at(15), (0, 0, 0), "r")
    canvas.write(192, 220, "EXIT", face.at(40), (0, 0, 0), "m")
    ink = np.asarray(canvas.image.convert("L")) < 250
    texts = [region.text for region in canvas.regions()]
    assert texts == ["Jumpy", "fog,", "12.50", "May", "Total", "EXIT"]
    for region in canvas.regions():
        x1, y1, x2, y2 = (round(side) for side in box_to_pixels(region.box, 384, 256))
        box = ink[y1:y2, x1:x2]
        assert box[:2].any() and box[-2:].any() and box[:, :2].any() and box[:, -2:].any(), region
        ink[max(0, y1 - 1) : y2 + 1, max(0, x1 - 1) : x2 + 1] = False
    assert not ink.any()


def test_words_of_turned_signs_have_tight_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signs, "_draw_plate", lambda *_: None)
    monkeypatch.setattr(signs, "weather", lambda _, image: image)
    monkeypatch.setattr(signs, "texture", lambda _, width, height: Image.new("RGB", (width, height), (0, 0, 0)))
    monkeypatch.setattr(signs, "near", lambda *_: (0, 0, 0))
    monkeypatch.setattr(signs, "choose_ink", lambda *_: (255, 255, 255))
    for sample in samples("words"):
        ink = np.asarray(sample.images[0].convert("L")) > 128
        ys, xs = np.nonzero(ink)
        boxes = [box_to_pixels(region.box, *sample.images[0].size) for region in sample.regions]
        x1, y1, x2, y2 = zip(*boxes, strict=True)
        ends = min(x1), min(y1), max(x2), max(y2)
        assert np.abs(np.subtract(ends, (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1))).max() <= 2
        assert all(ink[int(box[1]) : int(box[3]) + 1, int(box[0]) : int(box[2]) + 1].any() for box in boxes)


@EACH
def test_what_is_read_is_written(name: str) -> None:
    """Every answer that is read off occurs among the written words, in their order."""
    for sample in samples(name) + samples(name, "held_out"):
        written = bare(" ".join(region.text for region in sample.regions if region.text != "button"))
        for question in sample.questions:
            if question.kind in ("read", "key_value", "table", "chart_title"):
                assert f" {bare(question.answer)} " in f" {written} ", question
            if question.kind == "list":
                assert all(f" {bare(part)} " in f" {written} " for part in question.answer.split(", ")), question


def bare(text: str) -> str:
    """Without the marks that may follow a word."""
    return " ".join(word.rstrip(".,:!?") for word in text.split())


def test_bars_are_as_long_as_their_values_and_the_largest_is_the_largest() -> None:
    asked = 0
    for sample in samples("charts", count=80) + samples("charts", "held_out", 20):
        bars = [(at, region) for at, region in enumerate(sample.regions) if region.text.endswith(" bar")]
        if not bars:
            continue
        lying = len({region.box[0] for _, region in bars}) == 1
        lengths = {}
        for at, region in bars:
            rest = [other.text for other in sample.regions[at + 1 : at + 3]]
            label = next(text for text in rest if not text.isdigit())
            lengths[label] = region.box[2] - region.box[0] if lying else region.box[3] - region.box[1]
            colour = [q.answer for q in sample.questions if re.search(rf"colour.* {label}\b", q.text, re.IGNORECASE)]
            assert set(colour) <= {region.text.removesuffix(" bar")}
        scales = []
        for question in sample.questions:
            if question.kind == "chart_largest":
                most = max if re.search("highest|largest", question.text) else min
                assert question.answer == most(lengths, key=lengths.__getitem__), question
                asked += 1
            if question.kind == "chart_value":
                (label,) = (label for label in lengths if re.search(rf"\b{label}\b", question.text))
                scales.append(lengths[label] / int(question.answer))
            if question.kind == "count":
                assert question.answer == str(len(lengths))
            if question.kind == "yes_no":
                one, other = sorted(lengths, key=lambda label, text=question.text: place(label, text))[-2:]
                one, other = (other, one) if question.text.startswith("Compared") else (one, other)
                assert (question.answer == "yes") == (lengths[one] > lengths[other]), question
        assert max(scales) - min(scales) <= 0.06 * max(scales) + 8 / min(lengths.values())
    assert asked > 50


def place(label: str, text: str) -> int:
    """Where the label is in the text, -1 for nowhere."""
    found = re.search(rf"\b{label}\b", text)
    return found.start() if found else -1


def test_totals_of_receipts_add_up() -> None:
    for seed in range(50):
        _, *goods, total = documents._receipt(random.Random(seed), "train").lines
        assert sum(float(line.value) for line in goods) == pytest.approx(float(total.value))


def test_training_never_sees_what_is_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[Split, set[str]] = {"train": set(), "held_out": set()}
    load = fonts._load
    for split in seen:
        monkeypatch.setattr(
            fonts, "_load", lambda path, size, split=split: (seen[split].add(path.name), load(path, size))[1]
        )
        for name in RENDERERS:
            for sample in samples(name, split, 20):
                board = np.all(np.asarray(sample.images[0])[8:-8:8, 8:-8:8] == charts.HELD_OUT_STYLE.ground, axis=-1)
                assert split == "held_out" or name != "charts" or not board.any()
    assert seen["train"].isdisjoint(seen["held_out"])
    assert {file for file in seen["held_out"] if file.startswith("Liberation")}
    assert not {file for file in seen["train"] if file.startswith(("Liberation", "Cabin", "Karla"))}


def test_half_of_held_out_questions_are_worded_anew() -> None:
    wordings = page_questions.WORDINGS
    train = {text for topic in wordings.values() for text in topic["train"]}
    held_out = {text for topic in wordings.values() for text in topic["held_out"]}
    assert train.isdisjoint(held_out)
    assert all(len(set(topic["train"])) >= 6 and len(set(topic["held_out"])) >= 3 for topic in wordings.values())
    patterns = [re.compile(re.sub(r"\\\{\w+\\\}", ".*", re.escape(text))) for text in sorted(held_out)]
    shares = {}
    for split in ("train", "held_out"):
        questions = [q.text for name in RENDERERS for sample in samples(name, split, 30) for q in sample.questions]
        exact = [text for text in questions if any(p.fullmatch(text) for p in patterns if ".*" not in p.pattern)]
        shares[split] = sum(any(p.fullmatch(text) for p in patterns) for text in questions) / len(questions)
        assert split == "held_out" or not exact
    assert shares["train"] < 0.1 and 0.35 < shares["held_out"] < 0.65


def test_lexicon_is_short_words() -> None:
    assert len(lexicon.WORDS) > 1500
    assert all(re.fullmatch("[A-Za-z]{3,9}", word) for word in [*lexicon.WORDS, *lexicon.SIGNS])


def test_missing_fonts_say_how_to_get_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NANO_DATA", str(tmp_path))
    with pytest.raises(UserError, match=r"python -m recipes\.nano\.data\.fonts"):
        fonts.choose_face(random.Random(0), "train")


def test_fonts_that_are_there_are_not_fetched_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    fonts.fetch_fonts(fonts.fonts_folder())
    with pytest.raises(UserError, match="apt-get is missing"):
        fonts.fetch_fonts(tmp_path / "other")
