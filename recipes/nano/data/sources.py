"""The pictures that each package holds, with their names as the package says them.

Each function yields `Found`: nothing is opened before it is asked for, and names are as `names.clean_name` leaves them.
"""

import html
import io
import json
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import resvg_py
from PIL import Image

from recipes.nano.data.names import Nouns, clean_name

RASTER = 256
"""Pixels a side of what is drawn from an SVG."""


@dataclass(frozen=True)
class Found:
    """A picture in a package."""

    name: str
    kind: Literal["photo", "drawing"]
    package: str
    open: Callable[[], Image.Image]


EMOJI_GROUPS = {"animals-nature", "food-drink", "objects", "activities", "travel-places"}
EMOJI_SUBGROUPS = {"body-parts", "person", "person-role", "person-fantasy", "face-costume", "healthcare"} | {
    "animals-nature", "food-drink", "gardening", "objects", "climate-environment"
}  # fmt: skip
EMOJI_SETS = ("fluent-emoji-flat", "noto", "noto-v1", "twemoji", "emojione", "emojione-v1", "fxemoji", "streamline-emojis")

EMOJI_NAMES = {
    "T-Rex": "dinosaur",
    "aerial tramway": "cable car",
    "anatomical heart": None,
    "articulated lorry": "truck",
    "baby angel": "angel",
    "badminton": None,
    "bathtub": "bathtub",
    "beach with umbrella": "beach",
    "bellhop bell": None,
    "bento box": None,
    "blossom": "flower",
    "bottle with popping cork": "champagne bottle",
    "bow and arrow": "bow",
    "bowl with spoon": "bowl",
    "bowling": "bowling pins",
    "bridge at night": "bridge",
    "bullseye": "target",
    "camera with flash": "camera",
    "canned food": "can",
    "carousel horse": "carousel",
    "classical building": None,
    "clinking beer mugs": "beer mug",
    "clinking glasses": None,
    "closed book": "book",
    "closed mailbox with lowered flag": "mailbox",
    "closed mailbox with raised flag": "mailbox",
    "closed umbrella": "umbrella",
    "cloud with rain": "rain cloud",
    "cloud with snow": "snow cloud",
    "couch and lamp": "couch",
    "crossed swords": "sword",
    "curry rice": "curry",
    "cut of meat": "steak",
    "deciduous tree": "tree",
    "deliver truck": "truck",
    "delivery truck": "truck",
    "desktop computer": "computer",
    "dollar banknote": "banknote",
    "drop of blood": "blood drop",
    "droplet": "water drop",
    "envelope with arrow": None,
    "euro banknote": "banknote",
    "pound banknote": "banknote",
    "yen banknote": "banknote",
    "evergreen tree": "tree",
    "film projector": "projector",
    "fish cake with swirl": None,
    "fishing pole": "fishing rod",
    "flag in hole": "golf hole",
    "fork and knife": "fork and knife",
    "fork and knife with plate": None,
    "framed picture": "painting",
    "front-facing baby chick": "chick",
    "game die": "dice",
    "glass of milk": "glass of milk",
    "globe showing Americas": "globe",
    "globe showing Asia-Australia": "globe",
    "globe showing Europe-Africa": "globe",
    "glowing star": "star",
    "hatching chick": "chick",
    "high-heeled shoe": "high heel",
    "honey pot": "honey",
    "horizontal traffic light": "traffic light",
    "vertical traffic light": "traffic light",
    "hot beverage": "cup of coffee",
    "hourglass done": "hourglass",
    "hourglass not done": "hourglass",
    "house with garden": "house",
    "kitchen knife": "knife",
    "leaf fluttering in wind": "leaf",
    "fallen leaf": "leaf",
    "linked paperclips": "paperclip",
    "locomotive": "steam train",
    "love hotel": None,
    "magnifying glass tilted left": "magnifying glass",
    "magnifying glass tilted right": "magnifying glass",
    "mantelpiece clock": "clock",
    "meat on bone": "meat",
    "money with wings": None,
    "motor boat": "boat",
    "mount fuji": "mountain",
    "musical keyboard": "piano",
    "nest with eggs": "nest",
    "notebook with decorative cover": "notebook",
    "nut and bolt": "nut and bolt",
    "old key": "key",
    "oncoming automobile": "car",
    "oncoming bus": "bus",
    "oncoming police car": "police car",
    "oncoming taxi": "taxi",
    "open mailbox with lowered flag": "mailbox",
    "open mailbox with raised flag": "mailbox",
    "pool 8 ball": "billiard ball",
    "poultry leg": "chicken leg",
    "racing car": "race car",
    "red apple": "apple",
    "green apple": "apple",
    "rescue worker's helmet": "helmet",
    "rescue worker’s helmet": "helmet",
    "ring buoy": "life buoy",
    "ringed planet": "saturn",
    "roll of paper": "toilet paper",
    "rolled-up newspaper": "newspaper",
    "round pushpin": "pushpin",
    "running shirt": None,
    "running shoe": "shoe",
    "man’s shoe": "shoe",
    "flat shoe": "shoe",
    "sauropod": "dinosaur",
    "shallow pan of food": None,
    "sheaf of rice": None,
    "shopping bags": "shopping bag",
    "small airplane": "airplane",
    "snow-capped mountain": "mountain",
    "snowman without snow": "snowman",
    "soft ice cream": "ice cream",
    "spiral shell": "seashell",
    "spiral calendar": "calendar",
    "tear-off calendar": "calendar",
    "spouting whale": "whale",
    "spouting-orca": "orca",
    "steaming bowl": "bowl of soup",
    "straight ruler": "ruler",
    "studio microphone": "microphone",
    "sun with face": "sun",
    "teacup without handle": "cup of tea",
    "telephone receiver": "telephone receiver",
    "tennis": "tennis ball",
    "tropical fish": "fish",
    "two-hump camel": "camel",
    "umbrella on ground": "umbrella",
    "umbrella with rain drops": "umbrella",
    "unlocked": "lock",
    "locked with key": "lock",
    "water buffalo": "buffalo",
    "water wave": "wave",
    "wilted flower": "flower",
    "white flower": "flower",
    "woman’s boot": "boot",
    "woman’s clothes": "blouse",
    "woman’s hat": "hat",
    "woman’s sandal": "sandal",
}
"""What is said instead of an emoji's official name; None where nothing short fits."""


def emoji(root: Path, nouns: Nouns) -> Iterator[Found]:
    """Every set's picture of each emoji that shows a thing, an animal or a person in one skin."""
    data = root / "openmoji/package"
    sets = {name: root / f"iconify-json-{name}/package" for name in EMOJI_SETS}
    icons = {name: _read_json(folder / "icons.json") for name, folder in sets.items()}
    by_code = {name: _read_json(folder / "chars.json") for name, folder in sets.items()}
    for row in _read_json(data / "data/openmoji.json"):
        name = _emoji_name(row, nouns)
        if name is None:
            continue
        code = row["hexcode"].lower()
        drawn = data / f"color/svg/{row['hexcode']}.svg"
        yield Found(name, "drawing", "openmoji", lambda path=drawn: rasterise(path.read_text(encoding="utf-8")))
        solid = root / f"lobehub-fluent-emoji-3d/package/assets/{code}.webp"
        if solid.exists():
            yield Found(name, "drawing", "@lobehub/fluent-emoji-3d", lambda path=solid: Image.open(path))
        for set_name in EMOJI_SETS:
            icon = _icon(icons[set_name], by_code[set_name], code, row["annotation"])
            if icon is not None:
                yield Found(name, "drawing", f"@iconify-json/{set_name}", lambda svg=icon: rasterise(svg))


def _emoji_name(row: dict[str, Any], nouns: Nouns) -> str | None:
    if row["skintone"] or not (row["group"] in EMOJI_GROUPS or row["subgroups"] in EMOJI_SUBGROUPS):
        return None
    official = row["annotation"]
    if official in EMOJI_NAMES:
        return EMOJI_NAMES[official]
    if re.search(r"o’clock|-thirty|moon|button|volume|:|^(man|woman|person|male|female|pregnant) |chart|tray", official):
        return "moon" if official in ("full moon", "crescent moon") else None
    return clean_name(re.sub(r" face$", "", official), nouns)


def _icon(icons: dict[str, Any], by_code: dict[str, str], code: str, name: str) -> str | None:
    """The SVG of an emoji, found by its code point or else by its official name."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower().replace("’", "")).strip("-")
    for key in (by_code.get(code), by_code.get(code.removesuffix("-fe0f")), slug, slug.replace("-", "")):
        key = icons.get("aliases", {}).get(key, {}).get("parent", key)
        if key in icons["icons"]:
            icon = icons["icons"][key]
            width, height = (icon.get(side, icons.get(side, 16)) for side in ("width", "height"))
            return (
                f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
                f' viewBox="0 0 {width} {height}">{icon["body"]}</svg>'
            )
    return None


def rasterise(svg: str) -> Image.Image:
    """An SVG as a picture of RASTER pixels a side."""
    return Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg, width=RASTER, height=RASTER))))


def tuxpaint(root: Path, nouns: Nouns) -> Iterator[Found]:
    """Tux Paint's stamps; the first sentence beside each says what it shows."""
    stamps = root / "tuxpaint-stamps-default/usr/share/tuxpaint/stamps"
    for path in sorted(stamps.rglob("*.png")):
        text = path.with_suffix(".txt")
        if path.relative_to(stamps).parts[0] in ("symbols", "military") or not text.exists():
            continue
        if path.stem.endswith(("_mirror", "_flip")):
            continue
        name = clean_name(text.read_text(encoding="utf-8").split("\n")[0], nouns)
        if name is not None:
            kind: Literal["photo", "drawing"] = "drawing" if "cartoon" in path.parts else "photo"
            yield Found(name, kind, "tuxpaint-stamps-default", lambda path=path: Image.open(path))


GCOMPRIS_PHOTOS = (
    "categorization/resource/images/tools/",
    "categorization/resource/images/fishes/",
    "categorization/resource/images/others/",
    "categorization/resource/images/renewable/windmill",
    "explore_world_animals/resource/animals/",
    "explore_farm_animals/resource/animals/",
    "erase/resource/",
)
GCOMPRIS_DRAWINGS = ("lang/resource/words_sample/", "solar_system/resource/")


def gcompris(root: Path, nouns: Nouns) -> Iterator[Found]:
    """GCompris' pictures, out of its resource archives."""
    for archive in sorted((root / "gcompris-qt-data/usr/share/gcompris-qt/rcc").glob("*.rcc")):
        for path, data in read_rcc(archive.read_bytes()):
            place = path.removeprefix("gcompris/src/activities/")
            if not path.endswith(".webp"):
                continue
            photo = place.startswith(GCOMPRIS_PHOTOS)
            if photo or place.startswith(GCOMPRIS_DRAWINGS):
                name = clean_name(re.sub(r"\d+$", "", Path(path).stem), nouns)
                if name is not None:
                    kind: Literal["photo", "drawing"] = "photo" if photo else "drawing"
                    yield Found(name, kind, "gcompris-qt-data", lambda data=data: Image.open(io.BytesIO(data)))


def read_rcc(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The files in a compiled Qt resource archive (https://doc.qt.io/qt-6/resources.html): (path, content)."""
    magic, version, tree, contents, names = struct.unpack_from(">4sIIII", data)
    assert magic == b"qres", magic
    size = 22 if version >= 2 else 14

    def walk(index: int, folder: str) -> Iterator[tuple[str, bytes]]:
        at = tree + index * size
        name_at, flags = struct.unpack_from(">IH", data, at)
        length = struct.unpack_from(">H", data, names + name_at)[0]
        name = data[names + name_at + 6 : names + name_at + 6 + 2 * length].decode("utf-16-be") if index else ""
        path = f"{folder}/{name}".strip("/")
        if flags & 2:
            count, first = struct.unpack_from(">II", data, at + 6)
            for child in range(first, first + count):
                yield from walk(child, path)
        else:
            start = contents + struct.unpack_from(">I", data, at + 10)[0]
            content = data[start + 4 : start + 4 + struct.unpack_from(">I", data, start)[0]]
            assert not flags & 4, "compressed by zstd"
            yield path, zlib.decompress(content[4:]) if flags & 1 else content

    return walk(0, "")


CLIP_ART_FOLDERS = {"animals", "food", "tools", "transportation", "plants", "people", "electronics", "office"} | {
    "recreation", "buildings", "science", "containers", "education", "unsorted", "decorations"
}  # fmt: skip


def clip_art(root: Path, nouns: Nouns) -> Iterator[Found]:
    """Open Clip Art; the titles are in the SVG files, the bitmaps in another package."""
    drawn = root / "openclipart-svg/usr/share/openclipart/svg"
    bitmaps = root / "openclipart-png/usr/share/openclipart/png"
    for path in sorted(drawn.rglob("*.svg")):
        place = path.relative_to(drawn)
        bitmap = bitmaps / place.with_suffix(".png")
        if place.parts[0] not in CLIP_ART_FOLDERS or not bitmap.exists():
            continue
        title = re.search(r"<dc:title>\s*(.*?)\s*</dc:title>", path.read_text(encoding="utf-8", errors="replace"), re.S)
        name = clean_name(html.unescape(title.group(1)), nouns) if title else None
        if name is not None and nouns.is_visible(name):
            yield Found(name, "drawing", "openclipart-png", lambda path=bitmap: Image.open(path))


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


SOURCES: tuple[Callable[[Path, Nouns], Iterator[Found]], ...] = (tuxpaint, gcompris, emoji, clip_art)
