"""Saving a checkpoint in any layout, whole or not at all, and converting between layouts."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from torch import Tensor

from vl3.errors import UserError
from vl3.weights.files import INDEX, open_tensors, write_tensors
from vl3.weights.load import Checkpoint, load_checkpoint
from vl3.weights.names import Layout, published_name
from vl3.weights.tokenizer import token_id, with_special_tokens
from vl3.weights.vocabulary import grown, padded_size
from vl3.weights.write_config import PLACEHOLDERS, Json, config_files

UNTRAINED = "UNTRAINED"
"""A file of this name in a checkpoint's folder says that its weights are random."""


def save_checkpoint(
    checkpoint: Checkpoint, path: str | Path, layout: Layout, *, max_shard_bytes: int = 5 << 30, overwrite: bool = False
) -> None:
    """Writes a checkpoint folder: tensors, configs, tokenizer and chat template, as `layout`'s own loaders want them.

    The folder appears once it is complete. UserError when it exists and is not empty, unless `overwrite`.
    """
    config, tokenizer = checkpoint.config, checkpoint.tokenizer
    if checkpoint.quantize is not None:
        raise UserError("a model that was loaded with --quantize cannot be saved: load it without")
    if layout != "vl3" and config.vision.stem is not None:
        raise UserError(
            f"a model with a convolutional stem, such as nano, cannot be written in the {layout} layout, which has no "
            "place for the stem; use --layout vl3"
        )
    tensors = {name: tensor.detach() for name, tensor in checkpoint.model.state_dict().items()}
    if layout != "vl3":
        tokenizer = with_special_tokens(tokenizer, list(PLACEHOLDERS[layout]))
        image, video = (token_id(tokenizer, token) for token in PLACEHOLDERS[layout])
        rows = padded_size(config.language.vocab_size, tokenizer)
        tensors = grown(tensors, rows)
        language = replace(config.language, vocab_size=rows)
        config = replace(config, language=language, image_token_id=image, video_token_id=video)
    dtype = str(tensors["language.embed_tokens.weight"].dtype).removeprefix("torch.")
    files = config_files(config, checkpoint.processor, tokenizer, checkpoint.eos_token_ids, layout, dtype)
    with new_folder(Path(path), overwrite) as folder:
        _write_tensors(tensors, folder, layout, max_shard_bytes)
        write_files(files, folder)
        tokenizer.save(str(folder / "tokenizer.json"))


@contextmanager
def new_folder(target: Path, overwrite: bool) -> Iterator[Path]:
    """A folder to write to, which becomes `target` once all is written. UserError when that must not be replaced."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())) and not overwrite:
        raise UserError(f"{target}: exists already; choose another place, or overwrite it (--overwrite)")
    if overwrite and not _may_be_replaced(target):
        raise UserError(f"{target}: is not overwritten, for it is no checkpoint (no config.json); choose another place")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise UserError(f"{target}: cannot be written: {error.strerror}") from error
    try:
        staging.chmod(0o755)
        yield staging
        _put_in_place(staging, target)
    except OSError as error:
        raise UserError(f"{target}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def write_files(files: Mapping[str, Json | str], folder: Path) -> None:
    """Writes texts and JSON objects by their file names."""
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (folder / name).write_text(text, encoding="utf-8")


def convert(source: str | Path, destination: str | Path, layout: Layout, *, overwrite: bool = False) -> Checkpoint:
    """Rewrites a checkpoint in another layout, keeping the stored dtype, and checks every tensor of the result."""
    checkpoint = load_checkpoint(source)
    save_checkpoint(checkpoint, destination, layout, overwrite=overwrite)
    check_saved(checkpoint, Path(destination), layout)
    if (checkpoint.path / UNTRAINED).exists():
        shutil.copy(checkpoint.path / UNTRAINED, Path(destination) / UNTRAINED)
    return checkpoint


def check_saved(checkpoint: Checkpoint, folder: Path, layout: Layout) -> None:
    """Loads a saved folder the strict way and compares it with the model in memory, bit by bit.

    Raises RuntimeError naming the first tensor that differs: that is our fault, not the user's.
    """
    saved = load_checkpoint(folder)
    for name, tensor in checkpoint.model.state_dict().items():
        found = saved.model.state_dict()[name][: tensor.shape[0]]  # an export may have added rows of vocabulary
        if not torch.equal(found, tensor.to(found.device)):
            raise RuntimeError(f"{folder}: {name} was not saved as it is ({layout} layout)")


def _write_tensors(tensors: dict[str, Tensor], folder: Path, layout: Layout, max_shard_bytes: int) -> None:
    published = {published_name(name, layout) or name: tensor for name, tensor in tensors.items()}
    plan = split_torch_state_dict_into_shards(published, max_shard_size=max_shard_bytes)
    for file, names in plan.filename_to_tensors.items():
        write_tensors({name: published[name] for name in names}, folder / file)
    if plan.is_sharded:
        index = {"metadata": plan.metadata, "weight_map": plan.tensor_to_filename}
        (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    with open_tensors(folder) as written:
        assert set(written) == set(published), "a shard was not written"


def _may_be_replaced(target: Path) -> bool:
    """A checkpoint, an empty folder or nothing; never a folder of something else, or a file."""
    return not target.exists() or (target.is_dir() and ((target / "config.json").exists() or not any(target.iterdir())))


def _put_in_place(staging: Path, target: Path) -> None:
    """Renames the finished folder to its place; an old one is moved aside first and deleted last."""
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
    if target.exists():
        target.rename(old / "replaced")
    staging.rename(target)
    shutil.rmtree(old, ignore_errors=True)
