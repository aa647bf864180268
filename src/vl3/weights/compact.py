"""Writing a fine-tuned model small: what training changed, and a reference to the package with its language model."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from vl3.config import encode
from vl3.errors import UserError
from vl3.weights.adapter import ADAPTER_CONFIG, Adapter, is_adapter, load_adapter, merged
from vl3.weights.files import locate, write_tensors
from vl3.weights.gguf_language import GgufLanguage
from vl3.weights.load import Checkpoint, load_checkpoint
from vl3.weights.names import published_name
from vl3.weights.package import PREFIX, PackageFile, reference, resolve
from vl3.weights.quantised import quantise_all
from vl3.weights.read_config import read_config_file
from vl3.weights.save import new_folder, write_files
from vl3.weights.storage import (
    LOW_A,
    LOW_B,
    ROWS,
    Completed,
    Quantization,
    Storage,
    open_language,
    open_stored,
    read_storage,
)
from vl3.weights.tokenizer import with_special_tokens
from vl3.weights.write_config import config_files

LowRank = dict[str, tuple[Tensor, Tensor]]
"""{layer: (A [R, I], B [O, R])} in float32; B A is added to the layer's weight."""

_MOST_ROWS = 0.25  # of a matrix; one of which more has changed is stored whole


def compact(
    source: str | Path, destination: str | Path, language: str, *, int8: bool = False, overwrite: bool = False
) -> Checkpoint:
    """Writes a training run's adapter (or a whole checkpoint) in its small form, and loads the result.

    source: an adapter's folder or the run's output; its base may be an adapter again, and so on down to a checkpoint.
    language: `package:NAME`, where the language model that training began with comes from. int8 stores matrices in 8
    bits. The low-rank changes of all stages are put side by side, which is exact.
    """
    if not language.startswith(PREFIX):
        raise UserError(f"{language}: the language model must come from an installed package: {PREFIX}NAME")
    origin = reference(language.removeprefix(PREFIX))
    root, stages = _chain(locate(source))
    start, low_rank = _start(root)
    weights = start.model.state_dict()
    for stage in stages:
        weights, low_rank = _after(weights, low_rank, stage)
    start.model.load_state_dict(weights, strict=True, assign=True)
    processor = stages[-1].processor if stages else start.processor
    save_compact(replace(start, processor=processor), low_rank, origin, destination, int8=int8, overwrite=overwrite)
    return load_checkpoint(destination)


def save_compact(
    checkpoint: Checkpoint,
    low_rank: Mapping[str, tuple[Tensor, Tensor]],
    origin: PackageFile,
    destination: str | Path,
    *,
    int8: bool = False,
    overwrite: bool = False,
) -> None:
    """Writes the vision encoder and projector of a checkpoint and what its language model does not share with `origin`.

    low_rank: {layer of the language model: (A, B)}, changes that are not part of the checkpoint's own weights.
    Language weights that differ from `origin`, beyond rounding to the checkpoint's type, are stored too: their rows, or
    whole when many rows differ.
    """
    language = GgufLanguage(resolve(origin))
    tensors = {name: tensor.detach().cpu() for name, tensor in checkpoint.model.state_dict().items()}
    dtype = str(tensors["language.embed_tokens.weight"].dtype).removeprefix("torch.")
    stored = {name: tensor for name, tensor in tensors.items() if not name.startswith("language.")}
    rows: dict[str, tuple[int, ...]] = {}
    for name, tensor in tensors.items():
        if not name.startswith("language."):
            continue
        if (changed := _changed_rows(tensor, language, name)) is None:
            stored[name] = tensor
        elif changed:
            rows[name] = changed
            stored[name + ROWS] = tensor[list(changed)]
    for layer, (a_RI, b_OR) in low_rank.items():
        if (weight := stored.pop(f"{layer}.weight", None)) is not None:
            stored[f"{layer}.weight"] = (weight.float() + b_OR @ a_RI).to(weight.dtype)
        else:
            stored[layer + LOW_A], stored[layer + LOW_B] = a_RI, b_OR
    added = _added_tokens(checkpoint.tokenizer, language)
    storage = Storage(
        dtype=dtype,  # type: ignore[arg-type]  # one of the three that checkpoints have
        language_from=origin,
        rows=rows,
        special_tokens=added or (),
        quantization=Quantization(method="int8") if int8 else None,
    )
    config, processor, tokenizer = checkpoint.config, checkpoint.processor, checkpoint.tokenizer
    files = config_files(config, processor, tokenizer, checkpoint.eos_token_ids, "vl3", dtype)
    assert isinstance(files["config.json"], dict)
    files["config.json"] |= {key: value for key, value in encode(storage).items() if value}
    with new_folder(Path(destination), overwrite) as folder:
        final = quantise_all(stored) if int8 else stored
        write_tensors(final, folder / "model.safetensors")
        write_files(files, folder)
        if added is None:
            tokenizer.save(str(folder / "tokenizer.json"))


def _changed_rows(tensor: Tensor, language: GgufLanguage, name: str) -> tuple[int, ...] | None:
    """Rows in which a weight is not the package's, new ones included; None when it must be stored whole."""
    published = published_name(name, "gguf")
    if published is None or published not in language:
        return None
    base = language.get(published, tensor.dtype)
    if base.shape[1:] != tensor.shape[1:] or base.shape[0] > tensor.shape[0]:
        return None
    differs = (tensor[: base.shape[0]] != base).flatten(1).any(dim=1) if base.ndim > 1 else tensor != base
    changed = (*differs.nonzero().flatten().tolist(), *range(base.shape[0], tensor.shape[0]))
    return changed if len(changed) <= _MOST_ROWS * tensor.shape[0] else None


def _added_tokens(tokenizer: Tokenizer, language: GgufLanguage) -> tuple[str, ...] | None:
    """What the package's tokenizer lacks of a tokenizer; None when they differ in more than added tokens."""
    own = language.tokenizer()
    size = own.get_vocab_size(with_added_tokens=True)
    tokens = tokenizer.get_added_tokens_decoder()
    added = tuple(tokens[token].content for token in sorted(tokens) if token >= size)
    rebuilt = with_special_tokens(own, list(added))
    return added if Tokenizer.from_str(tokenizer.to_str()).to_str() == rebuilt.to_str() else None


# ------------------------------------------------------------------------------------------- adapters upon adapters


def _chain(folder: Path) -> tuple[Path, list[Adapter]]:
    """The checkpoint at the bottom, and the adapters upon it, the oldest first."""
    stages: list[Adapter] = []
    seen = set()
    while (folder / ADAPTER_CONFIG).is_file():
        if folder in seen:
            raise UserError(f"{folder}: this adapter is its own base")
        seen.add(folder)
        stages.insert(0, load_adapter(folder))
        folder = locate(stages[0].base)
    return folder, stages


def _start(root: Path) -> tuple[Checkpoint, LowRank]:
    """The checkpoint at the bottom; low-rank changes of one that is stored small are kept apart from its weights."""
    checkpoint = load_checkpoint(root)
    storage = read_storage(read_config_file(root), root)
    language = open_language(storage)
    if language is None:
        return checkpoint, {}
    weights = checkpoint.model.state_dict()
    with open_stored(root, storage, language, weights, "cpu") as tensors:
        assert isinstance(tensors, Completed)
        low_rank = {layer: tensors.matrices(layer) for layer in tensors.low_rank}
        for layer in low_rank:
            name = f"{layer}.weight"
            weights[name] = tensors.untrained(name).to(weights[name].dtype)
    checkpoint.model.load_state_dict(weights, strict=True, assign=True)
    return checkpoint, low_rank


def _after(weights: dict[str, Tensor], low_rank: LowRank, stage: Adapter) -> tuple[dict[str, Tensor], LowRank]:
    """Weights and low-rank changes after one more stage: changes of the language model stay apart."""
    unknown = [name for name in stage.trained if not is_adapter(name) and name not in weights]
    if unknown:
        raise UserError(f"an adapter does not fit its base {stage.base}, which has no {', '.join(unknown[:10])}")
    apart = {name: tensor for name, tensor in stage.trained.items() if is_adapter(name) and _is_language(name)}
    weights = merged(weights, {k: v for k, v in stage.trained.items() if k not in apart}, stage.scales)
    replaced = {name.removesuffix(".weight") for name in stage.trained if not is_adapter(name)}
    low_rank = {layer: pair for layer, pair in low_rank.items() if layer not in replaced}
    for name, tensor in apart.items():
        layer, kind, rest = name.partition(".lora_A.")
        if not kind:
            continue
        a_RI, b_OR = tensor.float(), apart[f"{layer}.lora_B.{rest}"].float() * stage.scales["language"]
        if layer in low_rank:
            a_RI, b_OR = torch.cat([low_rank[layer][0], a_RI]), torch.cat([low_rank[layer][1], b_OR], dim=1)
        low_rank[layer] = a_RI, b_OR
    return weights, low_rank


def _is_language(name: str) -> bool:
    return name.startswith("language.")
