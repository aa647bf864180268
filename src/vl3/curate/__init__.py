"""Data curation: from a pile of images and videos to a balanced, re-captioned training set."""

from vl3.curate.config import CurateConfig, read_recipe
from vl3.curate.pipeline import Outcome, curate

__all__ = ["CurateConfig", "Outcome", "curate", "read_recipe"]
