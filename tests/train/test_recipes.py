"""Every recipe parses, and says what the paper and the published scripts say."""

import itertools
from pathlib import Path

import pytest

from vl3.config import LanguageConfig, ModelConfig
from vl3.errors import UserError
from vl3.train.config import OptimConfig, read_recipe
from vl3.train.optim import schedule
from vl3.train.plan import predict_for

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("[27]b/*.yaml"))


def test_all_are_there() -> None:
    assert len(RECIPES) == 16


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_recipe(path: Path) -> None:
    config = read_recipe(path)
    rates = tuple(part.lr for part in config.parts.values())
    assert config.optim == OptimConfig(schedule="cosine", warmup_ratio=0.03)
    assert config.processor.max_tokens == 10240 and config.data.pack_tokens == 16384
    if path.stem.startswith("stage"):
        stage = int(path.stem[5])
        assert rates == ((1e-5, 1e-3, 0) if stage == 1 else (2e-6, 1e-5, 1e-5))
        assert config.processor.image_merge_size == (2 if stage == 4 else 1)
        assert (config.processor.prune.mode == "published") == (stage >= 3)
        assert config.data.samples_per_step == 128
    assert predict_for(ModelConfig(), config, 8).memory < predict_for(ModelConfig(), config, 1).memory


def test_overrides_and_mistakes(tmp_path: Path) -> None:
    config = read_recipe(RECIPES[0], ["vision.lr=3e-6", "steps=7"])
    assert config.vision.lr == 3e-6 and config.steps == 7
    with pytest.raises(UserError, match="did you mean"):
        read_recipe(RECIPES[0], ["stepz=7"])
    with pytest.raises(UserError, match="nothing to train"):
        read_recipe(RECIPES[0], ["vision.lr=0", "projector.lr=0", "language.lr=0"])
    with pytest.raises(UserError, match="No such file"):
        read_recipe(tmp_path / "none.yaml")


def test_schedule() -> None:
    shares = [schedule(step, 100, OptimConfig()) for step in range(100)]
    assert shares[:3] == pytest.approx([1 / 3, 2 / 3, 1]) and shares[3] == 1
    assert all(a >= b for a, b in itertools.pairwise(shares[3:])) and shares[-1] < 1e-2
    assert schedule(99, 100, OptimConfig(schedule="constant")) == 1


def test_a_plan_counts_every_weight() -> None:
    config = read_recipe(RECIPES[0].parent / "full.yaml")
    plan = predict_for(ModelConfig(language=LanguageConfig(num_layers=2)), config, 1)
    assert plan.optimizer == 2 * plan.gradients == 2 * plan.weights
