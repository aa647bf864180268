"""The pool's pictures: names, white grounds, copies, what is held out, and the files that `pool.load_pool` reads."""

import hashlib
import json
import struct
import subprocess
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from recipes.nano.data import packages, pictures, sources
from recipes.nano.data.names import RENAMES, Nouns, clean_name, read_nouns
from recipes.nano.data.packages import PACKAGES, Package, fetch, manifest
from recipes.nano.data.pool import load_pool
from vl3.errors import UserError

ANIMAL, FOOD, ACT = frozenset({"05"}), frozenset({"13"}), frozenset({"04"})
NOUNS = Nouns(
    {"dog": ANIMAL, "polar bear": ANIMAL, "bear": ANIMAL, "cherry": FOOD, "lemon": FOOD, "goose": ANIMAL, "idea": ACT}
    | {"bus": ACT, "mouse": ANIMAL, "head": frozenset({"08"})},
    {"geese": "goose", "mice": "mouse"},
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("A dog.", "dog"),
        ("An yellow lemon, sliced", "lemon"),
        ("A polar bear.", "polar bear"),
        ("Some cherries.", "cherry"),
        ("geese", "goose"),
        ("screwDriver", "screw driver"),
        ("scarlet_macaw", "scarlet macaw"),
        ("bus", "bus"),
        ("scissors2", "scissors"),
        ("Fire truck", "fire engine"),
        ("a thing of many long words", None),
        ("Card", None),
        ("çedilla", None),
    ],
)
def test_names_are_short_singular_lower_case_nouns(text: str, name: str | None) -> None:
    assert clean_name(text, NOUNS) == name


def test_a_longer_name_is_known_by_its_last_words() -> None:
    assert NOUNS.visible("white polar bear") == "polar bear"
    assert NOUNS.visible("grizzly bear") == "bear"
    assert NOUNS.visible("dog head") is None
    assert NOUNS.visible("bright idea") is None


def test_nouns_are_read_from_wordnet_files(tmp_path: Path) -> None:
    (tmp_path / "data.noun").write_text(
        "  1 licence\n00000010 05 n 01 cat 0 000 | a cat\n00000020 06 n 01 cat 1 000 | x\n"
    )
    (tmp_path / "index.noun").write_text("  1 licence\ncat n 2 1 @ 2 1 00000010 00000020\n")
    (tmp_path / "noun.exc").write_text("oxen ox\n")
    nouns = read_nouns(tmp_path)
    assert nouns.files == {"cat": {"05", "06"}}
    assert nouns.irregular == {"oxen": "ox"}


def test_renamed_names_are_themselves_not_renamed() -> None:
    again = {name: RENAMES["any", name] for name in RENAMES.values() if RENAMES.get(("any", name), name) != name}
    assert again == {}


def dot(size: int, ground: tuple[int, int, int]) -> Image.Image:
    image = Image.new("RGB", (size, size), ground)
    draw = ImageDraw.Draw(image)
    draw.ellipse([size // 4, size // 4, size * 3 // 4, size * 3 // 4], fill=(200, 30, 30))
    draw.ellipse([size * 7 // 16, size * 7 // 16, size * 9 // 16, size * 9 // 16], fill=(255, 255, 255))
    return image


def test_a_white_ground_becomes_transparent_but_no_white_inside() -> None:
    image = pictures.normalise(dot(800, (255, 255, 255)))
    assert image is not None
    assert image.mode == "RGBA"
    assert max(image.size) <= 320
    assert image.getpixel((0, 0)) == (0, 0, 0, 0)
    assert image.getpixel((image.width // 2, image.height // 2)) == (255, 255, 255, 255)
    assert pictures.is_cutout(image)
    # Cropped to the circle: it touches every side.
    assert all((np.asarray(image)[..., 3] > 0).any(axis=axis)[[0, -1]].all() for axis in (0, 1))


def test_a_photograph_with_its_surroundings_is_no_cutout() -> None:
    image = pictures.normalise(dot(200, (90, 120, 90)))
    assert image is not None
    assert image.size == (200, 200)
    assert not pictures.is_cutout(image)


def test_what_is_empty_or_tiny_is_left_out() -> None:
    assert pictures.normalise(Image.new("RGBA", (100, 100))) is None
    assert pictures.normalise(Image.new("RGBA", (8, 8), "red")) is None


def test_copies_and_near_copies_of_a_name_are_dropped() -> None:
    def found(name: str, package: str, image: Image.Image) -> sources.Found:
        return sources.Found(name, "drawing", package, lambda: image)

    image = dot(100, (90, 120, 90))
    near = image.copy()
    near.putpixel((3, 3), (0, 0, 0))
    other = image.rotate(90).point(lambda value: 255 - value)
    given = [found("dot", "a", image), found("dot", "b", image), found("ball", "b", image), found("dot", "b", near)]
    kept = list(pictures.distinct([*given, found("dot", "b", other)]))
    assert [(picture.found.name, picture.found.package) for picture in kept] == [("dot", "a"), ("dot", "b")]


def test_held_out_depends_on_content_alone_and_leaves_every_name_something() -> None:
    rows = [
        (f"name{index // 6}", f"source{index % 3}", hashlib.sha256(str(index).encode()).hexdigest())
        for index in range(6000)
    ]
    lonely = [("alone", "source0", hashlib.sha256(f"alone{index}".encode()).hexdigest()) for index in range(50)]
    held_out = pictures.choose_held_out(rows + lonely)
    assert held_out == pictures.choose_held_out((rows + lonely)[::-1])
    assert 0.13 < len(held_out) / len(rows) < 0.17
    assert not held_out & {digest for _, _, digest in lonely}
    two = [("pair", "a", "00" * 32), ("pair", "b", "01" + "00" * 31)]
    assert pictures.choose_held_out(two) == {"00" * 32}


def test_rcc_archives_are_read() -> None:
    """An archive of one folder with one plain and one compressed file, built by hand."""
    names, offsets = b"", []
    for name in ("images", "a.webp", "b.svg"):
        offsets.append(len(names))
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
    packed = struct.pack(">I", 5) + zlib.compress(b"<svg>")
    contents = struct.pack(">I", 3) + b"abc" + struct.pack(">I", len(packed)) + packed
    tree = struct.pack(">IHIIQ", 0, 2, 1, 1, 0) + struct.pack(">IHIIQ", offsets[0], 2, 2, 2, 0)
    tree += struct.pack(">IHHHIQ", offsets[1], 0, 0, 0, 0, 0) + struct.pack(">IHHHIQ", offsets[2], 1, 0, 0, 7, 0)
    head = 24
    data = struct.pack(">4sIIIII", b"qres", 3, head, head + len(tree), head + len(tree) + len(contents), 0)
    assert list(sources.read_rcc(data + tree + contents + names)) == [
        ("images/a.webp", b"abc"),
        ("images/b.svg", b"<svg>"),
    ]


def test_svg_is_drawn_with_transparency() -> None:
    pytest.importorskip("resvg_py")
    body = '<rect x="8" width="8" height="16" fill="#f00"/>'
    svg = sources._icon({"icons": {"half": {"body": body}}, "width": 16, "height": 16}, {"1f": "half"}, "1f", "Half")
    assert svg is not None
    image = sources.rasterise(svg).convert("RGBA")
    assert image.size == (256, 256)
    assert (image.getpixel((60, 128)), image.getpixel((200, 128))) == ((0, 0, 0, 0), (255, 0, 0, 255))


def wheel(folder: Path) -> tuple[bytes, Package]:
    with zipfile.ZipFile(folder / "w.whl", "w") as file:
        file.writestr("sprites/cat.txt", "cat")
    data = (folder / "w.whl").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return data, Package(registry="pypi", name="cats", version="1", sha256=digest, licence="CC0", used="cats")


def test_fetch_unpacks_once_and_checks_the_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, package = wheel(tmp_path)
    calls: list[list[str]] = []

    def run(command: list[str], cwd: Path, **_: object) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        (cwd / "cats-1-py3-none-any.whl").write_bytes(data)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(packages.subprocess, "run", run)
    for _ in range(2):
        assert (fetch(package, tmp_path / "p") / "sprites/cat.txt").read_text() == "cat"
    assert calls == [["pip", "download", "--no-deps", "cats==1"]]
    changed = Package(registry="pypi", name="cats", version="1", sha256="0" * 64, licence="CC0", used="cats")
    with pytest.raises(UserError, match="sha256"):
        fetch(changed, tmp_path / "q")
    assert not (tmp_path / "q/cats").exists()


def test_fetch_says_what_the_client_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "E: no such package")

    monkeypatch.setattr(packages.subprocess, "run", run)
    with pytest.raises(UserError, match=r"apt-get download .*: E: no such package"):
        fetch(next(package for package in PACKAGES if package.registry == "debian"), tmp_path)


def test_packages_are_pinned_and_their_folders_distinct() -> None:
    assert all(len(package.sha256) == 64 and package.version for package in PACKAGES)
    assert len({package.key for package in PACKAGES}) == len(PACKAGES)
    rows = {row["package"]: row["pictures"] for row in json.loads(manifest({"openmoji": 7}))}
    assert rows["openmoji"] == 7
    assert rows["wordnet-base"] == 0


def test_the_pool_is_written_as_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wordnet = tmp_path / "packages/wordnet-base/usr/share/wordnet"
    wordnet.mkdir(parents=True)
    for name in ("data.noun", "index.noun", "noun.exc"):
        (wordnet / name).write_text("")
    walls = tmp_path / "packages/gnome-backgrounds"
    walls.mkdir()
    rng = np.random.default_rng(0)
    for index in range(10):
        wall = Image.fromarray(rng.integers(0, 255, (2, 4, 3), dtype=np.uint8)).resize((1000, 500))
        wall.save(walls / f"{index}.png")
        wall.resize((800, 400)).save(walls / f"{index} smaller.png")
    wall.resize((500, 1000)).save(walls / "upright.png")
    Image.new("RGB", (1000, 500), "navy").save(walls / "flat.png")
    drawn = [Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)) for _ in range(40)]

    def source(_: sources.Context) -> list[sources.Found]:
        return [
            sources.Found("noise", "photo", ("openmoji", "pysiogame")[index % 2], lambda image=image: image)
            for index, image in enumerate(drawn)
        ]

    monkeypatch.setattr(pictures, "fetch", lambda package, folder: folder / package.key)
    monkeypatch.setattr(pictures, "SOURCES", (source,))
    pictures.build(tmp_path, tmp_path / "packages")
    train, held_out = load_pool(tmp_path, "train"), load_pool(tmp_path, "held_out")
    assert len(train.pictures) + len(held_out.pictures) == 40
    assert 0 < len(held_out.pictures) < 20
    assert len(train.backgrounds) == 9
    assert Image.open(held_out.backgrounds[0]).size == (640, 320)
    shown = held_out.pictures[0]
    assert (shown.name, shown.kind, shown.cutout) == ("noise", "photo", False)
    assert shown.licence == next(package.licence for package in PACKAGES if package.name == shown.source)
    written = {np.asarray(picture.open().convert("RGB")).tobytes() for picture in train.pictures + held_out.pictures}
    assert written == {np.asarray(image).tobytes() for image in drawn}
    first = (tmp_path / "pictures.jsonl").read_bytes()
    pictures.build(tmp_path, tmp_path / "packages")
    assert (tmp_path / "pictures.jsonl").read_bytes() == first
