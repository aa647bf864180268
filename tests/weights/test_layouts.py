"""Every published layout loads, saves and converts, bit for bit."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.parity.conftest import published_model
from tests.tiny import tiny_checkpoint, tiny_config, tiny_model, tiny_tokenizer
from vl3.config import ModelConfig
from vl3.errors import UserError
from vl3.model import VideoLLaMA3
from vl3.weights import Checkpoint, convert, load_checkpoint, save_checkpoint
from vl3.weights.names import Layout


def same_weights(a: VideoLLaMA3, b: VideoLLaMA3) -> bool:
    ours, theirs = a.state_dict(), b.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def authors_folder(folder: Path, nested: bool = False, tie: bool = True) -> dict[str, torch.Tensor]:
    """A checkpoint as the authors' code writes it, renamed by hand from what `transformers` has."""
    folder.mkdir()
    oracle = published_model(tie)
    encoder = "model.vision_encoder.vision_encoder." if nested else "model.vision_encoder."
    tensors = {}
    for name, tensor in oracle.state_dict().items():
        name = name.replace("model.vision_model.", encoder).replace("model.projector.", "model.mm_projector.")
        name = name.replace("model.language_model.", "model.")
        if not (tie and name == "lm_head.weight"):
            tensors[name] = tensor.clone()
    save_file(tensors, folder / "model.safetensors")
    config = {
        "model_type": "videollama3_qwen2",
        "vocab_size": 272,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 96,
        "max_position_embeddings": 4096,
        "rope_theta": 1000000.0,
        "tie_word_embeddings": tie,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "eos_token_id": 258,
        "vision_encoder_config": {
            "hidden_size": 48,
            "intermediate_size": 80,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "patch_size": 14,
        },
        "mm_projector_type": "mlp2x_gelu",
        "use_token_compression": False,
        "image_token_index": 261,
    }
    (folder / "config.json").write_text(json.dumps(config))
    pictures = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "min_tokens": 16, "max_tokens": 1000, "patch_size": 14}
    (folder / "preprocessor_config.json").write_text(json.dumps(pictures))
    (folder / "processor_config.json").write_text(json.dumps({"fps": 2, "max_frames": 128, "image_merge_size": 2}))
    tiny_tokenizer().save(str(folder / "tokenizer.json"))
    return tensors


@pytest.mark.parametrize("tie", [True, False])
@pytest.mark.parametrize("nested", [False, True])
def test_authors_checkpoints_load(tmp_path: Path, nested: bool, tie: bool) -> None:
    tensors = authors_folder(tmp_path / "a", nested, tie)
    published_model(tie).save_pretrained(tmp_path / "t")
    tiny_tokenizer().save(str(tmp_path / "t" / "tokenizer.json"))
    checkpoint = load_checkpoint(tmp_path / "a")
    assert same_weights(checkpoint.model, load_checkpoint(tmp_path / "t").model)
    encoder = "model.vision_encoder.vision_encoder." if nested else "model.vision_encoder."
    loaded = checkpoint.model.vision.patch_embedding.weight
    assert torch.equal(loaded, tensors[f"{encoder}embeddings.patch_embedding.weight"])
    config, processor = checkpoint.config, checkpoint.processor
    assert config.image_token_id == config.video_token_id == 261
    assert checkpoint.eos_token_ids == (258,)
    assert (processor.resize, processor.max_tokens, processor.image_merge_size) == ("authors", 1000, 2)
    assert (processor.sampling.fps, processor.sampling.max_frames, processor.prune.mode) == (2, 128, "off")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tie", [True, False])
def test_a_trip_through_all_layouts_changes_no_bit(tmp_path: Path, tie: bool, dtype: torch.dtype) -> None:
    start = checkpoint_of(tiny_config(tie), dtype)
    save_checkpoint(start, tmp_path / "0", "vl3")
    route: list[Layout] = ["transformers", "authors", "transformers", "vl3", "authors", "vl3"]
    for step, layout in enumerate(route):
        convert(tmp_path / str(step), tmp_path / str(step + 1), layout)
        now = load_checkpoint(tmp_path / str(step + 1))
        assert now.layout == layout
        assert same_weights(now.model, start.model)
        assert now.eos_token_ids == start.eos_token_ids
        assert now.config.language == start.config.language
    assert start.model.language.embed_tokens.weight.dtype == dtype


def checkpoint_of(config: ModelConfig, dtype: torch.dtype = torch.float32) -> Checkpoint:
    from dataclasses import replace

    return replace(tiny_checkpoint(), model=tiny_model(config).to(dtype), config=config)


def test_weights_may_be_read_by_whoever_may_read_the_rest(tmp_path: Path) -> None:
    save_checkpoint(tiny_checkpoint(), tmp_path / "m", "vl3", max_shard_bytes=20_000)
    assert len(list((tmp_path / "m").glob("*.safetensors"))) > 1
    assert len({path.stat().st_mode for path in (tmp_path / "m").iterdir()}) == 1


def test_authors_export_has_the_authors_names(tmp_path: Path) -> None:
    expected = authors_folder(tmp_path / "by-hand")
    checkpoint = load_checkpoint(tmp_path / "by-hand")
    save_checkpoint(checkpoint, tmp_path / "ours", "authors")
    ours = load_file(tmp_path / "ours" / "model.safetensors")
    assert ours.keys() == expected.keys()
    assert all(torch.equal(ours[name], expected[name]) for name in ours)
    assert load_checkpoint(tmp_path / "ours").processor == checkpoint.processor


def test_shards_load_and_their_index_is_transformers(tmp_path: Path) -> None:
    from transformers import VideoLlama3ForConditionalGeneration

    checkpoint = tiny_checkpoint()
    save_checkpoint(checkpoint, tmp_path / "s", "transformers", max_shard_bytes=100_000)
    files = list((tmp_path / "s").glob("*.safetensors"))
    assert len(files) > 3
    assert same_weights(load_checkpoint(tmp_path / "s").model, checkpoint.model)
    oracle = VideoLlama3ForConditionalGeneration.from_pretrained(tmp_path / "s", dtype=torch.float32)
    ours = checkpoint.model.language.embed_tokens.weight
    assert torch.equal(oracle.model.language_model.embed_tokens.weight, ours)
    files[0].unlink()
    with pytest.raises(UserError, match=rf"shards are missing: {files[0].name}"):
        load_checkpoint(tmp_path / "s")


def test_an_export_grows_a_vocabulary_that_is_full(tmp_path: Path) -> None:
    from dataclasses import replace

    from tokenizers import Tokenizer

    small = tiny_tokenizer().to_str().replace("<|video_pad|>", "<|other|>")
    config = tiny_config()
    config = replace(config, language=replace(config.language, vocab_size=264), video_token_id=261)
    checkpoint = replace(checkpoint_of(config), tokenizer=Tokenizer.from_str(small))
    save_checkpoint(checkpoint, tmp_path / "t", "transformers")
    grown = load_checkpoint(tmp_path / "t")
    assert grown.config.language.vocab_size == 320
    assert grown.config.video_token_id == 264
    old, new = checkpoint.model.language.embed_tokens.weight, grown.model.language.embed_tokens.weight
    assert torch.equal(new[:264], old)
    torch.testing.assert_close(new[264:], old.mean(0).expand(56, -1))


MEMORY = """
import resource, sys, torch
from vl3.weights import load_checkpoint
dtype = {"stored": None, "bfloat16": torch.bfloat16}[sys.argv[2]]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
model = load_checkpoint(sys.argv[1], dtype=dtype).model
size = sum(p.numel() * p.element_size() for p in model.parameters())
for p in model.parameters():
    p.sum()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / size)
"""


@pytest.mark.parametrize(("dtype", "most"), [("stored", 1.35), ("bfloat16", 3.4)])
def test_loading_takes_no_more_memory_than_the_model(tmp_path: Path, dtype: str, most: float) -> None:
    """With a conversion the pages of the file that have been read count too, until the system wants them back."""
    from dataclasses import replace

    config = tiny_config()
    config = replace(
        config, language=replace(config.language, hidden_size=2048, vocab_size=12000, intermediate_size=4096)
    )
    save_checkpoint(checkpoint_of(config), tmp_path / "m", "vl3")
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "m"), dtype]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(run.stdout) < most
