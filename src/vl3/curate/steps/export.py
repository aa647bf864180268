"""export: writes the rows that are left as training data (docs/data.md).

- `jsonl`: OUTPUT/set/train.jsonl, which names the media where they lie; those inside archives are taken out of them.
- `webdataset`: OUTPUT/set/train-00000.tar, ...: each sample's .json beside its media.
- `parquet`: OUTPUT/set/train-00000.parquet, ...: conversations, with the media's bytes.

Media that no step of the recipe has opened (videos among images, say) are opened here, so that none is in the set
unseen.
"""

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

from vl3.config import Count, SamplingConfig, configclass
from vl3.curate.media import PLACE, content, keep, picture, source_of
from vl3.curate.rows import arrow, write_part
from vl3.curate.step import WORDS, Found, Place, Pool, PoolStep, Rows, Type, refuse_column
from vl3.errors import UserError
from vl3.media import Decoder
from vl3.media.info import Kind

SET = "set"
"""The folder that is written, in the run's."""

KEPT = ("id", "source", "licence")
"""Columns that go into samples as they are."""

NUM_FRAMES = 3
"""Frames of a video that are looked at, from its beginning to its end, where no step has opened it."""
SIDE = 64
"""Their height and width, in pixels."""

TIMES = {"start_s": "start_time", "end_s": "end_time"}
"""What samples call a clip's times."""


@configclass
class ExportConfig:
    """What is written."""

    form: Literal["jsonl", "webdataset", "parquet"] = "jsonl"
    """See above."""
    texts: tuple[str, ...] = ("text",)
    """Columns with the answer; the first that a row has a value in."""
    prompts: tuple[str, ...] = ("Describe the image.", "What does the picture show?", "Write a caption for this image.")
    """What is asked; which of them is a function of the row's id."""
    video_prompts: tuple[str, ...] = (
        "Describe the video.",
        "What happens in the video?",
        "Write a caption for this clip.",
    )
    """The same for videos and their clips, which keep `start_time` and `end_time`."""
    tasks: bool = False
    """Whether the samples that the step `tasks` built are written too."""
    per_file: Count = 1000
    """Samples of one archive or Parquet file."""

    def __post_init__(self) -> None:
        if not (self.texts and self.prompts and self.video_prompts):
            raise ValueError("texts, prompts and video_prompts need at least one entry")

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that are read."""
        return ("kind", *KEPT[1:], *PLACE, *TIMES, *self.texts, *(["samples"] if self.tasks else []))


def export_step(config: ExportConfig) -> PoolStep:
    """Drops rows without a text, and those whose media cannot be opened where no step before has tried."""

    def ready(columns: Mapping[str, Type]) -> None:
        for column in config.texts:
            refuse_column(columns, column, "texts", WORDS)

    return PoolStep(config.inputs, {}, partial(export, config), ready=ready)


def export(config: ExportConfig, pool: Pool, place: Place) -> Found:
    """Writes the set anew."""
    folder = place.output / SET
    unfinished = place.output / f"{SET}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    reasons: list[str | None] = []

    def samples(decoder: Decoder) -> Iterator[tuple[dict[str, Any], Rows, int]]:
        fault = lru_cache(1)(partial(_fault, decoder))  # clips of one video follow each other
        for rows in pool.batches(config.inputs):
            for number in range(len(rows["id"])):
                kind = rows["kind"][number]
                text = next((rows[name][number] for name in config.texts if rows[name][number]), None)
                told = [] if text is None else [_sample(config, rows, number, text)]
                for at, built in enumerate((rows["samples"][number] or []) if config.tasks else []):
                    own = {"id": f"{rows['id'][number]}-{at}", kind: None}  # another than the caption's
                    told.append(_kept(rows, number) | own | json.loads(built))
                unseen = told and kind not in place.opened
                trouble = fault(kind, *(rows[name][number] for name in PLACE)) if unseen else None
                reasons.append(trouble or (None if text else "no text"))
                for sample in [] if trouble else told:
                    yield sample, rows, number

    with Decoder() as decoder:
        _WRITERS[config.form](config, samples(decoder), unfinished, place.output)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    return Found(reasons=reasons)


def _fault(decoder: Decoder, kind: Kind, *place: Any) -> str | None:
    """Why a medium cannot be trained on: of a picture the whole is decoded, of a video some frames."""
    rows: Rows = {name: [value] for name, value in zip(PLACE, place, strict=True)}
    try:
        if kind == "image":
            picture(rows, 0)
            return None
        source = source_of(rows, 0)
    except UserError as error:
        return str(error)
    try:
        info = decoder.probe(source, SamplingConfig(num_frames=NUM_FRAMES), kind)
        decoder.salvage(info, (min(info.height, SIDE), min(info.width, SIDE)))
    except UserError as error:
        return f"cannot be decoded: {error}"
    return None


def _sample(config: ExportConfig, rows: Rows, number: int, text: str) -> dict[str, Any]:
    """One picture, one question, one answer; the media's place is left to the writer."""
    kind, name = rows["kind"][number], rows["id"][number]
    prompts = config.prompts if kind == "image" else config.video_prompts
    chosen = int(hashlib.sha256(name.encode()).hexdigest(), 16) % len(prompts)
    turns = [{"from": "human", "value": f"<{kind}>\n{prompts[chosen]}"}, {"from": "gpt", "value": text}]
    times = {theirs: rows[ours][number] for ours, theirs in TIMES.items() if rows[ours][number] is not None}
    return {**_kept(rows, number), kind: None, **times, "conversations": turns}


def _kept(rows: Rows, number: int) -> dict[str, Any]:
    return {key: rows[key][number] for key in KEPT if rows[key][number] is not None}


Samples = Iterator[tuple[dict[str, Any], Rows, int]]


def _jsonl(_config: ExportConfig, samples: Samples, folder: Path, output: Path) -> None:
    with (folder / "train.jsonl").open("w", encoding="utf-8") as lines:
        for sample, rows, number in samples:
            path = rows["path"][number]
            if rows["offset"][number] is not None:
                path = str(keep(output, content(rows, number)))
            lines.write(json.dumps({**sample, rows["kind"][number]: [path]}, ensure_ascii=False) + "\n")


def _webdataset(config: ExportConfig, samples: Samples, folder: Path, _output: Path) -> None:
    for file, group in _groups(config, samples, folder, "tar"):
        with tarfile.open(file, "w") as archive:
            for at, (sample, rows, number) in enumerate(group):
                kind, data = rows["kind"][number], content(rows, number)
                ending = ending_of(data, kind)
                said = json.dumps({**sample, kind: [ending]}, ensure_ascii=False).encode()
                for name, member in ((f"{at:06d}.json", said), (f"{at:06d}.{ending}", data)):
                    header = tarfile.TarInfo(name)
                    header.size = len(member)
                    archive.addfile(header, io.BytesIO(member))


def _parquet(config: ExportConfig, samples: Samples, folder: Path, _output: Path) -> None:
    pa = arrow()
    media = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    told = [("role", pa.string()), ("content", pa.string()), ("time", pa.float64())]
    types = {
        **dict.fromkeys(KEPT, pa.string()),
        **dict.fromkeys(("image", "video"), media),
        **dict.fromkeys(TIMES.values(), pa.float64()),
        **dict.fromkeys(("independent", "stream"), pa.bool_()),
        "conversations": pa.list_(pa.struct([("from", pa.string()), ("value", pa.string())])),
        "conversation": pa.list_(pa.struct(told)),
    }
    for file, group in _groups(config, samples, folder, "parquet"):
        found: dict[str, list[Any]] = {name: [] for name in types}
        for sample, rows, number in group:
            kind = rows["kind"][number]
            embedded = [{"bytes": content(rows, number), "path": Path(rows["path"][number]).name}]
            for name, values in found.items():
                values.append(embedded if name == kind else sample.get(name))
        used = {name: values for name, values in found.items() if any(value is not None for value in values)}
        write_part(file, pa.table({n: pa.array(v, types[n]) for n, v in used.items()}))


def _groups(
    config: ExportConfig, samples: Samples, folder: Path, suffix: str
) -> Iterator[tuple[Path, Sequence[tuple[dict[str, Any], Rows, int]]]]:
    """Samples by `per_file`, with the file that each group goes to."""
    group: list[tuple[dict[str, Any], Rows, int]] = []
    number = 0
    for sample in samples:
        group.append(sample)
        if len(group) == config.per_file:
            yield folder / f"train-{number:05d}.{suffix}", group
            number, group = number + 1, []
    if group or number == 0:
        yield folder / f"train-{number:05d}.{suffix}", group


def ending_of(data: bytes, kind: str) -> str:
    """The usual ending of a file's name, by how its bytes begin; mp4 for other videos, img for other images."""
    if data[:4] == b"RIFF":
        return "webp" if data[8:12] == b"WEBP" else "avi"
    if data[4:12] in (b"ftypavif", b"ftypavis"):
        return "avif"
    known = next((ending for start, ending in _BEGINS.items() if data.startswith(start)), None)
    return known or ("mp4" if kind == "video" else "img")


_BEGINS = {
    b"\xff\xd8": "jpg",
    b"\x89PNG": "png",
    b"GIF8": "gif",
    b"BM": "bmp",
    b"\x1aE\xdf\xa3": "mkv",
    b"II*": "tif",
}
_WRITERS: dict[str, Callable[[ExportConfig, Samples, Path, Path], None]] = {
    "jsonl": _jsonl,
    "webdataset": _webdataset,
    "parquet": _parquet,
}
