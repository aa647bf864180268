"""Training data: annotations of several forms, checked, mixed, prepared in worker processes and packed."""

from vl3.data.config import DataConfig, SourceConfig
from vl3.data.loader import Loader
from vl3.data.pack import Pack, pack_samples
from vl3.data.readers import open_source
from vl3.data.schema import Sample

__all__ = ["DataConfig", "Loader", "Pack", "Sample", "SourceConfig", "open_source", "pack_samples"]
