"""Answers about clips are worked out again from the pixels of the frames that a model sees, one a second."""

import json
import random
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from recipes.nano.data.clip_words import TOPICS
from recipes.nano.data.clips import RENDERERS
from recipes.nano.data.motion import COLOURS
from recipes.nano.data.pool import Picture, Pool
from recipes.nano.data.sample import KINDS, Sample, Split, Writer
from vl3.config import PruneConfig, SamplingConfig
from vl3.data.schema import parse
from vl3.media import FetchLimits, probe, read
from vl3.model.patches import patchify
from vl3.processing.prune import keep_mask

DISTINCT = [name for name in COLOURS if name not in ("white", "black")]
"""Colours that neither a ground nor an outline has."""
UNLIT = "orange|purple|pink"
"""Colours that neither a light nor anything else takes on."""
SHAPE = rf"the ({'|'.join(DISTINCT)}) (?:circle|square|triangle|diamond|star|cross)"


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    """Grey pictures, so that every coloured pixel is a shape's; grounds are plain."""
    folder = tmp_path_factory.mktemp("pool")
    pictures = []
    for place, name in enumerate(("dog", "house", "apple", "key", "cloud", "moon", "bus", "bell")):
        image = Image.new("RGBA", (60, 40 + 4 * place))
        ImageDraw.Draw(image).ellipse((0, 0, 59, 39), fill=(100, 100, 100, 255))
        image.save(folder / f"{name}.png")
        pictures.append(Picture(folder / f"{name}.png", name, "drawing", True, "drawn here", "none", "train"))
    return Pool(pictures, [])


UNLIT_SHAPE = SHAPE.replace("|".join(DISTINCT), UNLIT)


def render(name: str, seed: int, pool: Pool, split: Split = "train") -> Sample:
    return RENDERERS[name](random.Random(f"{name} {seed}"), pool, split)


def seen(sample: Sample) -> np.ndarray:
    """The frames at whole seconds."""
    assert sample.clip is not None
    return sample.clip.frames[:: sample.clip.fps].astype(int)


def mask(frames: np.ndarray, colour: str) -> np.ndarray:
    """bool [t, h, w]: where the colour is."""
    return (np.abs(frames - np.array(COLOURS[colour])) < 26).all(axis=-1)


def centres(sample: Sample, colour: str) -> list[tuple[float, float] | None]:
    """(x, y) of the colour's middle each second; None where hardly any of it is seen."""
    result: list[tuple[float, float] | None] = []
    for frame in mask(seen(sample), colour):
        y, x = np.nonzero(frame)
        result.append((x.mean(), y.mean()) if len(x) > 100 else None)
    return result


def test_things_move_as_told(pool: Pool) -> None:
    told: Counter[str] = Counter()
    for seed in range(80):
        sample = render("motions", seed, pool)
        for question in sample.questions:
            found = re.search(SHAPE, question.text, re.IGNORECASE)
            if question.kind != "motion" or not found or re.search("first|last|begin|start|back|end", question.text):
                continue
            places = [place for place in centres(sample, found[1].lower()) if place is not None]
            dx, dy = places[-1][0] - places[0][0], places[-1][1] - places[0][1]
            across = abs(dx) > abs(dy)
            way = ("to the left" if dx < 0 else "to the right") if across else ("up" if dy < 0 else "down")
            assert (way, max(abs(dx), abs(dy)) > 16) == (question.answer, True), (seed, question, places)
            told[way] += 1
    assert len(told) == 4 and sum(told.values()) > 20


def test_spans_are_what_the_frames_show(pool: Pool) -> None:
    checked = 0
    for seed in range(120):
        sample = render("events", seed, pool)
        for question in sample.questions:
            found = re.search(UNLIT_SHAPE, question.text, re.IGNORECASE)
            times = re.fullmatch(r"from (\d+)\.0 to (\d+)\.0 seconds", question.answer)
            if found and times:
                shown = [s for s, place in enumerate(centres(sample, found[1].lower())) if place is not None]
                assert shown == list(range(int(times[1]), int(times[2]))), (seed, question)
                checked += 1
    assert checked > 3


def test_new_patterns_of_motion_are_held_out(pool: Pool) -> None:
    def slanted(split: Split) -> int:
        """Clips in which a colour moves along both axes from one seen frame to the next."""
        count = 0
        for seed in range(50):
            sample = render("motions", seed, pool, split)
            for colour in DISTINCT:
                places = centres(sample, colour)
                steps = [(a, b) for a, b in pairwise(places) if a is not None and b is not None]
                count += any(abs(a[0] - b[0]) > 9 and abs(a[1] - b[1]) > 9 for a, b in steps)
        return count

    assert slanted("train") == 0
    assert slanted("held_out") > 2


def test_held_out_wordings_are_never_in_training(pool: Pool) -> None:
    def matching(split: Split) -> float:
        patterns = [
            re.compile(re.sub(r"\\\{\w+\\\}", ".+", re.escape(text)))
            for topic in TOPICS.values()
            for text in topic.held_out
        ]
        texts = [q.text for name in RENDERERS for seed in range(25) for q in render(name, seed, pool, split).questions]
        return sum(any(pattern.fullmatch(text) for pattern in patterns) for text in texts) / len(texts)

    assert matching("train") == 0
    assert 0.4 < matching("held_out") < 0.6


def test_every_kind_has_enough_wordings() -> None:
    for kind in {topic.kind for topic in TOPICS.values()}:
        topics = [topic for topic in TOPICS.values() if topic.kind == kind]
        assert kind in KINDS
        assert len({text for topic in topics for text in topic.train}) >= 6, kind
        assert len({text for topic in topics for text in topic.held_out}) >= 3, kind


@pytest.mark.parametrize("name", sorted(RENDERERS))
def test_the_seed_determines_the_sample(pool: Pool, name: str) -> None:
    a, b, c = render(name, 1, pool), render(name, 1, pool), render(name, 2, pool)
    assert a.clip is not None and b.clip is not None
    assert (a.questions, a.stream) == (b.questions, b.stream) != (c.questions, c.stream)
    assert np.array_equal(a.clip.frames, b.clip.frames)


def test_answers_are_balanced(pool: Pool) -> None:
    answers: dict[str, Counter[str]] = {}
    for name in ("motions", "events", "recordings"):
        for seed in range(120):
            for question in render(name, seed, pool).questions:
                answers.setdefault(question.kind, Counter())[question.answer] += 1
    yes, no = answers["yes_no"]["yes"], answers["yes_no"]["no"]
    assert set(answers["yes_no"]) == {"yes", "no"} and 0.42 < yes / (yes + no) < 0.58
    ways = answers["motion"]
    assert set(ways) == {"to the left", "to the right", "up", "down"}
    assert max(ways.values()) < 2 * min(ways.values())


def test_a_written_clip_shows_the_same_at_whole_seconds(pool: Pool, tmp_path: Path) -> None:
    for index, name in enumerate(("motions", "events", "recordings")):
        sample = render(name, 3, pool)
        Writer(tmp_path, name).line(index, sample)
        info = probe(tmp_path / f"media/{name}/{index:06d}.mp4", SamplingConfig(fps=1), FetchLimits())
        source = seen(sample)
        assert info.times_s == tuple(range(len(source)))
        assert np.abs(read(info).astype(int) - source).mean() < 6


def test_what_stands_still_is_pruned_after_decoding(pool: Pool, tmp_path: Path) -> None:
    kept, total = 0, 0
    for seed in range(8):
        sample = render("recordings", seed, pool)
        Writer(tmp_path, "recordings").line(seed, sample)
        frames = read(probe(tmp_path / f"media/recordings/{seed:06d}.mp4", SamplingConfig(fps=1), FetchLimits()))
        still, _ = patchify(torch.from_numpy(seen(sample).astype(np.uint8)), 16, 2)
        rows, _ = patchify(torch.from_numpy(frames), 16, 2)
        shape = (len(frames), -1, 4 * rows.shape[1])
        unchanged = (still.view(shape)[1:] == still.view(shape)[:-1]).all(-1)
        keep = keep_mask(rows, len(frames), 4, (0.5, 0.5, 0.5), PruneConfig(mode="grey", value=2))[1:]
        keep[:, 0] = False  # a frame that would keep nothing keeps this one
        kept += int((keep & unchanged).sum())
        total += int(unchanged.sum())
    assert total > 500 and kept / total < 0.01


def test_a_stream_is_told_right_after_the_frame_that_shows_it(pool: Pool, tmp_path: Path) -> None:
    checked = 0
    for seed in range(60):
        sample = render("streams", seed, pool)
        for time_s, role, content in sample.stream:
            found = re.fullmatch(rf"{UNLIT_SHAPE} appears now\.", content, re.IGNORECASE)
            if role == "assistant" and found:
                shown = [second for second, place in enumerate(centres(sample, found[1].lower())) if place is not None]
                assert shown[0] + 1 == time_s
                checked += 1
        if seed < 5:
            line = json.loads(Writer(tmp_path, "streams").line(seed, sample))
            assert parse(line, "here", tmp_path).kind == "stream"
    assert checked > 3
