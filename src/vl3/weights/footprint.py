"""What a checkpoint's weights will take in memory, from its configuration and the headers of its files."""

from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from vl3.config import ModelConfig, ProcessorConfig
from vl3.model.projector import Projector
from vl3.model.vision import VisionEncoder
from vl3.weights.adapter import ADAPTER_CONFIG, ADAPTER_WEIGHTS, load_adapter
from vl3.weights.files import TensorFiles, locate, open_tensors, shards
from vl3.weights.load import load_processor
from vl3.weights.package import resolve
from vl3.weights.packing import Quantize, weight_bytes
from vl3.weights.read_config import read_config_file
from vl3.weights.storage import TYPES, Storage, read_storage

_KINDS = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}


BASE = 350 << 20
"""Python, torch and the other packages, where the system does not say."""
LEFT_BEHIND = 0.35
"""What unpacking 8-bit and GGUF matrices leaves in the allocator, in relation to the weights; measured on nano."""


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
    vision_weights: int
    """Those of them that only pictures touch."""
    head_weights: int
    """Those of them that make scores of the vocabulary, which only the choice of a token touches as a whole."""
    base: int
    """Bytes that this process held before: Python, torch and the other packages."""
    loading: int
    """Bytes that are held beside them while they are read: a file stays mapped while what is in it is converted."""


def footprint_of(
    id_or_path: str | Path,
    dtype: torch.dtype | None = None,
    quantize: Quantize | None = None,
    revision: str | None = None,
) -> Footprint:
    """Arguments as for `load_checkpoint`, which this tells the cost of."""
    base = own_bytes()
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
    if storage.language_from is not None or storage.quantization is not None:
        loading += int(LEFT_BEHIND * weights)
    with torch.device("meta"):
        seeing = [VisionEncoder(config.vision), Projector(config.vision.hidden_size, config.language.hidden_size)]
    numbers = sum(tensor.numel() for part in seeing for tensor in part.state_dict().values())
    return Footprint(
        config,
        processor,
        tokenizer,
        dtype=computed,
        weights=weights,
        vision_weights=numbers * computed.itemsize,
        head_weights=config.language.vocab_size * config.language.hidden_size * computed.itemsize,
        base=base,
        loading=loading,
    )


def own_bytes() -> int:
    """What this process holds already: Python, torch and the other packages, before a model is loaded."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        return BASE
    [line] = [line for line in lines if line.startswith("VmRSS")]
    return int(line.split()[1]) * 1024


def _stored_types(files: TensorFiles) -> list[torch.dtype]:
    """Of the tensors that hold numbers as they are."""
    kinds = [files.kind(name) for name in files]
    return [_KINDS[kind] for kind in kinds if kind in _KINDS]


def _main(stored: list[torch.dtype]) -> torch.dtype:
    return max(set(stored), key=stored.count, default=torch.float32)
