"""Frames and messages -> what the model takes: resize, patches, pruning, token ids."""

from vl3.model.patches import patchify, unpatchify
from vl3.processing.load import load_visuals, probe_media, times_of
from vl3.processing.processor import IGNORE, Inputs, Processor, make_visual, media_sizes
from vl3.processing.prune import keep_mask
from vl3.processing.resize import target_sizes

__all__ = [
    "IGNORE",
    "Inputs",
    "Processor",
    "keep_mask",
    "load_visuals",
    "make_visual",
    "media_sizes",
    "patchify",
    "probe_media",
    "target_sizes",
    "times_of",
    "unpatchify",
]
