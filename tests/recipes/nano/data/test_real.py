"""Fetching real media: what is kept of a package, without a network."""

import gzip
import hashlib
from pathlib import Path

import pytest

from recipes.nano.data import real
from vl3.errors import UserError


def test_a_file_is_unpacked_renamed_and_described(tmp_path: Path) -> None:
    package = real.Package("films", "films==1", "root", {"deep/a.mp4.gz": "CC0-1.0"}, {"deep/a.mp4.gz": "b.mp4.gz"})
    file = tmp_path / "a.mp4.gz"
    file.write_bytes(gzip.compress(b"moving"))
    line = real.keep(package, "deep/a.mp4.gz", file, tmp_path / "out")
    assert (tmp_path / "out/films/b.mp4").read_bytes() == b"moving"
    assert line == {
        "path": "films/b.mp4",
        "package": "films==1",
        "file": "root/deep/a.mp4.gz",
        "licence": "CC0-1.0",
        "sha256": hashlib.sha256(b"moving").hexdigest(),
    }


def test_a_missing_tool_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    package = real.Package("films", "films-doc", "root", {}, {}, debian=True)
    with pytest.raises(UserError, match="apt-get is needed"):
        real.fetch(package, tmp_path)
