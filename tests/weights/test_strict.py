"""What does not fit is refused in one line that names it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.tiny import tiny_checkpoint, tiny_tokenizer
from vl3.errors import UserError
from vl3.weights import load_checkpoint, save_checkpoint
from vl3.weights.read_config import language_config


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_checkpoint(tiny_checkpoint(), tmp_path / "m", "transformers")
    return tmp_path / "m"


Tensors = dict[str, torch.Tensor]


def without(name: str) -> Callable[[Tensors], None]:
    return lambda tensors: tensors.__delitem__(name)


def replaced(name: str, tensor: torch.Tensor) -> Callable[[Tensors], None]:
    return lambda tensors: tensors.__setitem__(name, tensor)


EMBEDDING = "model.language_model.embed_tokens.weight"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without("model.projector.readout.2.bias"), r"1 tensors missing: model\.projector\.readout\.2\.bias"),
        (without(EMBEDDING), rf"1 tensors missing: {EMBEDDING}"),
        (replaced("model.vision_model.stray", torch.zeros(1)), r"1 tensors unexpected: model\.vision_model\.stray"),
        (replaced("model.projector.readout.0.bias", torch.zeros(3)), r"wrong shape: .* is \[3\], should be \[64\]"),
        (replaced("lm_head.weight", torch.zeros(272, 64)), r"lm_head\.weight differs from .*embed_tokens.*tied"),
    ],
)
def test_every_tensor_must_fit(folder: Path, change: Callable[[Tensors], None], says: str) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(UserError, match=says):
        load_checkpoint(folder)


def test_many_faults_are_counted_in_one_message(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    renamed = {name.replace("vision_model", "vision_encoder"): tensor for name, tensor in tensors.items()}
    save_file(renamed, folder / "model.safetensors")
    with pytest.raises(UserError, match=r"36 tensors missing: .* and 26 more; 36 tensors unexpected: .* and 26 more"):
        load_checkpoint(folder)


def test_a_repeated_tied_head_and_saved_buffers_are_harmless(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"] = tensors[EMBEDDING].clone()
    tensors["model.language_model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.zeros(8)
    save_file(tensors, folder / "model.safetensors")
    assert load_checkpoint(folder).config.language.tie_embeddings


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda f: (f / "model.safetensors").write_bytes(b"junk" * 9),
            r"model\.safetensors: not a readable safetensors",
        ),
        (lambda f: _truncate(f / "model.safetensors"), r"model\.safetensors: not a readable safetensors"),
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "pickled weights are not loaded"),
        (lambda f: (f / "model.safetensors").unlink(), "no safetensors files"),
        (lambda f: (f / "again.safetensors").write_bytes((f / "model.safetensors").read_bytes()), "holds too"),
        (lambda f: (f / "config.json").unlink(), r"config\.json: No such file"),
        (lambda f: (f / "config.json").write_text("{"), r"config\.json: not valid JSON"),
        (lambda f: (f / "config.json").write_text("[]"), "not a JSON object"),
        (lambda f: edit(f / "config.json", model_type="llava"), "model_type 'llava' is not"),
        (lambda f: edit(f / "config.json", image_token_id=999), "placeholder 999 lies outside the vocabulary of 272"),
        (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer: it needs tokenizer.json"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), r"tokenizer\.json: not a readable tokenizer"),
    ],
)
def test_damaged_folders_are_named_with_the_cure(folder: Path, change: Callable[[Path], None], says: str) -> None:
    change(folder)
    with pytest.raises(UserError, match=says):
        load_checkpoint(folder)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5000])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model_type": "mistral"}, "'mistral' is not supported"),
        ({"hidden_act": "gelu"}, "hidden_act = 'gelu' is not supported"),
        ({"use_sliding_window": True}, "use_sliding_window = True"),
        ({"rope_scaling": {"type": "yarn", "factor": 4.0}}, "rope scaling 'yarn'"),
        ({"num_attention_heads": 3, "num_key_value_heads": 2}, "multiple of num_kv_heads"),
        ({"hidden_size": "wide"}, "hidden_size"),
    ],
)
def test_what_the_decoder_does_not_do_is_refused(changes: dict[str, Any], says: str) -> None:
    data = {
        "model_type": "qwen2",
        "hidden_size": 64,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
    }
    with pytest.raises(UserError, match=says):
        language_config({**data, **changes}, "config.json")


def test_rope_of_transformers_4_and_5() -> None:
    four = language_config({"model_type": "qwen2", "rope_theta": 5e5}, "x")
    five = language_config({"model_type": "qwen2", "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}, "x")
    assert four == five and four.rope_theta == 5e5
    stretch = {
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    four = language_config(
        {"model_type": "llama", "rope_scaling": {"rope_type": "llama3", **stretch}, "rope_theta": 5e5}, "x"
    )
    five = language_config(
        {"model_type": "llama", "rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5, **stretch}}, "x"
    )
    assert four == five and four.rope_scaling is not None and four.rope_scaling.factor == 32


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint()
    save_checkpoint(checkpoint, tmp_path / "m", "vl3")
    with pytest.raises(UserError, match=r"exists already.*--overwrite"):
        save_checkpoint(checkpoint, tmp_path / "m", "vl3")
    save_checkpoint(checkpoint, tmp_path / "m", "transformers", overwrite=True)
    assert load_checkpoint(tmp_path / "m").layout == "transformers"
    assert [p.name for p in tmp_path.iterdir()] == ["m"], "no staging folder stays behind"
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        save_checkpoint(checkpoint, tmp_path / "file" / "m", "vl3")


def test_paths_and_hub_ids_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"no such folder; give a checkpoint's folder or a hub id"):
        load_checkpoint("./nowhere")
    with pytest.raises(UserError, match="not in the local cache and the hub cannot be reached"):
        load_checkpoint("owner/nowhere")
    (tmp_path / "f").write_text("")
    with pytest.raises(UserError, match="this is a file"):
        load_checkpoint(tmp_path / "f")


def test_a_hub_id_loads_from_the_hubs_own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder structure that huggingface_hub keeps, read by its own code without network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    commit = "a" * 40
    repository = tmp_path / "models--owner--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots").mkdir()
    save_checkpoint(tiny_checkpoint(), repository / "snapshots" / commit, "transformers", max_shard_bytes=200_000)
    checkpoint = load_checkpoint("owner/tiny")
    assert checkpoint.path.name == commit
    assert checkpoint.tokenizer.to_str() == tiny_tokenizer().to_str()
