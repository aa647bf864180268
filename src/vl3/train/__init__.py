"""Training: recipes in, checkpoints and finished weights out."""

from vl3.train.config import TrainConfig, read_recipe
from vl3.train.trainer import Evaluate, train

__all__ = ["Evaluate", "TrainConfig", "read_recipe", "train"]
