"""Loading a checkpoint: strict about every tensor, and no more memory than the model takes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from vl3.config import ModelConfig, ProcessorConfig
from vl3.errors import UserError
from vl3.model import VideoLLaMA3
from vl3.weights.adapter import ADAPTER_CONFIG, is_adapter, load_adapter, merged
from vl3.weights.files import Tensors, locate
from vl3.weights.names import Layout, name_table, variant_of
from vl3.weights.packing import Quantize, check_quantize, fill_packed
from vl3.weights.read_config import eos_token_ids, layout_of, model_config, processor_config, read_config_file
from vl3.weights.storage import TYPES, open_language, open_stored, read_storage, tokenizer_of


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A model with all that belongs to it."""

    model: VideoLLaMA3
    config: ModelConfig
    processor: ProcessorConfig
    """Its resize rule, normalisation, pruning and frame sampling."""
    tokenizer: Tokenizer
    layout: Layout
    """The layout it was read from."""
    path: Path
    """The folder it was read from."""
    eos_token_ids: tuple[int, ...]
    """Tokens that end an answer."""
    quantize: Quantize | None = None
    """How its matrices are packed; None for a plain model, the only one that can be trained or saved."""


def load_checkpoint(
    id_or_path: str | Path,
    *,
    dtype: torch.dtype | None = None,
    device: str = "cpu",
    revision: str | None = None,
    quantize: Quantize | None = None,
) -> Checkpoint:
    """Loads a folder or hub id in any layout. dtype None keeps the stored type. An adapter is added to its base.

    quantize packs the matrices of decoder and encoder (`packing.py`), each as it is read.

    Every tensor of the model must be there, in the right shape, and none besides: UserError lists what is not so.
    """
    check_quantize(quantize, device)
    folder = locate(id_or_path, revision)
    if (folder / ADAPTER_CONFIG).is_file():
        return _with_adapter(folder, dtype, device, quantize)
    data = read_config_file(folder)
    layout, config = layout_of(data, folder), model_config(data, folder)
    storage = read_storage(data, folder)
    language = open_language(storage)
    tokenizer = tokenizer_of(folder, storage, language)
    _check_placeholders(config, folder)
    processor = processor_config(data, folder)
    if processor.patch_size != config.vision.patch_size:
        raise UserError(
            f"{folder}: patches of {processor.patch_size} pixels for a vision encoder that takes "
            f"{config.vision.patch_size}; its configuration files do not fit together"
        )
    with torch.device("meta"):
        model = VideoLLaMA3(config)
    if dtype is None and storage.dtype is not None:
        dtype = TYPES[storage.dtype]
    with open_stored(folder, storage, language, model.state_dict(), device) as tensors:
        published = fitting_names(model, tensors, variant_of(layout, tensors), str(folder))
        if quantize is None:
            fill(model, {ours: tensors.get(name, dtype) for ours, name in published.items()})
        else:
            fill_packed(model, lambda ours: tensors.get(published[ours], dtype), quantize)
    return Checkpoint(
        model=model.eval(),
        config=config,
        processor=processor,
        tokenizer=tokenizer,
        layout=layout,
        path=folder,
        eos_token_ids=eos_token_ids(data, folder, tokenizer),
        quantize=quantize,
    )


def load_processor(
    id_or_path: str | Path, revision: str | None = None
) -> tuple[ProcessorConfig, Tokenizer, ModelConfig]:
    """All of a checkpoint but its tensors, which are not read (though a hub id is downloaded whole)."""
    folder = locate(id_or_path, revision)
    if (folder / ADAPTER_CONFIG).is_file():
        adapter = load_adapter(folder)
        return adapter.processor, *load_processor(adapter.base)[1:]
    data = read_config_file(folder)
    storage = read_storage(data, folder)
    tokenizer = tokenizer_of(folder, storage, open_language(storage))
    return processor_config(data, folder), tokenizer, model_config(data, folder)


def load_settings(id_or_path: str | Path) -> ProcessorConfig:
    """How a checkpoint wants its pictures, without reading its tokenizer or needing its language model."""
    folder = locate(id_or_path)
    if (folder / ADAPTER_CONFIG).is_file():
        return load_adapter(folder).processor
    return processor_config(read_config_file(folder), folder)


def _with_adapter(folder: Path, dtype: torch.dtype | None, device: str, quantize: Quantize | None) -> Checkpoint:
    adapter = load_adapter(folder)
    base = load_checkpoint(adapter.base, dtype=dtype, device=device)
    weights = base.model.state_dict()
    unknown = [name for name in adapter.trained if not is_adapter(name) and name not in weights]
    if unknown:
        raise UserError(f"{folder}: does not fit its base {adapter.base}, which has no {_some(unknown)}")
    weights = merged(weights, adapter.trained, adapter.scales)
    if quantize is None:
        fill(base.model, weights)
    else:
        base.model.to("meta")
        fill_packed(base.model, weights.pop, quantize)
    return replace(base, processor=adapter.processor, path=folder, quantize=quantize)


def read_tensors(
    module: torch.nn.Module, tensors: Tensors, layout: str, dtype: torch.dtype | None, where: str, prefix: str = ""
) -> dict[str, Tensor]:
    """{our name: tensor} for all of a module; the arguments are those of `fitting_names`."""
    published = fitting_names(module, tensors, layout, where, prefix)
    return {ours: tensors.get(name, dtype) for ours, name in published.items()}


def fitting_names(
    module: torch.nn.Module, tensors: Tensors, layout: str, where: str, prefix: str = ""
) -> dict[str, str]:
    """{our name: name in the file} for all of a module, checked against the file's headers; UserError names faults.

    prefix: what stands before the module's own names in the table (for a part of the model).
    """
    shapes = {prefix + name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    table = name_table(shapes, layout)
    # buffers that old code saved, and a head that repeats the embedding it is tied to
    extra = [name for name in tensors if name not in table and not name.endswith(".inv_freq")]
    if tied := [name for name in extra if name == "lm_head.weight"]:
        _check_tied(tensors, tied[0], table, where)
        extra.remove(tied[0])
    check_tensors({published: shapes[ours] for published, ours in table.items()}, tensors, extra, where)
    return {ours.removeprefix(prefix): published for published, ours in table.items()}


def check_tensors(
    expected: Mapping[str, tuple[int, ...]], tensors: Tensors, unexpected: Iterable[str], where: str
) -> None:
    """One UserError for all that is missing, unexpected or of another shape."""
    missing = [name for name in expected if name not in tensors]
    shapes = [(name, shape, tensors.shape(name)) for name, shape in expected.items() if name in tensors]
    wrong = [f"{name} is {list(has)}, should be {list(wants)}" for name, wants, has in shapes if has != wants]
    found = {"missing": missing, "unexpected": sorted(unexpected), "of the wrong shape": wrong}
    faults = [f"{len(names)} tensors {what}: {_some(names)}" for what, names in found.items() if names]
    if faults:
        raise UserError(f"{where}: weights do not fit config.json: {'; '.join(faults)}")


def fill(module: torch.nn.Module, tensors: dict[str, Tensor]) -> None:
    """Puts the tensors in place of a module's (meta) parameters, without copying them."""
    module.load_state_dict(tensors, strict=True, assign=True)


def _check_tied(tensors: Tensors, head: str, table: dict[str, str], where: str) -> None:
    embedding = next(name for name, ours in table.items() if ours == "language.embed_tokens.weight")
    if not torch.equal(tensors.get(head, None), tensors.get(embedding, None)):
        raise UserError(f"{where}: {head} differs from {embedding}, although config.json says that they are tied")


def _check_placeholders(config: ModelConfig, folder: Path) -> None:
    for name, token in (("image", config.image_token_id), ("video", config.video_token_id)):
        if not 0 <= token < config.language.vocab_size:
            raise UserError(
                f"{folder / 'config.json'}: the {name} placeholder {token} lies outside the vocabulary of "
                f"{config.language.vocab_size} rows"
            )


def _some(names: list[str], most: int = 10) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
