"""nano's recipes and its build: stages that chain, and data that is a function of set, split and number."""

import itertools
import json
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recipes.nano.data import build
from recipes.nano.data.sample import Question, Region, Sample, Split
from recipes.nano.data.text import KEPT, prompts
from vl3.train.config import read_recipe

STAGES = sorted((Path(__file__).parents[3] / "recipes" / "nano").glob("stage*.yaml"))


def test_every_stage_starts_from_the_one_before() -> None:
    configs = [read_recipe(path) for path in STAGES]
    assert len(configs) == 5
    for before, after in itertools.pairwise(configs):
        assert after.init_from == before.output
    assert all(config.vision.frozen == ("stem.trunk",) for config in configs)
    align, adapt, *later = configs
    assert align.align is not None and not align.align.answers and align.language.lr == adapt.language.lr == 0
    assert all(c.language.lora is not None and not c.save.merge_lora for c in later), (
        "low-rank, so that nano stays small"
    )
    assert [c.processor.prune.mode for c in configs] == ["off", "off", "off", "published", "published"]


@pytest.mark.parametrize("path", STAGES, ids=lambda path: path.stem)
def test_every_source_is_one_that_is_made(path: Path) -> None:
    config = read_recipe(path)
    assert config.held_out is not None
    made = [{name for name, counts in build.SETS.items() if counts[split]} for split in (0, 1)]
    trained = {Path(source.path).stem for source in config.data.sources}
    assert trained <= made[0] | {"image_captions", "text"}
    assert {Path(source.path).stem for source in config.held_out.data.sources} <= made[1]
    assert all("/held_out/" in source.path for source in config.held_out.data.sources)
    assert all("/train/" in source.path for source in config.data.sources)


def test_replay_has_none_of_the_questions_that_are_kept_for_comparison() -> None:
    assert len(set(prompts())) == len(prompts()) and not set(prompts()) & set(KEPT) and len(KEPT) == 20


def render(rng: random.Random, split: Split) -> Sample:
    picture = Image.fromarray(np.full((32, 32, 3), rng.randrange(256), dtype=np.uint8))
    questions = [Question("name", f"What is this {split}?", "a dog"), Question("caption", "Describe it.", "A dog.")]
    return Sample(questions[: rng.randint(1, 2)], [picture], regions=[Region((0, 0, 500, 500), "dog")])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(build, "SETS", {"things": (40, 5), "held": (0, 5)})
    monkeypatch.setattr(build, "renderers", lambda _: {"things": render, "held": render})
    return tmp_path


def test_the_same_command_gives_the_same_data(folder: Path) -> None:
    one = build.build_set(folder / "a", "things", "train", 40, workers=2).read_text()
    two = build.build_set(folder / "b", "things", "train", 40, workers=1).read_text()
    assert one == two and len(one.splitlines()) == 40
    pictures = [(folder / x / "train/media/things/000007.jpg").read_bytes() for x in "ab"]
    assert pictures[0] == pictures[1]
    assert build.build_set(folder / "a", "things", "train", 3, workers=1).read_text() == one, "a finished set stays"


def test_texts_and_captions_are_taken_from_training_alone(folder: Path) -> None:
    build.build_set(folder, "things", "train", 40, workers=1)
    for name in ("things", "held"):
        build.build_set(folder, name, "held_out", 5, workers=1)
    build.write_texts(folder)
    build.write_captions(folder)
    assert (folder / "texts.txt").read_text() == "dog\n"
    lines = [json.loads(line) for line in (folder / "train/image_captions.jsonl").read_text().splitlines()]
    assert 0 < len(lines) < 40
    for line in lines:
        assert [turn["value"] for turn in line["conversations"]] == ["<image>\nDescribe it.", "A dog."]
