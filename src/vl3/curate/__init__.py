"""Data curation: from a pile of images and videos to a balanced, re-captioned training set."""

from vl3.curate.config import CurateConfig, read_recipe
from vl3.curate.pipeline import curate
from vl3.curate.record import Outcome

__all__ = ["CurateConfig", "Outcome", "curate", "read_recipe"]
