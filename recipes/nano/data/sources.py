"""The pictures that each package holds, with their names.

Each source is a function that yields `Found`; a picture is opened or drawn only when it is asked for.
"""

import html
import io
import json
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from recipes.nano.data.names import RENAMES, Nouns, clean_name
from vl3.errors import UserError

RASTER = 256
"""Pixels a side of what is drawn from an SVG."""

Kind = Literal["photo", "drawing"]


@dataclass(frozen=True)
class Found:
    """A picture in a package."""

    name: str
    kind: Kind
    package: str
    open: Callable[[], Image.Image]


@dataclass(frozen=True)
class Context:
    """What every source needs."""

    packages: Path
    """Where the fetched packages are."""
    nouns: Nouns

    def name(self, source: str, said: str, text: str) -> str | None:
        """The name of what `source` calls `said`: the renamed one, or else the one in `text`."""
        renamed = RENAMES.get((source, said))
        return clean_name(text, self.nouns) if renamed is None else renamed or None


def tuxpaint(context: Context) -> Iterator[Found]:
    """Tux Paint's stamps; the first sentence beside each says what it shows."""
    stamps = context.packages / "tuxpaint-stamps-default/usr/share/tuxpaint/stamps"
    for path in sorted(stamps.rglob("*.png")):
        text = path.with_suffix(".txt")
        folders = path.relative_to(stamps).parts
        if folders[0] in ("symbols", "military") or path.stem.endswith(("_mirror", "_flip")) or not text.exists():
            continue
        name = context.name("tuxpaint", path.stem, text.read_text(encoding="utf-8").split("\n")[0])
        if name is not None:
            yield Found(name, _tuxpaint_kind(path), "tuxpaint-stamps-default", partial(Image.open, path))


TUXPAINT_DRAWN = {"cartoon", "hats", "roadsigns", "flags", "easter", "hanukkah", "newyears"}
TUXPAINT_DRAWN_FILES = {
    "pizza", "button", "tooth", "hedgehog", "eye",
    "candy_cane", "Santa", "lamp", "santahat", "stocking", "tree", "hard_candy", "bow", "blackcat",
    "ghost", "jackolantern_mean", "jackolantern_happy", "inukshuk-outline", "spider", "knight_helmet", "0_sun", "ring",
    "tree2", "edward_bear", "star", "toilet", "lightningbolt", "butterfly", "bluebird",
    "echidna", "stripedfish", "wings",
}  # fmt: skip


def _tuxpaint_kind(path: Path) -> Kind:
    drawn = TUXPAINT_DRAWN & set(path.parts) or path.stem in TUXPAINT_DRAWN_FILES or path.stem.startswith("t_")
    return "drawing" if drawn else "photo"


GCOMPRIS: dict[str, Kind] = {
    "categorization/resource/images/tools/": "photo",
    "categorization/resource/images/fishes/": "photo",
    "categorization/resource/images/others/": "photo",
    "categorization/resource/images/monuments/": "photo",
    "categorization/resource/images/renewable/": "photo",
    "explore_monuments/resource/": "photo",
    "details/resource/image/": "photo",
    "explore_world_animals/resource/animals/": "photo",
    "explore_farm_animals/resource/animals/": "photo",
    "erase/resource/": "photo",
    "clickgame/resource/": "photo",
    "solar_system/resource/": "photo",
    "lang/resource/words_sample/": "drawing",
    "babymatch/resource/images/": "drawing",
    "instruments/resource/": "drawing",
    "babyshapes/resource/food/": "drawing",
    "memory/resource/": "drawing",
}
"""The folders of GCompris' activities with pictures of single things; their SVGs are drawings everywhere."""


def gcompris(context: Context) -> Iterator[Found]:
    """GCompris' pictures, out of its resource archives."""
    for archive in sorted((context.packages / "gcompris-qt-data/usr/share/gcompris-qt/rcc").glob("*.rcc")):
        for path, data in read_rcc(archive.read_bytes()):
            place = path.removeprefix("gcompris/src/activities/")
            folder = next((folder for folder in GCOMPRIS if place.startswith(folder)), None)
            if folder is None or not path.endswith((".webp", ".svg")) or _is_detail(place):
                continue
            said = re.sub(r"^\d+_|\d+$", "", Path(path).stem)
            name = context.name("gcompris", said, said)
            if name is not None:
                kind: Kind = GCOMPRIS[folder] if path.endswith(".webp") else "drawing"
                yield Found(name, kind, "gcompris-qt-data", partial(_open_gcompris, place, data))


def _is_detail(place: str) -> bool:
    """Whether a file is a piece cut out of a picture, or not a picture of the folder's kind."""
    if place.startswith("details/"):
        return not place.endswith("_background.webp")
    if place == "clickgame/resource/teeth.webp":
        return True
    return place.startswith(("erase/", "clickgame/", "solar_system/")) and not place.endswith(".webp")


def _open_gcompris(place: str, data: bytes) -> Image.Image:
    if place.endswith(".svg"):
        return rasterise(data.decode("utf-8"))
    image = Image.open(io.BytesIO(data))
    # Swimming fish have two phases side by side.
    return image.crop((0, 0, image.width // 2, image.height)) if place.startswith("clickgame/") else image


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


FLASH_CARDS = ("animals", "clothes_n_accessories", "construction", "food", "fruit_n_veg", "jobs", "nature", "transport")


def flash_cards(context: Context) -> Iterator[Found]:
    """The drawings of Art4Apps that pysioGame's word games show, named by their files."""
    root = context.packages / "pysiogame/usr/share/games/pysiogame/res/images/art4apps"
    for folder in FLASH_CARDS:
        for path in sorted((root / folder).glob("*.jpg")):
            name = context.name("pysiogame", path.stem, path.stem)
            if name is not None:
                yield Found(name, "drawing", "pysiogame", partial(Image.open, path))


EMOJI_GROUPS = {"animals-nature", "food-drink", "objects", "activities", "travel-places"}
EMOJI_SUBGROUPS = {"body-parts", "person", "person-role", "person-fantasy", "face-costume", "healthcare", "heart"} | {
    "animals-nature", "food-drink", "gardening", "objects", "climate-environment"
}  # fmt: skip
EMOJI_SETS = (
    "noto",
    "twemoji",
    "fluent-emoji-flat",
    "noto-v1",
    "emojione",
    "emojione-v1",
    "fxemoji",
    "streamline-emojis",
)
EMOJI_SKIPPED = re.compile(
    "o\N{RIGHT SINGLE QUOTATION MARK}clock|-thirty|moon|button|volume|:|chart|tray|heart "
    r"|^(man|woman|person|male|female|pregnant) "
    r"|^(orange|yellow|green|blue|light blue|purple|brown|black|grey|white|pink) heart"
)


def emoji(context: Context) -> Iterator[Found]:
    """Every set's picture of each emoji that shows a thing, an animal or a person in one skin."""
    openmoji = context.packages / "openmoji/package"
    sets = {name: context.packages / f"iconify-json-{name}/package" for name in EMOJI_SETS}
    icons = {name: _read_json(folder / "icons.json") for name, folder in sets.items()}
    by_code = {name: _read_json(folder / "chars.json") for name, folder in sets.items()}
    for row in _read_json(openmoji / "data/openmoji.json"):
        name = _emoji_name(context, row)
        if name is None:
            continue
        solid = context.packages / f"lobehub-fluent-emoji-3d/package/assets/{row['hexcode'].lower()}.webp"
        if solid.exists():
            yield Found(name, "drawing", "@lobehub/fluent-emoji-3d", partial(Image.open, solid))
        for set_name in EMOJI_SETS:
            svg = _icon(icons[set_name], by_code[set_name], row["hexcode"].lower(), row["annotation"])
            if svg is not None:
                yield Found(name, "drawing", f"@iconify-json/{set_name}", partial(rasterise, svg))
        drawn = openmoji / f"color/svg/{row['hexcode']}.svg"
        yield Found(name, "drawing", "openmoji", partial(_rasterise_file, drawn))


def _emoji_name(context: Context, row: dict[str, Any]) -> str | None:
    if row["skintone"] or not (row["group"] in EMOJI_GROUPS or row["subgroups"] in EMOJI_SUBGROUPS):
        return None
    official = row["annotation"]
    if ("emoji", official) not in RENAMES and EMOJI_SKIPPED.search(official):
        return "moon" if official in ("full moon", "crescent moon") else None
    return context.name("emoji", official, re.sub(r" face$", "", official))


def _icon(icons: dict[str, Any], by_code: dict[str, str], code: str, name: str) -> str | None:
    """The SVG of an emoji, found by its code point or else by its official name."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "")).strip("-")
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
    """An SVG as a picture that is RASTER pixels wide."""
    try:
        import resvg_py
    except ImportError as error:
        raise UserError("Drawing SVG pictures needs resvg-py: pip install resvg-py") from error
    return Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg, width=RASTER))))


def _rasterise_file(path: Path) -> Image.Image:
    return rasterise(path.read_text(encoding="utf-8"))


CLIP_ART_FOLDERS = {"animals", "food", "tools", "transportation", "plants", "people", "electronics", "office"} | {
    "recreation", "buildings", "science", "containers", "education", "unsorted", "decorations"
}  # fmt: skip
CLIP_ART_COLLECTIONS = ("clipart by", "various cliparts", "homes clipart", "etiquette", "r16 ", "part of the flat")
"""Titles that name the collection: what is shown stands in the file's name."""


def clip_art(context: Context) -> Iterator[Found]:
    """Open Clip Art; the titles are in the SVG files, the bitmaps in another package."""
    drawn = context.packages / "openclipart-svg/usr/share/openclipart/svg"
    bitmaps = context.packages / "openclipart-png/usr/share/openclipart/png"
    for path in sorted(drawn.rglob("*.svg")):
        place = path.relative_to(drawn)
        bitmap = bitmaps / place.with_suffix(".png")
        if place.parts[0] not in CLIP_ART_FOLDERS or not bitmap.exists():
            continue
        name = _clip_art_name(context, path)
        if name is not None:
            yield Found(name, "drawing", "openclipart-png", partial(Image.open, bitmap))


def _clip_art_name(context: Context, path: Path) -> str | None:
    match = re.search(r"<dc:title>\s*(.*?)\s*</dc:title>", path.read_text(encoding="utf-8", errors="replace"), re.S)
    title = re.sub(r"[_\s]+", " ", html.unescape(match.group(1))).lower() if match else ""
    if not title or title.startswith(CLIP_ART_COLLECTIONS):
        title = re.sub(r"^contour_", "", path.stem).replace("_", " ")
    title = re.sub(r"[ \d]+$", "", title)
    if ("clip art", path.stem) in RENAMES:
        return RENAMES["clip art", path.stem] or None
    for text in (title, *title.split(" - ")):
        name = context.name("clip art", text, text)
        # A cleaned name may itself be one that is said otherwise.
        name = name and RENAMES.get(("clip art", name), name)
        if name and (("clip art", text) in RENAMES or (name := context.nouns.visible(name))):
            return context.name("clip art", name, name)
    return None


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


SOURCES: tuple[Callable[[Context], Iterator[Found]], ...] = (tuxpaint, gcompris, emoji, clip_art, flash_cards)
