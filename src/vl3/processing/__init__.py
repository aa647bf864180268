"""Frames and messages -> what the model takes: resize, patches, pruning, token ids."""

from vl3.processing.patches import patchify, unpatchify
from vl3.processing.processor import Inputs, Processor
from vl3.processing.prune import keep_mask
from vl3.processing.resize import target_sizes

__all__ = ["Inputs", "Processor", "keep_mask", "patchify", "target_sizes", "unpatchify"]
