"""Free fonts from Debian packages, and which of them training never sees.

python -m recipes.nano.data.fonts        # into $NANO_DATA/fonts, by default build/nano/fonts
"""

import os
import random
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

from PIL import ImageFont

from recipes.nano.data.sample import Split
from vl3.errors import UserError

Style = Literal["plain", "display"]
"""plain: for documents, tables, screens and charts. display: for a few large words only."""


@dataclass(frozen=True)
class Family:
    """Some fonts of one package."""

    package: str
    files: tuple[str, ...]
    licence: str
    style: Style = "plain"
    split: Split = "train"


def _files(stem: str, cuts: str, ending: str) -> tuple[str, ...]:
    return tuple(f"{stem}{cut}{ending}" for cut in cuts.split(","))


FAMILIES = (
    Family("fonts-dejavu-core", _files("DejaVuSans", ",-Bold,Mono,Mono-Bold", ".ttf"), "Bitstream Vera"),
    Family("fonts-dejavu-core", _files("DejaVuSerif", ",-Bold", ".ttf"), "Bitstream Vera"),
    Family("fonts-dejavu-extra", _files("DejaVuSans", "Condensed,Condensed-Bold,-Oblique", ".ttf"), "Bitstream Vera"),
    Family("fonts-freefont-ttf", _files("FreeSans", ",Bold,Oblique", ".ttf"), "GPL-3 with font exception"),
    Family("fonts-freefont-ttf", _files("FreeSerif", ",Bold,Italic", ".ttf"), "GPL-3 with font exception"),
    Family("fonts-freefont-ttf", _files("FreeMono", "Bold", ".ttf"), "GPL-3 with font exception"),
    Family("fonts-open-sans", _files("OpenSans-", "Regular,Semibold,Bold,Italic,CondBold", ".ttf"), "Apache-2.0"),
    Family("fonts-roboto-unhinted", _files("Roboto-", "Regular,Medium,Bold,Italic", ".ttf"), "Apache-2.0"),
    Family("fonts-roboto-unhinted", _files("RobotoCondensed-", "Regular,Bold", ".ttf"), "Apache-2.0"),
    Family("fonts-roboto-slab", _files("RobotoSlab-", "Regular,Bold", ".otf"), "Apache-2.0"),
    Family("fonts-lato", _files("Lato-", "Regular,Bold,Italic", ".ttf"), "OFL-1.1"),
    Family("fonts-lato", _files("Lato-", "Black,BlackItalic", ".ttf"), "OFL-1.1", "display"),
    Family("fonts-comic-neue", _files("ComicNeue-", "Regular,Bold", ".otf"), "OFL-1.1"),
    Family("fonts-cantarell", _files("Cantarell-", "Regular,Bold,ExtraBold", ".otf"), "OFL-1.1"),
    Family("fonts-inconsolata", ("Inconsolata.otf",), "OFL-1.0"),
    Family("fonts-linuxlibertine", _files("LinLibertine_", "R,RB,RI", ".otf"), "OFL-1.1"),
    Family("fonts-linuxlibertine", _files("LinBiolinum_", "R,RB", ".otf"), "OFL-1.1"),
    Family("fonts-quicksand", _files("Quicksand-", "Medium,Bold", ".ttf"), "OFL-1.1"),
    Family("fonts-courier-prime", _files("Courier Prime", " Bold, Sans Bold", ".otf"), "OFL-1.1"),
    Family("fonts-play", _files("Play-", "Regular,Bold", ".ttf"), "OFL-1.1"),
    Family("fonts-crosextra-caladea", _files("Caladea-", "Regular,Bold,Italic", ".ttf"), "Apache-2.0"),
    Family("fonts-b612", _files("B612-", "Regular,Bold", ".otf"), "OFL-1.1"),
    Family("fonts-firacode", _files("FiraCode-", "Regular,Bold", ".ttf"), "OFL-1.1"),
    Family("fonts-sil-gentium-basic", _files("GenBas", "R,B", ".ttf"), "OFL-1.1"),
    Family("fonts-vollkorn", _files("Vollkorn-", "Medium,Bold,Black", ".ttf"), "OFL-1.1", "display"),
    Family("fonts-gfs-didot", ("GFSDidot.otf", "GFSDidotBold.otf"), "OFL-1.1", "display"),
    Family("fonts-league-spartan", _files("LeagueSpartan-", "Bold,Black", ".otf"), "OFL-1.1", "display"),
    Family("fonts-lobster", ("lobster.otf",), "OFL-1.1", "display"),
    Family("fonts-dancingscript", ("DancingScript-Bold.otf",), "OFL-1.1", "display"),
    Family("fonts-liberation2", _files("LiberationSans-", "Regular,Bold,Italic", ".ttf"), "OFL-1.1", split="held_out"),
    Family("fonts-liberation2", _files("LiberationSerif-", "Regular,Bold,Italic", ".ttf"), "OFL-1.1", split="held_out"),
    Family("fonts-liberation2", _files("LiberationMono-", "Regular,Bold", ".ttf"), "OFL-1.1", split="held_out"),
    Family("fonts-cabin", _files("Cabin-", "Regular,Bold", ".otf"), "OFL-1.1", split="held_out"),
    Family("fonts-karla", _files("Karla-", "Bold,ExtraBold", ".otf"), "OFL-1.1", "display", "held_out"),
)


@dataclass(frozen=True)
class Face:
    """One font file, at any size."""

    path: Path

    def at(self, cap: float) -> ImageFont.FreeTypeFont:
        """The font whose capital letters are `cap` pixels high."""
        return _load(self.path, max(4, round(cap / _cap_share(self.path))))

    def cap_within(self, text: str, width: float, cap: float) -> float:
        """The height of capitals, at most `cap`, at which the text is at most `width` pixels wide."""
        return min(cap, 0.98 * cap * width / max(1.0, self.at(cap).getlength(text)))


@lru_cache(maxsize=2000)
def _load(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


@cache
def _cap_share(path: Path) -> float:
    box = _load(path, 200).getbbox("H")
    return (box[3] - box[1]) / 200


def fonts_folder() -> Path:
    """$NANO_DATA/fonts."""
    return Path(os.environ.get("NANO_DATA", "build/nano")) / "fonts"


def choose_face(rng: random.Random, split: Split, *, display: bool = False) -> Face:
    """A face of the split, families drawn evenly. `display` admits the faces made for large words."""
    families = [family for family in FAMILIES if family.split == split and (display or family.style == "plain")]
    path = fonts_folder() / rng.choice(rng.choice(families).files)
    if not path.exists():
        raise UserError(f"{path} is missing: run `python -m recipes.nano.data.fonts`, or set NANO_DATA")
    return Face(path)


def fetch_fonts(folder: Path) -> None:
    """Downloads the packages that `folder` lacks, and puts their fonts and copyright files there. Installs nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    for package in dict.fromkeys(family.package for family in FAMILIES):
        files = {file for family in FAMILIES if family.package == package for file in family.files}
        if all((folder / file).exists() for file in files):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            _unpack(package, Path(scratch))
            shutil.copy(Path(scratch) / f"usr/share/doc/{package}/copyright", folder / f"{package}.copyright")
            for path in sorted(Path(scratch).rglob("*.[ot]tf")):
                if path.name in files and not path.is_symlink():
                    shutil.copy(path, folder / path.name)
        missing = sorted(file for file in files if not (folder / file).exists())
        if missing:
            raise UserError(
                f"{package} does not hold {', '.join(missing)}: this release's package differs from Debian 12's"
            )


def _unpack(package: str, folder: Path) -> None:
    try:
        subprocess.run(["apt-get", "download", "-qq", package], cwd=folder, check=True, capture_output=True)
        (archive,) = folder.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", str(archive), str(folder)], check=True, capture_output=True)
    except FileNotFoundError as error:
        raise UserError(f"{error.filename} is missing: fetch the fonts on Debian or Ubuntu") from error
    except subprocess.CalledProcessError as error:
        raise UserError(f"cannot fetch {package}: {error.stderr.decode().strip()}; try `apt-get update`") from error


if __name__ == "__main__":
    fetch_fonts(fonts_folder())
