"""Checkpoints of every published layout, read and written through one table of names."""

from vl3.weights.assemble import NewEncoder, assemble
from vl3.weights.load import Checkpoint, load_checkpoint, load_processor
from vl3.weights.packing import Quantize, weight_bytes
from vl3.weights.save import convert, save_checkpoint

__all__ = [
    "Checkpoint",
    "NewEncoder",
    "Quantize",
    "assemble",
    "convert",
    "load_checkpoint",
    "load_processor",
    "save_checkpoint",
    "weight_bytes",
]
