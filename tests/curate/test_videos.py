"""Video pools: shots are cut where they were joined, motion and standing text are measured, clips are captioned."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.curate.clips import pan, scene, still, write_frames, written_over
from tests.curate.pools import recipe, rows_after, write_table
from tests.servers import serving
from vl3.curate import curate
from vl3.curate.steps.motion import MotionConfig, grey_frames, measure, motion, standing_text
from vl3.curate.steps.shots import ShotsConfig, divided, shots, split
from vl3.errors import UserError
from vl3.media import Decoder

CITY = Path(__file__).parents[2] / "assets/city.mp4"


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(60)


def row(*paths: Path, **columns: list[float | None]) -> dict[str, list[object]]:
    nothing = [None] * len(paths)
    return {
        "id": [p.stem for p in paths],
        "path": [str(p) for p in paths],
        "offset": nothing,
        "size": nothing,
        **columns,
    }


# --------------------------------------------------------------------------------------------------------------- shots


@pytest.mark.parametrize("kind", ["adaptive", "content"])
def test_cuts_are_found_at_their_presentation_times(tmp_path: Path, decoder: Decoder, kind: str) -> None:
    """A variable frame rate: the second shot has a frame every 2 ticks, the third every 3."""
    frames = pan(scene(1), 30) + pan(scene(2), 20) + pan(scene(3), 20)
    ticks = [*range(30), *range(30, 70, 2), *range(70, 130, 3)]
    write_frames(tmp_path / "a.mp4", frames, ticks)
    found = shots(str(tmp_path / "a.mp4"), ShotsConfig(detector=kind), decoder)
    assert [start for start, _ in found] == pytest.approx([0, 30 / 25, 70 / 25], abs=1e-3)
    assert found[-1][1] >= ticks[-1] / 25 and all(a[1] == b[0] for a, b in itertools.pairwise(found))


def test_a_moving_camera_is_no_cut(tmp_path: Path, decoder: Decoder) -> None:
    write_frames(tmp_path / "a.mp4", pan(scene(4), 60, step=5), range(60))
    assert len(shots(str(tmp_path / "a.mp4"), ShotsConfig(), decoder)) == 1


def test_bytes_and_trimmed_rates_give_the_same_shots(decoder: Decoder) -> None:
    whole = shots(str(CITY), ShotsConfig(), decoder)
    assert whole == [(0.0, 4.64), (4.64, 7.6)] and shots(CITY.read_bytes(), ShotsConfig(), decoder) == whole
    slower = shots(str(CITY), ShotsConfig(fps=8), decoder)
    assert np.allclose(slower, whole, atol=1 / 8)


def test_every_shot_is_a_row_and_broken_videos_are_dropped(tmp_path: Path, decoder: Decoder) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    write_frames(tmp_path / "short.mp4", pan(scene(1), 10) + pan(scene(2), 40), range(50))
    found = split(ShotsConfig(), decoder, row(CITY, tmp_path / "broken.mp4", tmp_path / "short.mp4"))
    assert found.parents == [0, 0, 1, 2, 2]
    assert found.columns["start_s"] == pytest.approx([0.0, 4.64, None, 0.0, 0.4])
    assert found.reasons[0] is None and str(found.reasons[2]).startswith("cannot be decoded: ")
    assert list(found.reasons[3:]) == ["shot too short", None]


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=8), st.floats(0.5, 20))
def test_long_shots_are_divided_evenly(lengths: list[float], max_s: float) -> None:
    edges = [0.0, *np.cumsum(lengths).tolist()]
    spans = list(itertools.pairwise(edges))
    pieces = divided(spans, max_s)
    assert pieces[0][0] == 0 and pieces[-1][1] == edges[-1] and divided(spans, None) == spans
    assert all(a[1] == b[0] for a, b in itertools.pairwise(pieces))
    assert all(end - start <= max_s + 1e-3 for start, end in pieces)
    assert {start for start, _ in spans} <= {start for start, _ in pieces}
    assert len(pieces) <= sum(1 + length / max_s for length in lengths)


# -------------------------------------------------------------------------------------------------------------- motion


def test_motion_is_told_from_the_noise_of_a_camera() -> None:
    frames = np.stack(still(scene(1), 10, noise=8)).mean(-1).astype(np.float32)
    assert motion(frames)[1] < 0.02
    moving = np.stack(pan(scene(1), 10, step=8)).mean(-1).astype(np.float32)
    faster = np.stack(pan(scene(1), 10, step=16)).mean(-1).astype(np.float32)
    assert motion(moving)[1] > 0.5 and motion(faster)[0] > motion(moving)[0] > motion(frames)[0]
    assert motion(frames[:1]) == (0, 0)


def test_the_moving_share_is_that_of_the_blocks_something_crossed() -> None:
    frames = np.zeros((5, 160, 320), np.float32)
    for number in range(5):
        frames[number, 32:64, 32 * number : 32 * number + 32] = 255
    assert motion(frames)[1] == pytest.approx(2 * 10 / (10 * 20))


@pytest.mark.parametrize("background", ["pan", "noise"])
def test_standing_text_is_measured_where_it_stands(background: str) -> None:
    if background == "pan":
        plain = pan(scene(5), 12, step=6)
    else:
        rng = np.random.default_rng(1)
        plain = list(rng.integers(0, 256, (12, 180, 320, 3), dtype=np.uint8))
    text, share = written_over(plain, ["The quick brown fox jumps over", "the lazy dog, as we all know"])

    def score(frames: list[np.ndarray]) -> float:
        return standing_text(np.stack(frames).mean(-1).astype(np.float32))

    assert score(plain) < 0.005
    assert 0.5 * share < score(text) < 1.6 * share
    moved = [np.roll(frame, 7 * number, 1) for number, frame in enumerate(text)]
    assert score(moved) < 0.01, "text that moves with the picture is in it, not over it"


def test_stills_and_crowded_clips_are_dropped(tmp_path: Path, decoder: Decoder) -> None:
    lines = ["many words are written over the clip"] * 6
    made = {
        "moves": pan(scene(6), 50),
        "stands": still(scene(6), 50, noise=3),
        "crowded": written_over(pan(scene(6), 50), lines)[0],
    }
    for name, frames in made.items():
        write_frames(tmp_path / f"{name}.mp4", frames, range(50))
    (tmp_path / "broken.mp4").write_bytes(b"")
    paths = [tmp_path / f"{name}.mp4" for name in (*made, "broken")]
    found = measure(MotionConfig(fps=5), decoder, row(*paths, start_s=[0.0] * 4, end_s=[2.0] * 4))
    assert list(found.reasons[:3]) == [None, "near-static", "text lies over it"]
    assert str(found.reasons[3]).startswith("cannot be decoded: ") and found.columns["motion"][3] is None
    assert measure(MotionConfig(fps=5, max_motion=0.5), decoder, row(paths[0], start_s=[0.0], end_s=[2.0])).reasons == [
        "too much motion"
    ]


def test_a_long_clip_is_looked_at_in_its_middle(decoder: Decoder) -> None:
    frames = grey_frames(str(CITY), 0.0, 7.6, MotionConfig(fps=2, max_frames=4), decoder)
    middle = grey_frames(str(CITY), 2.8, 4.8, MotionConfig(fps=2, max_frames=4), decoder)
    assert frames.shape == middle.shape == (4, 288, 512) and np.array_equal(frames, middle)
    with pytest.raises(UserError, match="nothing is shown"):
        grey_frames(str(CITY), 20.0, 21.0, MotionConfig(), decoder)


def test_a_pool_of_videos_becomes_captioned_clips(tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    pool.mkdir()
    write_frames(pool / "a.mp4", pan(scene(1), 50) + still(scene(2), 50) + pan(scene(3), 50), range(150))
    (pool / "b.mp4").write_bytes(b"no video")
    asked: list[str] = []

    def answer(body: dict[str, Any]) -> str:
        times = [part["text"] for part in body["messages"][0]["content"] if part["type"] == "text"]
        asked.append(times[0])
        return f"Coloured clouds drift by, first seen at {times[0]}"

    with serving(answer) as server:
        steps = {
            "shots": {"min_s": 1},
            "motion": {},
            "recaption": {"of": "video", "writer": {"endpoint": server.url, "model": "fake"}},
        }
        config = recipe(tmp_path, pool, steps, runner={"kind": "plain"})
        *_, last = curate(config)
        again = curate(config, start="recaption")[-1]
    rows = rows_after(last)
    assert [(row["id"], row["dropped_by"], row["drop_reason"]) for row in rows[:3]] == [
        ("pool-00000000.0", None, None),
        ("pool-00000000.1", "motion", "near-static"),
        ("pool-00000000.2", None, None),
    ]
    assert rows[3]["dropped_by"] == "shots" and rows[3]["drop_reason"].startswith("cannot be decoded: ")
    assert [row["caption_short"] for row in rows[:3]] == [
        "Coloured clouds drift by, first seen at Time 0.0s:",
        None,
        "Coloured clouds drift by, first seen at Time 4.0s:",
    ]
    assert last.notes == ["2 replies, 14 tokens read, 18 written"]
    assert last.kept == 2 and rows_after(again) == rows
    assert len(asked) == 2, "a step that is done again asks for nothing that it was told"


@pytest.mark.parametrize("steps", [{}, {"decode": {}}, {"shots": {"detector": "none"}}])
def test_media_that_no_step_has_opened_are_opened_before_they_are_in_the_set(
    tmp_path: Path, steps: dict[str, Any]
) -> None:
    for name, data in {
        "whole.mp4": CITY.read_bytes(),
        "zeros.mp4": bytes(4000),
        "cut.mp4": CITY.read_bytes()[:3000],
        "whole.jpg": CITY.with_suffix(".jpg").read_bytes(),
        "cut.jpg": CITY.with_suffix(".jpg").read_bytes()[:500],
    }.items():
        (tmp_path / name).write_bytes(data)
    names = ["whole.mp4", "zeros.mp4", "cut.mp4", "gone.mp4", "whole.jpg", "cut.jpg"]
    pool = write_table(tmp_path, [{"path": name, "text": f"words of {name}"} for name in names])
    *_, last = curate(recipe(tmp_path, pool, {**steps, "export": {}}, runner={"kind": "plain"}))
    lines = [json.loads(line) for line in (tmp_path / "out/set/train.jsonl").read_text().splitlines()]
    assert [line["conversations"][1]["value"] for line in lines] == ["words of whole.mp4", "words of whole.jpg"]
    dropped = [row["drop_reason"].partition(": ")[0] for row in rows_after(last) if row["dropped_by"]]
    assert len(dropped) == 4 and set(dropped) <= {"cannot be decoded", "no such file"}
