"""Raw pools of every form become the same rows."""

import csv
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.curate.pools import picture, recipe, rows_after
from vl3.curate import curate
from vl3.errors import UserError

PLAIN = {"runner": {"kind": "plain"}}
TEXTS = ["first", "second", "third"]


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    picture(seed).save(buffer, "PNG")
    return buffer.getvalue()


def read(folder: Path, path: Path, *assignments: str) -> list[dict[str, Any]]:
    """Rows of a source after `decode`, which proves that the media are found."""
    return rows_after(curate(recipe(folder, path, {"decode": None}, *assignments, **PLAIN))[-1])


def pool(form: str, folder: Path) -> Path:
    """Three pictures with texts in one form."""
    media = folder / "media"
    media.mkdir()
    for number, text in enumerate(TEXTS):
        (media / f"{number}.png").write_bytes(png(number))
        if form == "folder":
            (media / f"{number}.txt").write_text(text + "\n")
    path = folder / f"pool.{form}"
    records = [{"image": f"media/{number}.png", "caption": text} for number, text in enumerate(TEXTS)]
    if form == "jsonl":
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    elif form == "csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["image", "caption"])
            writer.writeheader()
            writer.writerows(records)
    elif form == "parquet":
        embedded = [{"bytes": png(number), "path": None} for number in range(len(TEXTS))]
        pq.write_table(pa.table({"image": embedded, "text": TEXTS}), path)
    elif form == "tar":
        with tarfile.open(path, "w") as archive:
            for number, text in enumerate(TEXTS):
                for ending, data in (("png", png(number)), ("json", json.dumps({"caption": text}).encode())):
                    header = tarfile.TarInfo(f"{number:04d}.{ending}")
                    header.size = len(data)
                    archive.addfile(header, io.BytesIO(data))
    return media if form == "folder" else path


def test_every_form_gives_the_same_pictures_and_texts(tmp_path: Path) -> None:
    found = {}
    for form in ("folder", "jsonl", "csv", "parquet", "tar"):
        folder = tmp_path / form
        folder.mkdir()
        rows = read(folder, pool(form, folder), "sources.0.licence=CC0-1.0")
        assert [row["drop_reason"] for row in rows] == [None] * 3, form
        found[form] = [(row["text"], row["pixels"], row["licence"], row["kind"]) for row in rows]
    assert all(rows == found["folder"] for rows in found.values())
    assert [text for text, *_ in found["folder"]] == TEXTS


def test_lines_that_say_nothing_are_dropped_rows_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "pool.jsonl"
    (tmp_path / "a.png").write_bytes(png(1))
    path.write_text('{"image": "a.png"}\n{"image": \n[1]\n{"words": "none"}\n{"image": "https://example.org/a.jpg"}\n')
    rows = read(tmp_path, path)
    assert [row["drop_reason"] and row["drop_reason"].partition(": ")[0] for row in rows] == [
        None,
        "not a row",
        "not a row",
        "not a row",
        "not fetched",
    ]
    assert f"{path}:2: not valid JSON" in rows[1]["drop_reason"]


def test_columns_labels_limits_and_names_are_as_the_recipe_says(tmp_path: Path) -> None:
    path = pool("jsonl", tmp_path)
    renamed = path.read_text().replace('"image"', '"where"').replace('"caption"', '"what"')
    path.write_text(renamed)
    settings = ["media=where", "text=what", "label=what", "limit=2", "name=mine"]
    rows = read(tmp_path, path, *(f"sources.0.{setting}" for setting in settings))
    assert [(row["id"], row["text"], row["label"]) for row in rows] == [
        ("mine-00000000", "first", "first"),
        ("mine-00000001", "second", "second"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty", None, "holds no images, videos, .tar or .parquet files"),
        ("pool.xlsx", b"x", "a source is a folder, or a .jsonl, .csv, .parquet, .tar file"),
        ("pool.tar", b"no archive", "not a readable, uncompressed tar file"),
        ("pool.parquet", b"no table", "not a readable Parquet file"),
        ("pool.jsonl", b"", "the sources hold no rows"),
    ],
)
def test_sources_that_cannot_be_read_are_told(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    path = tmp_path / name
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        read(tmp_path, path)
