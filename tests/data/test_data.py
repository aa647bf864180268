"""Training data: every form is read as it is, order resumes exactly, nothing is lost, replaced or cut."""

import io
import json
import random
import tarfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vl3.chat import media_of
from vl3.data import DataConfig, Loader, Pack, SourceConfig, open_source
from vl3.data.boxes import box_from_fractions, box_from_pixels, box_to_pixels, write_box, write_time
from vl3.data.check import check, claims
from vl3.data.mixture import Mixture
from vl3.data.pack import best_fit
from vl3.data.prepare import Preparer
from vl3.data.schema import parse
from vl3.errors import UserError
from vl3.media import Decoder
from vl3.processing import IGNORE, Inputs, Processor


def said(question: str, answer: str = "Yes.", **media: Any) -> dict[str, Any]:
    return {**media, "conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]}


STREAM = {
    "stream": True,
    "video": ["clip.mp4"],
    "start_time": 0.0,
    "end_time": 5.0,
    "conversation": [
        {"role": "user", "content": "Tell me when it is bright.", "time": 0.0},
        {"role": "assistant", "content": "Now.", "time": 3.0},
    ],
}
ROWS = [
    said("<image>\nWhat?", image=["a.png"]),
    said("<image> or <image>?", image=["a.png", "b.png"]),
    said("<video>\nWhat happens?", video=["clip.mp4"]),
    said("Only text?"),
    STREAM,
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]},
    said("What?", image="c.png"),
]


def write(folder: Path, rows: list[Any], media: Path, name: str = "train.jsonl") -> SourceConfig:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / name).write_text("\n".join(lines) + "\n")
    return SourceConfig(path=str(folder / name), root=str(media))


def trained(inputs: Inputs, processor: Processor) -> str:
    return processor.tokenizer.decode(inputs.labels[inputs.labels != IGNORE].tolist(), skip_special_tokens=False)


def test_every_form_is_read_and_really_trained_on(tmp_path: Path, media: Path, processor: Processor) -> None:
    source = open_source(write(tmp_path, ROWS, media))
    kinds = [source.get(i).kind for i in range(len(source))]
    assert kinds == ["image", "images", "video", "text", "stream", "text", "image"]
    preparer = Preparer(processor, source.config, 2000)
    with Decoder() as decoder:
        inputs = [preparer.inputs(source.get(i), decoder) for i in range(len(source))]
    assert [trained(x, processor) for x in inputs] == [
        "Yes.<|im_end|>",
        "Yes.<|im_end|>",
        "Yes.<|im_end|>",
        "Yes.<|im_end|>",
        # two decisions to go on and one to speak, the answer, then one to go on and the end of the stream
        "TimeTime<|stream_end|>Now.<|im_end|>Time<|stream_end|>",
        "Hello<|im_end|>",
        "Yes.<|im_end|>",
    ]
    text = processor.tokenizer.decode(inputs[4].input_ids.tolist(), skip_special_tokens=False)
    times = [f"Time {t}.0s: " for t in range(5)]
    assert [text.count(time) for time in times] == [1] * 5, "the stream's times reach the prompt"
    assert text.index("Now.") > text.index(times[2]) and text.index("Now.") < text.index(times[3])


def test_json_parquet_and_tar_give_the_same_samples(tmp_path: Path, media: Path, processor: Processor) -> None:
    datasets = pytest.importorskip("datasets")
    rows = [ROWS[0], ROWS[1], said("<image>\nAnd?", image=["c.png"])]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    table = [
        {"image": [{"bytes": (media / name).read_bytes(), "path": name} for name in row["image"]], **_only(row)}
        for row in rows
    ]
    datasets.Dataset.from_list(table).to_parquet(str(tmp_path / "a.parquet"))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for i, row in enumerate(rows):
            named = {**row, "image": [f"{i:04}.{k}.png" for k in range(len(row["image"]))]}
            _add(archive, f"{i:04}.json", json.dumps(named).encode())
            for k, name in enumerate(row["image"]):
                _add(archive, f"{i:04}.{k}.png", (media / name).read_bytes())
    found = []
    with Decoder() as decoder:
        for ending in ("json", "parquet", "tar"):
            source = open_source(SourceConfig(path=str(tmp_path / f"a.{ending}"), root=str(media)))
            preparer = Preparer(processor, source.config, 2000)
            found.append([preparer.inputs(source.get(i), decoder) for i in range(len(source))])
    for others in found[1:]:
        for x, y in zip(found[0], others, strict=True):
            assert torch.equal(x.input_ids, y.input_ids) and torch.equal(x.labels, y.labels)
            assert all(torch.equal(v.patches, w.patches) for v, w in zip(x.visuals, y.visuals, strict=True))


@pytest.mark.parametrize("kind", ["one", "many"])
def test_a_hub_dataset_streamed_or_not_gives_the_same_samples(tmp_path: Path, media: Path, kind: str) -> None:
    """A folder in the layout of a hub dataset, with pictures embedded as `datasets` stores them."""
    datasets = pytest.importorskip("datasets")
    picture = {"bytes": (media / "a.png").read_bytes(), "path": "a.png"}
    rows = [
        {**_only(said(f"<image>\nNumber {i}?")), "image": picture if kind == "one" else [picture]} for i in range(9)
    ]
    table = datasets.Dataset.from_list(rows)
    image = datasets.Image() if kind == "one" else datasets.List(datasets.Image())
    table = table.cast(datasets.Features({**table.features, "image": image}))
    table.to_parquet(str(tmp_path / "set" / "data" / "train-0.parquet"))
    config = SourceConfig(path=f"hf:{tmp_path / 'set'}")
    whole = open_source(config)
    streamed = open_source(replace(config, streaming=True, num_samples=9))
    assert len(whole) == len(streamed) == 9
    for i in (0, 1, 4, 8, 2, 2):  # on, over a gap, and back
        assert whole.get(i) == streamed.get(i) and f"Number {i}?" in str(whole.get(i).messages)
    data = DataConfig(sources=(replace(config, streaming=True, num_samples=9),))
    assert [Mixture([streamed], data).sample(0, turn) for turn in (0, 5, 9)] == [0, 5, 0]
    with pytest.raises(UserError, match="ends before row 9"):
        open_source(replace(config, streaming=True, num_samples=10)).get(9)
    (tmp_path / "unsized" / "data").mkdir(parents=True)
    (tmp_path / "unsized" / "data" / "train.jsonl").write_text(json.dumps(_only(said("Hi?"))) + "\n")
    for wrong, words in (("nowhere", "could not be opened"), ("unsized", "how many samples")):
        with pytest.raises(UserError, match=words):
            open_source(replace(config, path=f"hf:{tmp_path / wrong}", streaming=True))


def _only(row: dict[str, Any]) -> dict[str, Any]:
    return {"conversations": row["conversations"]}


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def steps(loader: Loader, count: int) -> list[list[tuple[int, ...]]]:
    """The token ids of every sample of each step, in the order of their packs."""
    return [[sample for pack in loader.next_step() for sample in samples(pack)] for _ in range(count)]


def samples(pack: Pack) -> list[tuple[int, ...]]:
    return [tuple(part.tolist()) for part in pack.input_ids.split(pack.lengths)]


def config_of(*sources: SourceConfig, **options: Any) -> DataConfig:
    return DataConfig(sources=sources, **{"samples_per_step": 5, "pack_tokens": 1500, "num_workers": 0, **options})


def test_a_loader_resumes_exactly_at_the_sample(tmp_path: Path, media: Path, processor: Processor) -> None:
    config = config_of(
        write(tmp_path, ROWS, media), write(tmp_path, [said(f"Number {i}?") for i in range(9)], media, "more.jsonl")
    )
    whole = steps(Loader(config, processor), 6)
    for stop in range(6):
        first = Loader(config, processor)
        steps(first, stop)
        resumed = Loader(config, processor)
        resumed.load_state_dict(json.loads(json.dumps(first.state_dict())))
        assert steps(resumed, 6 - stop) == whole[stop:]


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(workers: int, tmp_path: Path, media: Path, processor: Processor) -> None:
    config = write(tmp_path, ROWS, media)
    alone = steps(Loader(config_of(config), processor), 3)
    assert steps(Loader(config_of(config, num_workers=workers), processor), 3) == alone


@pytest.mark.parametrize("world", [2, 3])
def test_any_number_of_ranks_sees_the_same_steps(world: int, tmp_path: Path, media: Path, processor: Processor) -> None:
    config = config_of(write(tmp_path, ROWS, media))
    alone = steps(Loader(config, processor), 4)
    ranks = [steps(Loader(config, processor, rank, world), 4) for rank in range(world)]
    for step in range(4):
        together = [sample for rank in ranks for sample in rank[step]]
        assert Counter(together) == Counter(alone[step])


def test_sources_get_their_share_and_every_sample_its_turn(tmp_path: Path, media: Path) -> None:
    rows = [said(f"{i}?") for i in range(10)]
    sources = [
        open_source(write(tmp_path, rows, media, name).__class__(path=str(tmp_path / name), weight=weight))
        for name, weight in (("x.jsonl", 3.0), ("y.jsonl", 1.0))
    ]
    mixture = Mixture(sources, config_of(*(source.config for source in sources)))
    order = [pair for pair, _ in zip(iter(mixture), range(80), strict=False)]
    assert Counter(source for source, _ in order) == {0: 60, 1: 20}
    for end in range(4, 81, 4):
        assert Counter(source for source, _ in order[:end])[1] == end // 4
    of_first = [index for source, index in order if source == 0]
    for start in range(0, 60, 10):
        assert sorted(of_first[start : start + 10]) == list(range(10))
    assert of_first[:10] != of_first[10:20], "each pass has an order of its own"


@given(st.lists(st.integers(1, 100), max_size=60), st.integers(100, 250))
def test_packing_loses_nothing_and_keeps_the_budget(lengths: list[int], capacity: int) -> None:
    packs = best_fit(lengths, capacity)
    assert sorted(i for pack in packs for i in pack) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in pack) <= capacity for pack in packs)
    assert packs == best_fit(lengths, capacity)
    if packs:
        assert len(packs) <= 2 * sum(lengths) / capacity + 1, "no two packs fit into one"


def test_a_long_clip_is_thinned_and_never_cut(tmp_path: Path, media: Path, processor: Processor) -> None:
    source = open_source(write(tmp_path, [ROWS[2], said("x" * 3000)], media))
    with Decoder() as decoder:
        full = Preparer(processor, source.config, 2000).inputs(source.get(0), decoder)
        most = full.num_tokens - 10
        thin = Preparer(processor, source.config, most).inputs(source.get(0), decoder)
        assert thin.num_tokens <= most
        assert 0 < thin.visuals[0].grid[0] < full.visuals[0].grid[0]
        assert int(thin.visual_mask.sum()) == thin.visuals[0].num_tokens
        with pytest.raises(UserError, match=r"train\.jsonl:2: .* do not fit into 1000"):
            Preparer(processor, source.config, 1000).inputs(source.get(1), decoder)


@pytest.mark.parametrize("own", [{"max_frames": 6}, {"num_frames": 6}, {"num_frames": "6", "fps": 2}])
def test_a_clip_that_asks_for_frames_of_its_own_is_thinned_too(
    own: dict[str, Any], tmp_path: Path, media: Path, processor: Processor
) -> None:
    source = open_source(write(tmp_path, [clip_with(**own)], media))
    with Decoder() as decoder:
        full = Preparer(processor, source.config, 2000).inputs(source.get(0), decoder)
        thin = Preparer(processor, source.config, full.num_tokens - 1).inputs(source.get(0), decoder)
    assert full.visuals[0].grid[0] == 6 and 0 < thin.visuals[0].grid[0] < 6


def test_a_sample_longer_than_the_models_context_is_thinned(tmp_path: Path, media: Path, processor: Processor) -> None:
    source = open_source(write(tmp_path, [ROWS[2]], media))
    with Decoder() as decoder:
        full = Preparer(processor, source.config, 2000).inputs(source.get(0), decoder)
        language = replace(processor.model_config.language, max_positions=full.num_tokens - 1)
        small = Processor(processor.config, processor.tokenizer, replace(processor.model_config, language=language))
        thin = Preparer(small, source.config, 2000).inputs(source.get(0), decoder)
    assert thin.num_tokens < full.num_tokens and 0 < thin.visuals[0].grid[0] < full.visuals[0].grid[0]


def test_overrides_of_a_source(tmp_path: Path, media: Path, processor: Processor) -> None:
    source = open_source(replace(write(tmp_path, [ROWS[2]], media), fps=2.0, max_frames=7, system="Be brief."))
    with Decoder() as decoder:
        inputs = Preparer(processor, source.config, 2000).inputs(source.get(0), decoder)
    assert inputs.visuals[0].grid[0] == 7
    assert processor.tokenizer.decode(inputs.input_ids.tolist(), skip_special_tokens=False).count("Be brief.") == 1


def clip_with(**options: Any) -> dict[str, Any]:
    """A question about a clip in the form of messages."""
    content = [{"type": "video", "video": "clip.mp4", **options}, {"type": "text", "text": "What?"}]
    return {"messages": [{"role": "user", "content": content}, {"role": "assistant", "content": "x"}]}


def malformed(count: int) -> list[str]:
    """Lines that are no good samples: seeded damage to good ones, none of which leaves a good one by chance."""
    rng = random.Random(0)
    damage = [
        lambda row: json.dumps(row)[: rng.randrange(1, 40)],
        lambda row: json.dumps({**row, "conversations": []}),
        lambda row: json.dumps({**row, "conversations": rng.choice([None, 3, "hi", {}, [1], [{"from": "gpt"}]])}),
        lambda row: json.dumps({**row, "image": [f"none{rng.random()}.png"] * len(row["image"])}),
        lambda row: json.dumps({**row, "image": [*row["image"], "b.png"]}),
        lambda row: json.dumps({**row, "image": rng.choice([7, [3], [""], {"a": 1}])}),
        lambda row: json.dumps({**row, "conversations": row["conversations"][:1]}),
        lambda row: json.dumps({**row, "conversations": row["conversations"][::-1]}),
        lambda row: json.dumps({**row, "conversations": [{"from": "robot", "value": "x"}, *row["conversations"]]}),
        lambda _: json.dumps({**STREAM, "conversation": [{"role": "assistant", "content": "x"}]}),
        lambda _: json.dumps({**STREAM, "video": []}),
        lambda row: json.dumps({**row, "image": ["\ud800.png"] * len(row["image"])}),
        lambda row: json.dumps({**row, "conversations": [{"from": ["human"], "value": "<image>"}]}),
        lambda _: json.dumps(clip_with(start_s={"a": 1})),
        lambda _: json.dumps(clip_with(max_frames="many")),
        lambda _: rng.choice(["", "null", "[]", "42", '"text"', "\x00\x01", "{" * 50, "\ud7ff", "9" * 5000]),
    ]
    return [damage[i % len(damage)](ROWS[i % 2]) for i in range(count)]


def test_a_thousand_malformed_lines_are_each_reported(tmp_path: Path, media: Path) -> None:
    lines = malformed(1000)
    good = [json.dumps(row) for row in ROWS]
    source = open_source(write(tmp_path, [*lines, *good], media))
    assert len(source) == 1000 + len(good)
    with Decoder() as decoder:
        *_, summary = check(source, decoder, decode=False)
    reported = {int(problem.split(":")[1]) for problem in summary.problems}
    assert reported == set(range(1, 1001))
    assert sum(summary.kinds.values()) == len(good)
    assert all(problem.encode() for problem in summary.problems), "each can be printed"


def test_a_run_outlives_a_thousand_malformed_lines(tmp_path: Path, media: Path, processor: Processor) -> None:
    quarantine = tmp_path / "quarantine.jsonl"
    source = write(tmp_path, [*malformed(1000), *[json.dumps(row) for row in ROWS]], media)
    config = config_of(source, quarantine=str(quarantine), failure_budget=1.0, num_workers=1)
    seen = [sample for step in steps(Loader(config, processor), 202) for sample in step]
    named = {int(json.loads(line)["reason"].split(":")[1]) for line in quarantine.read_text().splitlines()}
    assert named == set(range(1, 1001)) and len(seen) >= len(ROWS)


def test_failures_are_named_and_stop_the_run_past_the_budget(tmp_path: Path, media: Path, processor: Processor) -> None:
    rows = [*ROWS, *malformed(3)]
    quarantine = tmp_path / "out" / "quarantine.jsonl"
    source = write(tmp_path, rows, media)
    loader = Loader(config_of(source, quarantine=str(quarantine), failure_budget=0.5), processor)
    seen = [sample for step in steps(loader, 2) for sample in step]
    assert len(seen) == len(ROWS), "a failed sample is left out, not replaced"
    named = [json.loads(line)["reason"] for line in quarantine.read_text().splitlines()]
    assert sorted(int(reason.split(":")[1]) for reason in named) == [8, 9, 10]
    strict = Loader(config_of(write(tmp_path, malformed(30), media, "bad.jsonl"), failure_budget=0.1), processor)
    with pytest.raises(UserError, match=r"15 of 15 samples failed, more than failure_budget = 0\.1"):
        steps(strict, 9)


def test_held_out_samples_come_once_each_in_file_order(tmp_path: Path, media: Path, processor: Processor) -> None:
    config = config_of(write(tmp_path, ROWS, media))
    packs = Loader(config, processor).first(5)
    assert len(packs) == 5
    halves = [Loader(config, processor, rank, 2).first(5) for rank in range(2)]
    assert {samples(p)[0] for half in halves for p in half} == {samples(p)[0] for p in packs}


fraction = st.floats(0, 1)


@given(fraction, fraction, fraction, fraction, st.integers(1, 5000), st.integers(1, 5000))
@settings(max_examples=100)
def test_boxes_survive_the_way_there_and_back(a: float, b: float, c: float, d: float, width: int, height: int) -> None:
    x1, x2 = sorted((a, c))
    y1, y2 = sorted((b, d))
    box = box_from_fractions((x1, y1, x2, y2))
    assert box == box_from_pixels((x1 * width, y1 * height, x2 * width, y2 * height), width, height)
    back = box_to_pixels(box, width, height)
    assert back == pytest.approx((x1 * width, y1 * height, x2 * width, y2 * height), abs=max(width, height) / 1990)
    assert list(claims(write_box(box), None)) == []


def test_claims_out_of_range_are_found() -> None:
    assert len(list(claims("at [10, 20, 1200, 40] and [30, 30, 20, 40]", None))) == 2
    assert "fractions" in next(claims("[0.1, 0.2, 0.3, 0.4]", None))
    assert "beyond the video's end" in next(claims("from 2.0 to 30.0 seconds", 6.0))
    assert "ends before" in next(claims("from 5.0 to 3.0 seconds", None))
    assert list(claims("from 2.0 to 5.5 seconds, [0, 0, 1000, 1000], [1, 2, 3]", 6.0)) == []
    assert write_time(3.04) == "3.0"
    with pytest.raises(ValueError, match="inside the picture"):
        box_from_pixels((0, 0, 30, 10), 20, 20)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", "", "no samples"),
        ("a.json", "{}", "holds one list"),
        ("a.txt", "x", "annotations are .json"),
        ("a.tar", "junk" * 300, "not a readable tar"),
    ],
)
def test_files_that_are_no_annotations(name: str, content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=says):
        open_source(SourceConfig(path=str(tmp_path / name)))
    with pytest.raises(UserError, match="no such file"):
        open_source(SourceConfig(path=str(tmp_path / "nowhere.json")))


def test_relative_paths_start_from_the_root() -> None:
    rows = {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a.png"}}]}]}
    rows["messages"].append({"role": "assistant", "content": "x"})
    sample = parse(rows, "x", Path("/root"))
    assert sample.messages[0]["content"][0]["image_url"]["url"] == "/root/a.png"
    rows["messages"][0]["content"][0]["image_url"]["url"] = "https://x/a.png"  # type: ignore[index]
    assert parse(rows, "x", Path("/root")).messages[0]["content"][0]["image_url"]["url"] == "https://x/a.png"


def test_a_sample_may_look_at_a_part_of_its_video() -> None:
    turns = [{"from": "human", "value": "<video>\nWhat?"}, {"from": "gpt", "value": "It rains."}]
    found = parse({"video": "a.mp4", "start_time": 2, "end_time": 4.5, "conversations": turns}, "x", Path("/d"))
    [part] = media_of(found.messages)
    assert (part.source, part.options) == ("/d/a.mp4", {"start_s": 2, "end_s": 4.5})
    alone = parse({"video": ["a.mp4"], "start_time": None, "end_time": None, "conversations": turns}, "x")
    assert media_of(alone.messages)[0].options == {}
    with pytest.raises(UserError, match="belong to a sample with one video, not 0"):
        parse({"end_time": 3, "conversations": [{**turns[0], "value": "Who?"}, turns[1]]}, "x")
