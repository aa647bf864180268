"""The model of the paper's figure 1: vision encoder, projector, differential frame pruning and decoder. torch only."""

from vl3.model.cache import KVCache
from vl3.model.videollama3 import VideoLLaMA3
from vl3.model.visual import Visual

__all__ = ["KVCache", "VideoLLaMA3", "Visual"]
