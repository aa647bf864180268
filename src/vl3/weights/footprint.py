"""What a checkpoint's weights will take in memory, from its configuration and the headers of its files."""

from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from vl3.config import ModelConfig, ProcessorConfig
from vl3.weights.adapter import ADAPTER_CONFIG, ADAPTER_WEIGHTS, load_adapter
from vl3.weights.files import TensorFiles, locate, open_tensors, shards
from vl3.weights.load import load_processor
from vl3.weights.package import resolve
from vl3.weights.packing import Quantize, weight_bytes
from vl3.weights.read_config import read_config_file
from vl3.weights.storage import TYPES, Storage, read_storage

_KINDS = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}


@dataclass(frozen=True, eq=False)
class Footprint:
    """A checkpoint without its tensors."""

    config: ModelConfig
    processor: ProcessorConfig
    tokenizer: Tokenizer
    dtype: torch.dtype
    """In which the model computes."""
    weights: int
    """Bytes of the loaded weights."""
    loading: int
    """Bytes that are held beside them while they are read: a file stays mapped while what is in it is converted."""


def footprint_of(
    id_or_path: str | Path,
    dtype: torch.dtype | None = None,
    quantize: Quantize | None = None,
    revision: str | None = None,
) -> Footprint:
    """Arguments as for `load_checkpoint`, which this tells the cost of."""
    processor, tokenizer, config = load_processor(id_or_path, revision)
    folder = locate(id_or_path, revision)
    extra = 0
    if (folder / ADAPTER_CONFIG).is_file():  # the base, what training changed, and the sum, side by side
        extra = (folder / ADAPTER_WEIGHTS).stat().st_size
        folder = locate(load_adapter(folder).base)
    storage = read_storage(read_config_file(folder), folder)
    with open_tensors(folder) as files:
        stored = _stored_types(files)
    computed = dtype or (TYPES[storage.dtype] if storage.dtype else _main(stored))
    plain = set(stored) <= {computed} and quantize is None and storage == Storage(dtype=storage.dtype)
    weights = weight_bytes(config, quantize, computed)
    if extra:
        extra += weights
    loading = extra + (0 if plain else sum(file.stat().st_size for file in shards(folder)))
    if storage.language_from is not None:
        loading += resolve(storage.language_from).stat().st_size
    return Footprint(config, processor, tokenizer, computed, weights, loading)


def _stored_types(files: TensorFiles) -> list[torch.dtype]:
    """Of the tensors that hold numbers as they are."""
    kinds = [files.kind(name) for name in files]
    return [_KINDS[kind] for kind in kinds if kind in _KINDS]


def _main(stored: list[torch.dtype]) -> torch.dtype:
    return max(set(stored), key=stored.count, default=torch.float32)
