"""Archives in the forms in which benchmarks are published: whole, cut into parts, incomplete, broken, hostile."""

import io
import random
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.eval.miniatures import MINIATURES
from vl3.errors import UserError
from vl3.eval.archives import archives, unpack
from vl3.eval.benchmark import check
from vl3.eval.tasks.catalogue import BENCHMARKS

FILES = {f"videos/{number}.mp4": random.Random(number).randbytes(1000 + number) for number in range(9)}


def tarred(mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:  # type: ignore[call-overload]
        for name, data in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in FILES.items():
            packed.writestr(name, data)
    return buffer.getvalue()


def cut(data: bytes, names: list[str], folder: Path) -> None:
    size = -(-len(data) // len(names))
    for place, name in enumerate(names):
        (folder / name).write_bytes(data[place * size : (place + 1) * size])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.mp4"))}


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (tarred(), ["videos.tar"]),
        (tarred("w:gz"), ["videos.tar.gz"]),
        (zipped(), ["videos.zip"]),
        (tarred(), ["videos.tar.part.aa", "videos.tar.part.ab", "videos.tar.part.ac"]),
        (tarred(), ["videos.tar.part_aa", "videos.tar.part_ab"]),
        (tarred("w:gz"), [f"videos.tar.gz.part-{number:02d}" for number in range(12)]),
        (tarred("w:gz"), ["v.tgz.aa", "v.tgz.ab"]),
        (tarred(), ["videos.taraa", "videos.tarab"]),
        (zipped(), [f"videos.zip.{number:03d}" for number in range(1, 8)]),
    ],
)
def test_it_unpacks_once(data: bytes, names: list[str], tmp_path: Path) -> None:
    cut(data, names, tmp_path)
    [archive] = archives(tmp_path)
    assert [part.name for part in archive.parts] == names and archive.size == len(data) and not archive.gaps
    told: list[int] = []
    assert unpack(archive, told.append) == len(FILES) and told == sorted(told)
    assert contents(tmp_path) == FILES
    (tmp_path / "videos/3.mp4").write_bytes(b"half")
    assert unpack(archive) == 1 and contents(tmp_path) == FILES, "only what is not there whole is written"


def test_parts_that_are_missing(tmp_path: Path) -> None:
    cut(tarred(), ["a.tar.part.aa", "a.tar.part.ab", "a.tar.part.ac", "a.tar.part.ad"], tmp_path)
    (tmp_path / "a.tar.part.ab").unlink()
    with pytest.raises(UserError, match=r"its parts a\.tar\.part\.ab are missing"):
        unpack(archives(tmp_path)[0])
    cut(zipped(), ["b.zip.001", "b.zip.002", "b.zip.003"], tmp_path)
    (tmp_path / "b.zip.001").unlink()
    assert archives(tmp_path)[1].gaps == ["b.zip.001"]
    cut(tarred(), ["c.tar.part.aa", "c.tar.part.ab"], tmp_path)
    (tmp_path / "c.tar.part.ab").unlink()  # nobody can know from the names
    with pytest.raises(UserError, match=r"c\.tar: cannot be unpacked: unexpected end of data; are these all its parts"):
        unpack(archives(tmp_path)[2])


def test_what_is_no_archive_and_what_only_zip_can_join(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.zipped", "tar.txt", "x.parquet"):
        (tmp_path / name).write_bytes(b"x")
    assert archives(tmp_path) == [] == archives(tmp_path / "none")
    (tmp_path / "v.z01").write_bytes(b"x")
    (tmp_path / "v.zip").write_bytes(b"x")
    [archive] = archives(tmp_path)
    with pytest.raises(UserError, match=r"join them with `zip -s 0 .*v\.zip --out whole\.zip`"):
        unpack(archive)


@pytest.mark.parametrize("name", ["bad.zip", "bad.tar", "bad.tar.gz", "bad.tgz"])
@pytest.mark.parametrize("data", [b"", b"<html>404</html>", zipped()[:-30], tarred("w:gz")[:900]])
def test_broken_ones_are_one_line(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=rf"^[^\n]*{name}: cannot be unpacked: [^\n]+$"):
        unpack(archives(tmp_path)[0])


def test_nothing_is_written_outside(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    with zipfile.ZipFile(inside / "a.zip", "w") as packed:
        packed.writestr("../out.mp4", b"x")
    with tarfile.open(inside / "b.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("../out.mp4"))
    for archive in archives(inside):
        with pytest.raises(UserError, match=r"outside|leads out"):
            unpack(archive)
    assert not (tmp_path / "out.mp4").exists()


def test_prepare_names_the_archives_and_unpacks_them(tmp_path: Path) -> None:
    MINIATURES["longvideobench"](tmp_path)
    video = tmp_path / "videos/86CxyhFV9MI.mp4"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(video, "videos/86CxyhFV9MI.mp4")
    video.unlink()
    cut(buffer.getvalue(), [f"videos.tar.part.a{letter}" for letter in "abc"], tmp_path)
    found = check(BENCHMARKS["longvideobench"], tmp_path)
    assert found.packed.startswith("videos.tar (3 parts); `vl3 eval prepare longvideobench")
    assert unpack(archives(tmp_path)[0]) == 1
    assert check(BENCHMARKS["longvideobench"], tmp_path).missing == []
    (tmp_path / "videos.tar.part.ab").unlink()
    video.unlink()
    assert check(BENCHMARKS["longvideobench"], tmp_path).missing[-1] == "videos.tar.part.ab (a part of videos.tar)"
