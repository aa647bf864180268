"""Packed weights: each kernel against the plain product of what it stands for, and whole models loaded with them."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.tiny import tiny_checkpoint, tiny_config, tiny_model
from vl3.errors import UserError
from vl3.model import KVCache, VideoLLaMA3, Visual
from vl3.weights import Quantize, load_checkpoint, save_checkpoint, weight_bytes
from vl3.weights.adapter import Adapter, save_adapter
from vl3.weights.linear_int4 import Int4GatedMLP, Int4Linear, dequantised_int4, quantised_int4
from vl3.weights.linear_int8 import STEPS, Int8Embedding, Int8Linear
from vl3.weights.names import Layout
from vl3.weights.quantised import dequantised, quantised

MOST_OFF = {"int8": 0.06 if STEPS == 127 else 0.1, "int4": 0.06}
"""Of a whole model, by the rounding of inputs; without VNNI they have a bit less."""


def plain_int8(x: Tensor, weight: Tensor) -> Tensor:
    """What Int8Linear stands for, in float64: rounded inputs times rounded weights."""
    scale = x.double().abs().amax(dim=-1, keepdim=True) / STEPS
    rounded = (x.double() / scale.clamp_min(1e-30)).round() * scale
    return rounded @ dequantised(*quantised(weight)).double().T


@pytest.mark.parametrize(("tokens", "inputs", "outputs"), [(1, 64, 48), (7, 30, 5), (40, 257, 130)])
def test_the_int8_kernel_is_the_product_of_what_was_rounded(tokens: int, inputs: int, outputs: int) -> None:
    torch.manual_seed(tokens)
    x, weights = torch.randn(tokens, inputs), [torch.randn(outputs, inputs), torch.randn(3, inputs) * 5]
    biases = [torch.randn(outputs), torch.randn(3)]
    got = Int8Linear(weights, biases)(x)
    wanted = torch.cat([plain_int8(x, w) + b for w, b in zip(weights, biases, strict=True)], dim=1)
    # one input in a thousand lies so near the middle of two steps that float32 may round it the other way
    step = x.abs().amax(dim=1).max() / STEPS
    assert (got - wanted).abs().max() < step * 15
    assert ((got - wanted).abs() < 1e-4).double().mean() > 0.95


def test_int8_is_near_the_unrounded_product() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(50, 512), torch.randn(64, 512)
    exact = x.double() @ weight.double().T
    error = (Int8Linear([weight])(x) - exact).norm() / exact.norm()
    assert error < 0.02


def test_a_tokens_result_does_not_depend_on_the_batch() -> None:
    torch.manual_seed(0)
    layer = Int8Linear([torch.randn(70, 300)], [torch.randn(70)])
    for dtype in (torch.float32, torch.bfloat16):
        x = (torch.randn(600, 300) * torch.logspace(-6, 3, 600)[:, None]).to(dtype)  # more than pass at once
        x[5] = 0
        alone = torch.cat([layer(row[None]) for row in x])
        assert alone.dtype == dtype and torch.equal(layer(x), alone)
        assert torch.equal(layer(x[:9]), alone[:9])
        assert layer(x[:0]).shape == (0, 70)


def test_the_largest_inputs_do_not_overflow() -> None:
    weight = torch.ones(4, 9000)
    x = torch.cat([torch.ones(1, 9000), -torch.ones(1, 9000)])
    assert torch.allclose(Int8Linear([weight])(x), x @ weight.T, rtol=1e-3)


WITHOUT_VNNI = """
import torch
torch.cpu._is_vnni_supported = lambda: False
from vl3.weights.linear_int8 import STEPS, Int8Linear
assert STEPS == 63
x = torch.cat([torch.ones(1, 9000), -torch.ones(1, 9000)])
assert torch.allclose(Int8Linear([torch.ones(4, 9000)])(x), x @ torch.ones(9000, 4), rtol=1e-2)
"""


def test_nor_do_they_on_processors_without_vnni() -> None:
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_VNNI], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


SIGNAL_AFTER_GRAPHS = """
import gc, os, signal, torch
from vl3.weights.linear_int4 import Int4Linear
signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
graphs = [Int4Linear([torch.randn(64, 64)]) for _ in range(4)]
while graphs:
    graphs.pop(0)
    gc.collect()
os.kill(os.getpid(), signal.SIGUSR1)
print("lives")
"""


def test_signals_are_handled_when_int4_graphs_are_gone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SIGNAL_AFTER_GRAPHS], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout.split()) == (0, ["handled", "lives"]), done.stderr


def test_an_embedding_and_the_head_tied_to_it() -> None:
    torch.manual_seed(0)
    table = torch.randn(100, 32)
    embedding = Int8Embedding(table)
    rounded = dequantised(*quantised(table))
    assert torch.equal(embedding(torch.tensor([3, 99])), rounded[[3, 99]])
    x = torch.randn(4, 32)
    assert torch.equal(Int8Linear.tied(embedding)(x), Int8Linear([table])(x))


def test_int4_rounds_groups_of_32() -> None:
    torch.manual_seed(0)
    weight = torch.randn(40, 96)
    weight[3, 32:64] = 0
    weight[4] *= 1e-4
    steps, scale = quantised_int4(weight)
    assert steps.min() == -8 and steps.max() == 7 and steps.shape == (40, 3, 32)
    rounded = dequantised_int4(steps, scale)
    assert (rounded[3, 32:64] == 0).all()
    error = (rounded - weight).norm(dim=1) / weight.norm(dim=1)
    assert error.max() < 0.12
    # no other scale of a group would have been nearer with the same steps
    for factor in (0.99, 1.01):
        other = dequantised_int4(steps, scale.float() * factor)
        assert (other - weight).norm() > (rounded - weight).norm()


def test_values_that_four_bits_hold_stay_as_they_are() -> None:
    torch.manual_seed(0)
    steps = torch.randint(-8, 8, (10, 4, 32))
    steps[:, :, 0] = -8
    weight = (steps * 2.0 ** torch.randint(-6, 3, (10, 4, 1))).flatten(1)
    assert torch.equal(dequantised_int4(*quantised_int4(weight)), weight)


@pytest.mark.parametrize("tokens", [1, 5, 64, 150])
def test_the_int4_kernel_is_the_product_of_what_was_rounded(tokens: int) -> None:
    torch.manual_seed(tokens)
    weights, biases = [torch.randn(48, 96), torch.randn(10, 96) * 3], [torch.randn(48), torch.randn(10)]
    x = torch.randn(tokens, 96) * torch.logspace(-2, 2, tokens)[:, None]
    rounded = torch.cat([dequantised_int4(*quantised_int4(weight)) for weight in weights]).double()
    wanted = x.double() @ rounded.T + torch.cat(biases)
    layer = Int4Linear(weights, biases)
    got = layer(x)
    assert ((got - wanted).norm(dim=1) / wanted.norm(dim=1)).max() < 0.012, "it rounds inputs to 8 bits at most"
    assert torch.equal(layer(x), got)
    assert layer(x.bfloat16()).dtype == torch.bfloat16


def test_an_int4_mlp_is_the_plain_one_of_rounded_weights() -> None:
    torch.manual_seed(0)
    weights = [torch.randn(64, 32) / 6, torch.randn(64, 32) / 6, torch.randn(32, 64) / 8]
    x = torch.randn(9, 32)
    gate, up, down = (dequantised_int4(*quantised_int4(weight)) for weight in weights)
    wanted = (torch.nn.functional.silu(x @ gate.T) * (x @ up.T)) @ down.T
    assert (Int4GatedMLP(*weights)(x) - wanted).norm() / wanted.norm() < 0.012


def reference(model: VideoLLaMA3, quantize: Quantize) -> VideoLLaMA3:
    """The plain model with the weights that are rounded to."""
    copy = tiny_model(model.config)
    weights = dict(model.state_dict())
    for name, tensor in weights.items():
        if tensor.ndim == 2 and (name.startswith(("language.", "vision.blocks."))):
            in_4_bits = quantize == "int4" and name.startswith("language.layers.")
            weights[name] = dequantised_int4(*quantised_int4(tensor)) if in_4_bits else dequantised(*quantised(tensor))
    copy.load_state_dict(weights)
    return copy


def hidden(model: VideoLLaMA3, ids: Tensor, caches: list[KVCache] | None = None) -> Tensor:
    with torch.inference_mode():
        return model.logits(model(ids, [len(ids)], caches=caches))


def picture() -> Visual:
    torch.manual_seed(0)
    patches = torch.randint(0, 256, (4 * 6, 3 * 14 * 14), dtype=torch.uint8)
    return Visual(patches, (1, 4, 6), 2, torch.ones(1, 6, dtype=torch.bool))


@pytest.mark.parametrize(
    ("layout", "tie", "quantize"),
    [("vl3", True, "int8"), ("transformers", False, "int8"), ("authors", True, "int4"), ("vl3", False, "int4")],
)
def test_every_layout_is_packed_and_computes_nearly_the_same(
    tmp_path: Path, layout: Layout, tie: bool, quantize: Quantize
) -> None:
    config = tiny_config(tie=tie)
    plain = replace(tiny_checkpoint(), config=config, model=tiny_model(config))
    save_checkpoint(plain, tmp_path / "m", layout)
    packed = load_checkpoint(tmp_path / "m", quantize=quantize)
    ids = torch.arange(5, 60)
    rounded = reference(load_checkpoint(tmp_path / "m").model, quantize)
    # inputs are rounded too, to 7 bits where the processor has no VNNI; layers in a wrong place are far beyond
    for got, wanted in [
        (hidden(packed.model, ids), hidden(rounded, ids)),
        (packed.model.see([picture()]), rounded.see([picture()])),
    ]:
        assert (got - wanted).norm() / wanted.norm() < MOST_OFF[quantize]
    assert not [name for name in packed.model.state_dict() if name.endswith("_proj.weight")]
    with pytest.raises(UserError, match="--quantize cannot be saved"):
        save_checkpoint(packed, tmp_path / "again", layout)


def test_feeding_a_prompt_in_pieces_changes_nothing(tmp_path: Path) -> None:
    save_checkpoint(tiny_checkpoint(), tmp_path / "m", "vl3")
    model = load_checkpoint(tmp_path / "m", quantize="int8").model
    ids = torch.arange(3, 40)
    cache = model.new_cache()
    pieces = torch.cat([hidden(model, part, [cache]) for part in ids.split([20, 1, 16])])
    assert torch.allclose(pieces, hidden(model, ids), atol=1e-4)


def test_what_cannot_be_quantised_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="quantised models run on CPUs, and the device is meta"):
        load_checkpoint(tmp_path, quantize="int8", device="meta")
    with pytest.raises(UserError, match="unknown way to quantise 'int3'"):
        load_checkpoint(tmp_path, quantize="int3")  # type: ignore[arg-type]


def test_the_bytes_of_a_model_are_known_without_loading_it() -> None:
    config = tiny_config()
    model = tiny_model(config)
    plain = sum(tensor.numel() for tensor in model.state_dict().values())
    assert weight_bytes(config, None, torch.bfloat16) == 2 * plain
    assert weight_bytes(config, None, torch.float32) == 4 * plain
    big = replace(config, language=replace(config.language, hidden_size=640, intermediate_size=2560))
    plain, int8, int4 = (weight_bytes(big, how, torch.bfloat16) for how in (None, "int8", "int4"))  # type: ignore[arg-type]
    assert 0.5 < int8 / plain < 0.6 and 0.34 < int4 / plain < 0.45


def test_without_openvino_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UserError, match=r"int4 needs openvino: pip install 'vl3\[int4\]'"):
        load_checkpoint(tmp_path, quantize="int4")


def test_an_adapter_is_merged_before_its_model_is_packed(tmp_path: Path) -> None:
    save_checkpoint(tiny_checkpoint(), tmp_path / "base", "vl3")
    layer = "language.layers.0.mlp.down_proj"
    torch.manual_seed(0)
    trained = {f"{layer}.lora_A.x": torch.randn(4, 96), f"{layer}.lora_B.x": torch.randn(64, 4)}
    adapter = Adapter(str(tmp_path / "base"), trained, {"language": 0.1}, tiny_checkpoint().processor)
    save_adapter(tmp_path / "adapter", adapter)
    ids = torch.arange(5, 40)
    got = hidden(load_checkpoint(tmp_path / "adapter", quantize="int8").model, ids)
    wanted = hidden(reference(load_checkpoint(tmp_path / "adapter").model, "int8"), ids)
    assert (got - wanted).norm() / wanted.norm() < MOST_OFF["int8"]
    base = hidden(load_checkpoint(tmp_path / "base", quantize="int8").model, ids)
    assert (got - base).norm() / wanted.norm() > 0.2
