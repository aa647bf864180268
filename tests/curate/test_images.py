"""Steps that look at pictures and texts, against plain references and known faults."""

import io
import os
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from tests.curate.pools import picture, recipe, rows_after, write_table
from vl3.curate import curate
from vl3.curate.likeness import Likenesses, look, phash
from vl3.curate.media import PLACE
from vl3.curate.step import Place, RowStep
from vl3.curate.steps import STEPS as STEP_KINDS
from vl3.curate.steps import agreement, embed
from vl3.curate.steps.content import tell
from vl3.curate.steps.decode import jpeg_fault
from vl3.curate.steps.quality import blur, colourfulness, entropy, gaussian, measure
from vl3.curate.steps.words import WordsConfig, fault
from vl3.errors import UserError

CITY = Path(__file__).parents[2] / "assets/city.jpg"

PLAIN = {"runner": {"kind": "plain"}}


def jpeg(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **{"quality": 90, **options})
    return buffer.getvalue()


def sharp(seed: int, width: int = 200, height: int = 150) -> Image.Image:
    """Rectangles with edges of one pixel on camera noise."""
    rng = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), rng.integers(40, 200, 3), np.float32)
    for _ in range(12):
        x, y = rng.integers(0, width - 30), rng.integers(0, height - 30)
        pixels[y : y + rng.integers(10, 60), x : x + rng.integers(10, 60)] = rng.integers(0, 256, 3)
    return Image.fromarray(np.clip(pixels + rng.normal(0, 2, pixels.shape), 0, 255).astype(np.uint8))


def test_perceptual_hash_is_that_of_the_imagehash_package_but_for_its_quicker_resize() -> None:
    distances = []
    for seed in range(20):
        theirs = imagehash.phash(sharp(seed)).hash.ravel()
        ours = np.unpackbits(np.frombuffer(phash(sharp(seed)), np.uint8)).astype(bool)
        distances.append(int((theirs != ours).sum()))
    assert np.mean(distances) <= 1
    assert max(distances) <= 6


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.resize((110, 83)),
        lambda image: image.crop((4, 3, 196, 147)),
        lambda image: ImageEnhance.Brightness(image).enhance(1.12),
        lambda image: Image.open(io.BytesIO(jpeg(image, quality=40))),
        lambda image: image.filter(ImageFilter.GaussianBlur(1)),
    ],
)
def test_a_variant_looks_the_same_and_other_pictures_do_not(change: Any) -> None:
    images = [sharp(seed) for seed in range(30)]
    known = Likenesses([phash(image) for image in images], [look(image) for image in images])
    varied = [change(image).convert("RGB") for image in images]
    asked = Likenesses([phash(image) for image in varied], [look(image) for image in varied])
    found = {number: alike.tolist() for number, alike in known.pairs(asked.hashes, asked.looks, 12, 0.95)}
    assert found == {number: [number] for number in range(30)}


def test_pictures_that_share_an_outline_only_are_not_the_same() -> None:
    red, blue = (Image.new("RGB", (64, 64), "white") for _ in range(2))
    red.paste((220, 0, 0), (10, 10, 40, 40))
    blue.paste((0, 0, 220), (10, 10, 40, 40))
    known = Likenesses([phash(red)], [look(red)])
    asked = Likenesses([phash(blue)], [look(blue)])
    assert [len(alike) for _, alike in known.pairs(asked.hashes, asked.looks, 64, 0.95)] == [0]


def test_near_keeps_the_largest_of_a_family_and_leaks_name_the_benchmark(tmp_path: Path) -> None:
    (tmp_path / "held").mkdir()
    sharp(5).resize((120, 90)).save(tmp_path / "held" / "five.png")
    rows = []
    for name, image in {
        "small": sharp(1).resize((150, 112)),
        "large": sharp(1),
        "jpeg": Image.open(io.BytesIO(jpeg(sharp(1), quality=50))),
        "other": sharp(2),
        "leak": sharp(5),
    }.items():
        image.save(tmp_path / f"{name}.png")
        rows.append({"image": f"{name}.png", "text": name})
    steps = {"decode": None, "leaks": {"benchmarks": [str(tmp_path / "held")]}, "near": None}
    outcomes = curate(recipe(tmp_path, write_table(tmp_path, rows), steps, **PLAIN))
    found = {row["text"]: row for row in rows_after(outcomes[-1])}
    assert {name: row["drop_reason"] for name, row in found.items()} == {
        "small": "looks the same",
        "large": None,
        "jpeg": "looks the same",
        "other": None,
        "leak": "in a benchmark",
    }
    assert found["small"]["duplicate_of"] == found["jpeg"]["duplicate_of"] == found["large"]["id"]
    assert found["leak"]["leak_of"].endswith("five.png")


def test_damage_that_decoders_pass_over_is_seen() -> None:
    whole = jpeg(sharp(1, 400, 300), quality=95)
    assert jpeg_fault(whole) is None
    assert jpeg_fault(jpeg(sharp(1), progressive=True)) is None
    assert jpeg_fault(jpeg(sharp(1), restart_marker_blocks=2)) is None
    assert jpeg_fault(whole[: len(whole) // 2] + bytes(len(whole) // 2)) == "breaks off before its end"
    noise = np.random.default_rng(0).bytes(4096)
    assert jpeg_fault(whole[:10000] + noise + whole[10000 + len(noise) :]) is not None
    assert jpeg_fault(b"\x89PNG") is None


def test_what_jpeg_files_may_hold_beside_their_pixels_is_no_damage() -> None:
    inner, whole = jpeg(sharp(2), quality=50), jpeg(sharp(1, 400, 300), quality=95)
    profile = bytes(range(256)) * 4  # no byte of which is compressed data
    segments = b"".join(
        marker + (len(data) + 2).to_bytes(2) + data for marker, data in ((b"\xff\xe1", inner), (b"\xff\xe2", profile))
    )
    assert jpeg_fault(whole[:2] + segments + whole[2:]) is None  # a thumbnail and a colour profile
    assert jpeg_fault(whole + inner[:-9] + profile) is None  # whatever follows the end, such as further pictures
    assert jpeg_fault(whole[:-2] + b"\xff\xff\xff\xd9") is None  # fill bytes
    assert jpeg_fault(whole[:2] + segments + whole[2:-2]) == "breaks off before its end"
    assert jpeg_fault(whole[:2] + segments[:50]) == "breaks off before its end"
    assert jpeg_fault(whole[:2]) == "breaks off before its end"


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
def test_blur_is_measured_in_pixels(sigma: float) -> None:
    step = np.repeat(np.r_[np.full(60, 40.0), np.full(60, 200.0)][None], 80, 0).astype(np.float32)
    assert blur(gaussian(step, sigma)) == pytest.approx(sigma, rel=0.15)
    assert blur(step) < 0.7
    assert blur(np.zeros((40, 40), np.float32)) == 99.0


def test_camera_shake_is_blur_too() -> None:
    pixels = np.asarray(sharp(3), np.float32)
    shaken = np.mean([np.roll(pixels, offset, axis=1) for offset in range(-5, 6)], axis=0)
    assert measure(Image.fromarray(shaken.astype(np.uint8)))["blur"] > 1.3 > measure(sharp(3))["blur"]


def test_gaussian_is_that_of_scipy() -> None:
    scipy = pytest.importorskip("scipy.ndimage")
    noise = np.random.default_rng(0).normal(size=(30, 41)).astype(np.float32)
    np.testing.assert_allclose(gaussian(noise, 1.5), scipy.gaussian_filter(noise, 1.5, mode="nearest"), atol=1e-5)


def test_colour_and_entropy_have_their_known_values() -> None:
    grey = np.full((8, 8, 3), 100.0, np.float32)
    assert colourfulness(grey) == 0
    halves = np.zeros((8, 8, 3), np.float32)
    halves[:4, :, 0], halves[4:, :, 2] = 255, 255
    # rg is 255 or 0 (mean 127.5, sd 127.5), yb is 127.5 or -255 (mean -63.75, sd 191.25)
    assert colourfulness(halves) == pytest.approx(np.hypot(127.5, 191.25) + 0.3 * np.hypot(127.5, 63.75), rel=1e-5)
    levels = np.repeat(np.arange(4, dtype=np.float32), 16).reshape(8, 8)
    assert entropy(levels) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("A brown dog runs along the beach", None),
        ("Zwei Kinder spielen im Garten", None),
        (None, "no text"),
        ("  ", "no text"),
        ("dog", "too few words"),
        ("IMG_2041.JPG", "boilerplate"),
        ("holiday-photo.png", "boilerplate"),
        ("Click here to see more", "boilerplate"),
        ("A cat. All rights reserved", "boilerplate"),
        ("a picture of a stock car at the races", None),
        ("write to jane.doe@example.org for prints", "personal data"),
        ("call +44 20 7946 0958 for a viewing", "personal data"),
        ("call (555) 123-4567 today please", "personal data"),
        ("card 4111 1111 1111 1111 on a table", "personal data"),
        ("the year 1984 and the number 12345 on a wall", None),
        ("a payment card with 4111 1111 1111 1112 lies on a wooden table", None),  # its check digit is wrong
        ("A brochure of the years 2008 2009 2010 2011 for a Ford Focus", None),
        ("A sign in a shop window", None),
        ("Sign in to see more pictures", "boilerplate"),
        ("A man taking a photo", None),
        ("Two dogs under a red banner", None),
        ("A woman reading a file", None),
        ("photo 12", "boilerplate"),
        ("一只棕色的狗在海滩上奔跑", None),
        ("子犬が浜辺を走っている", None),
        ("สุนัขสีน้ำตาลวิ่งบนชายหาด", None),
        ("狗", "too few words"),
        ("1920x1080 #5 // 33-21", "few letters"),
        ("sale sale sale sale sale sale sale sale now", "repetitive"),
        ("word " * 301, "too many words"),
    ],
)
def test_texts_that_are_no_captions(text: str | None, reason: str | None) -> None:
    assert fault(WordsConfig(), text) == reason


def test_language_can_be_asked_for() -> None:
    german = "Zwei Kinder spielen am Nachmittag im Garten hinter dem Haus"
    assert fault(WordsConfig(language="en"), german) == "another language"
    assert fault(WordsConfig(language="de"), german) is None


@pytest.mark.parametrize("form", ["jsonl", "webdataset", "parquet"])
def test_what_is_written_is_training_data(tmp_path: Path, form: str) -> None:
    pytest.importorskip("datasets")
    from vl3.chat import parts_of
    from vl3.data import SourceConfig, open_source
    from vl3.data.check import Summary, check
    from vl3.media import Decoder

    rows = []
    for seed in range(5):
        picture(seed).save(tmp_path / f"{seed}.png")
        rows.append({"image": f"{seed}.png", "caption": f"thing {seed}" if seed else None})
    steps = {"export": {"form": form, "per_file": 3, "prompts": ["What is it?"]}}
    outcomes = curate(recipe(tmp_path, write_table(tmp_path, rows), steps, **PLAIN))
    assert outcomes[-1].reasons == {"no text": 1}
    made = tmp_path / "out" / "set" / ("train.jsonl" if form == "jsonl" else "")
    source = open_source(SourceConfig(path=str(made)))
    assert [parts_of(sample.messages[-1]) for sample in source] == [[f"thing {seed}"] for seed in range(1, 5)]
    summary = Summary()
    with Decoder() as decoder:
        for found in check(source, decoder):
            summary = found
    assert (summary.problems, dict(summary.kinds)) == ([], {"image": 4})


def test_a_benchmark_without_pictures_is_told(tmp_path: Path) -> None:
    picture(1).save(tmp_path / "1.png")
    (tmp_path / "empty").mkdir()
    steps = {"decode": None, "leaks": {"benchmarks": [str(tmp_path / "empty")]}}
    with pytest.raises(UserError, match="holds no pictures"):
        curate(recipe(tmp_path, write_table(tmp_path, [{"image": "1.png"}]), steps, **PLAIN))


def page(colour: bool = False) -> Image.Image:
    """Lines of strokes on white, like words."""
    rng = np.random.default_rng(0)
    pixels = np.full((400, 300, 3), 255, np.uint8)
    for top in range(20, 380, 14):
        for left in range(20, 280, 4):
            if rng.random() < 0.8:
                pixels[top : top + 9, left : left + 2] = (30, 30, 30)
    if colour:
        pixels[:80] = (30, 90, 200)
    return Image.fromarray(pixels)


def test_pages_are_told_from_scenes() -> None:
    kind, density = tell(page())
    assert kind == "document"
    assert density > 0.3
    assert tell(page(colour=True))[0] in ("chart", "screenshot")
    assert tell(picture(1, 300, 200)) == ("scene", 0.0)
    with Image.open(CITY) as photograph:  # windows and leaves change as densely as letters
        kind, density = tell(photograph.convert("RGB"))
    assert kind == "scene" and density > 0.3


def refuse_wide(images: list[Image.Image], texts: list[str | None]) -> list[str | None]:
    return ["wide" if image.width > 100 or text == "bad" else None for image, text in zip(images, texts, strict=True)]


def raises(_images: list[Image.Image], _texts: list[str | None]) -> list[str | None]:
    raise LookupError("no weights")


def exits(_images: list[Image.Image], _texts: list[str | None]) -> list[str | None]:
    raise SystemExit(3)


def approves(_images: list[Image.Image], _texts: list[str | None]) -> bool:
    return True


def answers_yes(images: list[Image.Image], _texts: list[str | None]) -> list[bool]:
    return [True for _ in images]


def dies(_images: list[Image.Image], _texts: list[str | None]) -> None:
    os._exit(3)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("raises", r"raised LookupError: no weights, for the 1 pictures from .*1\.png on"),
        ("exits", "raised SystemExit: 3"),
        ("approves", "gave True .* it must give a list"),
        ("answers_yes", r"gave \[True\] .* it must give a list"),
    ],
)
def test_a_function_that_fails_is_named_with_its_file(tmp_path: Path, function: str, message: str) -> None:
    picture(1).save(tmp_path / "1.png")
    steps = {"safety": {"function": f"tests.curate.test_images:{function}"}}
    with pytest.raises(UserError, match=rf"{function} \(.*test_images\.py\) {message}"):
        curate(recipe(tmp_path, write_table(tmp_path, [{"image": "1.png"}]), steps, **PLAIN))


def test_a_worker_that_dies_is_told_in_a_line(tmp_path: Path) -> None:
    picture(1).save(tmp_path / "1.png")
    steps = {"safety": {"function": "tests.curate.test_images:dies"}}
    with pytest.raises(UserError, match=r"steps\.safety: a worker process died"):
        curate(recipe(tmp_path, write_table(tmp_path, [{"image": "1.png"}]), steps))


def test_a_function_of_ones_own_refuses(tmp_path: Path) -> None:
    rows = []
    for number, (width, text) in enumerate([(96, "good"), (128, "good"), (96, "bad")]):
        picture(number, width).save(tmp_path / f"{number}.png")
        rows.append({"image": f"{number}.png", "text": text})
    steps = {"safety": {"function": "tests.curate.test_images:refuse_wide", "batch_size": 2}}
    outcomes = curate(recipe(tmp_path, write_table(tmp_path, rows), steps, **PLAIN))
    assert [row["drop_reason"] for row in rows_after(outcomes[-1])] == [None, "wide", "wide"]
    for name in ("nowhere:function", "tests.curate.test_images:nothing", "tests.curate.test_images:PLAIN"):
        with pytest.raises(UserError, match=r"safety\.function"):
            curate(recipe(tmp_path, tmp_path / "pool.jsonl", {"safety": {"function": name}}, **PLAIN))


def accept_all(images: list[Image.Image], texts: list[str | None]) -> list[str | None]:
    """A `safety.function` that refuses nothing."""
    return [None for _ in zip(images, texts, strict=True)]


@pytest.mark.parametrize("name", ["quality", "content", "safety", "embed", "agreement"])
def test_a_picture_that_is_gone_costs_its_row_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(embed, "vision_encoder", lambda *_: lambda images: np.ones((len(images), 2)))
    monkeypatch.setattr(agreement, "likelihood", lambda _: lambda images, _texts: [1.0] * len(images))
    for number in range(3):
        sharp(number).save(tmp_path / f"{number}.png")
    (tmp_path / "empty.png").touch()
    paths = [str(tmp_path / file) for file in ("0.png", "gone.png", "1.png", "empty.png", "2.png")]
    rows = {column: [None] * 5 for column in PLACE} | {"id": list("abcde"), "text": ["a text"] * 5, "path": paths}
    kind = STEP_KINDS[name]
    settings = {"function": "tests.curate.test_images:accept_all"} if name == "safety" else {}
    step = kind.make(kind.config(**settings))
    assert isinstance(step, RowStep)
    found = step.start(Place(tmp_path, tmp_path))(rows)
    assert list(found.reasons) == [None, f"no such file: {paths[1]}", None, f"empty file: {paths[3]}", None]
    for values in found.columns.values():
        assert [value is None for value in values] == [False, True, False, True, False]
