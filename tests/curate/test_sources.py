"""Raw pools of every form become the same rows."""

import csv
import io
import json
import logging
import os
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.curate.pools import picture, recipe, rows_after
from vl3.curate import curate, media
from vl3.curate.steps import decode
from vl3.errors import UserError

PLAIN = {"runner": {"kind": "plain"}}
TEXTS = ["first", "second", "third"]


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    picture(seed).save(buffer, "PNG")
    return buffer.getvalue()


def read(folder: Path, path: Path, *assignments: str) -> list[dict[str, Any]]:
    """Rows of a source after `decode`, which proves that the media are found; in place of those of another source."""
    return rows_after(curate(recipe(folder, path, {"decode": None}, *assignments, **PLAIN), start="source")[-1])


def reasons(rows: list[dict[str, Any]], parts: int = 1) -> list[str | None]:
    """Why rows are dropped: the first phrases of each reason."""
    return [row["drop_reason"] and ": ".join(row["drop_reason"].split(": ")[:parts]) for row in rows]


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))


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
        words = [json.dumps({"caption": text}).encode() for text in TEXTS]
        pairs = [{f"{number:04d}.png": png(number), f"{number:04d}.json": said} for number, said in enumerate(words)]
        write_tar(path, {name: data for pair in pairs for name, data in pair.items()})
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
    assert reasons(rows) == [None, "not a row", "not a row", "not a row", "not fetched"]
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
        ("pool.jsonl", b"", "pool.jsonl: holds no rows"),
        ("pool.csv", b"image,text\n", "pool.csv: holds no rows"),
        ("pool.csv", "image,text\na.png,x\n".encode("utf-16"), "is not UTF-8; convert it: iconv"),
        ("pool.csv", b'image,text\na.png,x\nb.png,"x\nc.png,x\n', "pool.csv:3: .* a quote that is not closed"),
        ("pool.csv", b'image,text\na.png,"x\nb.png,"y"\n', "pool.csv:2: .* a quote that is not closed"),
        ("pool.csv", b'image,text\na.png,"' + b"x\n" * (1 << 20), "pool.csv:2: .* a quote that is not closed"),
        ("pool.csv", b"link;words\na.png;x\n", "pool.csv: no column with media .* it has 'link;words'.*media:"),
        ("pool.jsonl", b'{"Link": "a.png"}\n{"no": 1}\n', "pool.jsonl: no column with media .* it has 'Link', 'no'"),
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


@pytest.mark.parametrize("setting", ["media", "text", "label"])
@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_a_column_that_the_recipe_names_and_no_row_has_is_told(tmp_path: Path, form: str, setting: str) -> None:
    with pytest.raises(UserError, match=rf"pool.{form}: no column 'gone', .* {setting}: names; it has 'image', "):
        read(tmp_path, pool(form, tmp_path), f"sources.0.{setting}=gone")


def test_columns_are_found_in_other_cases_unless_two_differ_in_that_only(tmp_path: Path) -> None:
    (tmp_path / "pool.csv").write_text("URL,TEXT,Text,ID\nhttps://example.org/a.jpg,one,two,a7\n")
    row, *_ = read(tmp_path, tmp_path / "pool.csv")
    assert (row["url"], row["text"], row["given_id"]) == ("https://example.org/a.jpg", None, "a7")
    assert row["drop_reason"].startswith("not fetched")
    assert read(tmp_path, tmp_path / "pool.csv", "sources.0.text=TEXT")[0]["text"] == "one"


def test_values_that_cannot_be_cost_their_row_only(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(1))
    lines = [
        '{"image": "a.png", "text": "\\ud800"}',
        '{"image": "a\\u0000b.png"}',
        '{"video": "a.mp4", "start_s": %s}' % ("9" * 400),
        '{"video": "a.mp4", "end_s": NaN}',
        '{"image": ["a.png", "b.png"]}',
        '{"image": "a.png", "text": "last"}',
    ]
    (tmp_path / "pool.jsonl").write_text("\n".join(lines))
    rows = read(tmp_path, tmp_path / "pool.jsonl")
    assert reasons(rows) == ["not a row", "no such file", *["not a row"] * 3, None]
    for row, why in zip(
        rows, ["text is not UTF-8", "\0", "start_s is no", "end_s is no", "2 media in image"], strict=False
    ):
        assert why in row["drop_reason"]
    (tmp_path / "pool.csv").write_bytes(b"image,text\na.png,caf\xe9\na.png,x,y\na.png,last\n")
    rows = read(tmp_path, tmp_path / "pool.csv")
    assert reasons(rows, 3) == [
        f"not a row: {tmp_path}/pool.csv:2: its text is not UTF-8; convert or rename it",
        f"not a row: {tmp_path}/pool.csv:3: 3 fields, but the header has 2",
        None,
    ]


def test_damage_in_a_parquet_file_costs_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(1))
    names = pa.array([b"a.png", b"\xff.png", b"a.png"]).cast(pa.binary()).view(pa.string())
    path = tmp_path / "pool.parquet"
    when = pa.array([2**61] * 3, pa.timestamp("ms"))  # beyond Python's calendar, and not asked for
    pq.write_table(pa.table({"image": names, "when": when}), path, row_group_size=2, compression="none")
    assert reasons(read(tmp_path, path)) == [None, "not a row", None]
    data = bytearray(path.read_bytes())
    page = pq.ParquetFile(path).metadata.row_group(0).column(0)
    start = page.dictionary_page_offset or page.data_page_offset
    data[start : start + 8] = b"\xff" * 8
    path.write_bytes(data)
    rows = read(tmp_path, path)
    assert reasons(rows) == ["not a row", None]
    assert "rows 0 to 1: the file is damaged there" in rows[0]["drop_reason"]


@pytest.mark.parametrize("damage", ["header", "cut", "joined"])
def test_what_lies_behind_damage_in_an_archive_is_told(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "pool.tar"
    write_tar(path, {f"{number}.png": png(number) for number in range(4)})
    data = bytearray(path.read_bytes())
    with tarfile.open(path) as archive:
        headers = [member.offset for member in archive]
    if damage == "header":
        data[headers[2] : headers[2] + 512] = b"x" * 512
    path.write_bytes({"header": data, "cut": data[: headers[3] + 600], "joined": data + data}[damage])
    told = reasons(read(tmp_path, path))
    assert told == [*[None] * {"header": 2, "cut": 3, "joined": 4}[damage], "the rest of a file cannot be read"]


def test_media_that_are_no_files_are_dropped_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (media, decode):
        monkeypatch.setattr(module, "MAX_PICTURE_BYTES", 50_000)
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "large.png").write_bytes(png(0) + bytes(50_000))
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no picture")
    names = ["pipe", "folder", "large", "empty", "text"]
    (tmp_path / "pool.jsonl").write_text("".join(f'{{"image": "{name}.png"}}\n' for name in names))
    found = reasons(read(tmp_path, tmp_path / "pool.jsonl"), 2)
    phrases = ["no regular file", "no regular file", "file too large", "empty file", "cannot be decoded"]
    assert found == [f"{phrase}: {tmp_path}/{name}.png" for phrase, name in zip(phrases, names, strict=True)]


# -------------------------------------------------------------------------------------------------------------- folders


def test_a_run_inside_its_pool_never_reads_what_runs_made(tmp_path: Path) -> None:
    folder = pool("folder", tmp_path)
    steps: dict[str, Any] = {"decode": None, "export": {"form": "webdataset"}}
    for output in ("out", "out", "other", "out"):
        found = curate(recipe(tmp_path, folder, steps, f"output={folder / output}", **PLAIN))
        assert (found[-1].rows, found[-1].kept) == (3, 3)
    assert all(outcome.reused for outcome in found)
    for wrong in (folder / "out", folder / "out" / "media"):
        wrong.mkdir(exist_ok=True)
        with pytest.raises(UserError, match="lies in the output folder of this run; set output="):
            read(tmp_path, wrong, f"output={folder / 'out'}")
    with pytest.raises(UserError, match=r"is the folder of a run of vl3 curate; .* lies in .*out/set"):
        read(tmp_path, folder / "out")


def test_a_folder_is_read_whole_with_its_captions_and_what_is_not_read_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "pool"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "up").symlink_to(folder)
    for name in ("a", "b", "below/c", "below/d"):
        (folder / f"{name}.png").write_bytes(png(ord(name[-1])))
    (folder / os.fsdecode(b"caf\xe9.png")).write_bytes(png(1))
    (folder / "gone.png").symlink_to(tmp_path / "nothing")
    (folder / "a.TXT").write_text("upper case")
    (folder / "b.txt").write_bytes(b"caf\xe9")
    for name in ("notes.json", "more.json", "README.txt"):
        (folder / name).write_text("{}")
    said = [{"file_name": "c.png", "text": "of a table", "license": "CC0-1.0"}, {"file_name": "e.png"}]
    (folder / "below" / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in said))
    with caplog.at_level(logging.WARNING, "vl3"):
        rows = read(tmp_path, folder)
    assert [(Path(row["path"]).name, row["text"]) for row in rows if row["drop_reason"] is None] == [
        ("a.png", "upper case"),
        ("c.png", "of a table"),
        ("d.png", None),
    ]
    assert sorted(reasons([row for row in rows if row["drop_reason"]], 3)) == [  # type: ignore[type-var]
        f"no such file: {folder}/gone.png",
        f"not a row: {folder}/b.png: {folder}/b.txt is not UTF-8; convert it",
        f"not a row: {folder}/below/metadata.jsonl:2: its file_name is no image or video of this folder",
        f"not a row: {folder}/caf\\udce9.png: its path is not UTF-8; convert or rename it",
    ]
    assert [record.message for record in caplog.records] == [f"{folder}: nothing reads 2 .json, 1 .txt"]


def test_a_folder_of_two_forms_is_refused_unless_one_tells_of_the_other(tmp_path: Path) -> None:
    folder = pool("folder", tmp_path)
    write_tar(folder / "0.tar", {"a.png": png(7)})
    with pytest.raises(UserError, match=r"media: holds 1 \.tar, 3 images and videos, but a source is of one form"):
        read(tmp_path, folder)
    for file in (*folder.glob("*.png"), *folder.glob("*.txt")):
        file.unlink()
    pq.write_table(pa.table({"url": ["a"]}), folder / "0.parquet")  # as img2dataset lays it beside its archives
    assert reasons(read(tmp_path, folder)) == [None]
    pq.write_table(pa.table({"url": ["a"]}), folder / "1.parquet")
    with pytest.raises(UserError, match=r"holds 1 \.tar, 1 \.parquet, but"):
        read(tmp_path, folder)


# ------------------------------------------------------------------------------------------------------ what media are


def test_the_column_tells_a_video_and_bytes_go_before_urls(tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    bytes_and_path = [{"bytes": b"clip", "path": None}]
    pq.write_table(
        pa.table({"video": [bytes_and_path], "url": ["https://example.org/a"], "start_time": [1.5], "end_s": ["2"]}),
        path,
    )
    (row,) = read(tmp_path, path)
    assert (row["kind"], row["url"], row["start_s"], row["end_s"]) == ("video", None, 1.5, 2.0)
    assert Path(row["path"]).read_bytes() == b"clip"
    (tmp_path / "pool.csv").write_text("video,start_s,end_s\nclips/one,1,2.5\nclips/one,a,\n")
    one, two = read(tmp_path, tmp_path / "pool.csv")
    assert (one["kind"], one["start_s"], one["end_s"]) == ("video", 1.0, 2.5)
    assert "start_s is no number" in two["drop_reason"]


@pytest.mark.parametrize("form", ["jsonl", "webdataset", "parquet"])
def test_a_set_that_was_exported_is_a_pool(tmp_path: Path, form: str) -> None:
    steps: dict[str, Any] = {"decode": None, "export": {"form": form}}
    curate(recipe(tmp_path, pool("folder", tmp_path), steps, **PLAIN))
    made = tmp_path / "out" / "set"
    rows = read(tmp_path, made / "train.jsonl" if form == "jsonl" else made, f"output={tmp_path / 'again'}")
    assert [(row["text"], row["given_id"], row["drop_reason"]) for row in rows] == [
        (text, f"media-{number:08d}", None) for number, text in enumerate(TEXTS)
    ]
