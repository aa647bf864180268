"""The vision encoder against plain float64 references."""

import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiny import tiny_config, tiny_model
from vl3.config import VisionConfig
from vl3.model import Visual
from vl3.model.rope import patch_rope, window_order
from vl3.model.vision import VisionEncoder, encode_visuals, merge_windows
from vl3.model.visual import normalise


def random_visual(t: int, h: int, w: int, merge: int, seed: int = 0, keep: float = 1.0) -> Visual:
    rng = np.random.default_rng(seed)
    patches = torch.from_numpy(rng.integers(0, 256, (t * h * w, 588), dtype=np.uint8))
    kept = torch.from_numpy(rng.random((t, h * w // merge**2)) < keep)
    kept[0] = True
    return Visual(patches, (t, h, w), merge, kept)


def raster(x: torch.Tensor, h: int, w: int, merge: int) -> torch.Tensor:
    """[h * w, D] in merge-window order -> [h, w, D], by brute force over positions."""
    out = torch.empty(h, w, x.shape[-1], dtype=x.dtype)
    row = 0
    for i in range(0, h, merge):
        for j in range(0, w, merge):
            for a in range(merge):
                for b in range(merge):
                    out[i + a, j + b] = x[row]
                    row += 1
    return out


def reference_frame(encoder: VisionEncoder, pixels: torch.Tensor, h: int, w: int, merge: int) -> torch.Tensor:
    """One frame through the encoder in float64, written out with explicit softmax and complex-number RoPE."""
    config = encoder.config
    weights = {name: value.double() for name, value in encoder.state_dict().items()}
    x = pixels.double() @ weights["patch_embedding.weight"].flatten(1).T + weights["patch_embedding.bias"]
    head = config.head_dim
    inv_freq = 10000.0 ** (-torch.arange(0, head // 2, 2).double() / (head // 2))
    rows = window_order(torch.arange(h)[:, None].expand(h, w), merge).double()
    cols = window_order(torch.arange(w)[None].expand(h, w), merge).double()
    turn = torch.polar(torch.ones(1).double(), torch.cat([rows[:, None] * inv_freq, cols[:, None] * inv_freq], 1))

    def rotated(y: torch.Tensor) -> torch.Tensor:
        y = y.view(h * w, config.num_heads, head)
        z = torch.complex(y[..., : head // 2], y[..., head // 2 :]) * turn[:, None]
        return torch.cat([z.real, z.imag], -1)

    def linear(y: torch.Tensor, name: str) -> torch.Tensor:
        return y @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(y: torch.Tensor, name: str) -> torch.Tensor:
        return F.layer_norm(y, y.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-6)

    for i in range(config.num_layers):
        y = norm(x, f"blocks.{i}.norm1")
        q, k = (rotated(linear(y, f"blocks.{i}.attn.{n}_proj")) for n in "qk")
        v = linear(y, f"blocks.{i}.attn.v_proj").view(h * w, config.num_heads, head)
        scores = torch.einsum("qhe,khe->hqk", q, k) / head**0.5
        mixed = torch.einsum("hqk,khe->qhe", scores.softmax(-1), v).flatten(1)
        x = x + linear(mixed, f"blocks.{i}.attn.out_proj")
        y = linear(norm(x, f"blocks.{i}.norm2"), f"blocks.{i}.mlp.fc1")
        y = 0.5 * y * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (y + 0.044715 * y**3)))
        x = x + linear(y, f"blocks.{i}.mlp.fc2")
    return norm(x, "norm")


def reference_tokens(encoder: VisionEncoder, visual: Visual) -> torch.Tensor:
    t, h, w = visual.grid
    pixels = normalise(visual.patches, visual.mean, visual.std).view(t, h * w, -1)
    frames = []
    for frame in pixels:
        features = raster(reference_frame(encoder, frame, h, w, visual.merge), h, w, visual.merge)
        size = (h // visual.merge, w // visual.merge)
        resized = F.interpolate(features.permute(2, 0, 1)[None], size=size, mode="bilinear", align_corners=False)
        frames.append(resized[0].permute(1, 2, 0).flatten(0, 1))
    return torch.stack(frames)[visual.keep]


@torch.no_grad()
@pytest.mark.parametrize("max_patches", [None, 1, 30])
def test_mixed_visuals_equal_the_float64_reference(max_patches: int | None) -> None:
    encoder = tiny_model().vision
    visuals = [
        random_visual(1, 3, 5, 1, seed=1),
        random_visual(4, 4, 6, 2, seed=2, keep=0.4),
        random_visual(1, 3, 5, 1, seed=3),
        random_visual(2, 4, 6, 2, seed=4),
        random_visual(1, 4, 6, 1, seed=5),  # the same sides, another merge size: another patch order
        random_visual(1, 6, 3, 3, seed=6),
    ]
    ours = encode_visuals(encoder, visuals, max_patches)
    reference = torch.cat([reference_tokens(encoder, visual) for visual in visuals])
    assert ours.shape == reference.shape
    torch.testing.assert_close(ours.double(), reference, atol=1e-5, rtol=0)


@given(merge=st.integers(1, 5), rows=st.integers(1, 4), cols=st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_merging_windows_is_bilinear_resizing(merge: int, rows: int, cols: int) -> None:
    h, w = rows * merge, cols * merge
    image = torch.randn(h, w, 3)
    ours = merge_windows(window_order(image, merge), merge)
    resized = F.interpolate(image.permute(2, 0, 1)[None], size=(rows, cols), mode="bilinear", align_corners=False)
    torch.testing.assert_close(ours, resized[0].permute(1, 2, 0).flatten(0, 1), atol=1e-6, rtol=0)


@given(merge=st.integers(1, 4), rows=st.integers(1, 4), cols=st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_rope_turns_by_plain_row_and_column(merge: int, rows: int, cols: int) -> None:
    h, w = rows * merge, cols * merge
    cos, sin = patch_rope(h, w, merge, 16, 10000.0, torch.device("cpu"))
    inv_freq = [10000 ** (-2 * i / 8) for i in range(4)]
    cos_image, sin_image = raster(cos, h, w, merge), raster(sin, h, w, merge)
    for i in range(h):
        for j in range(w):
            angles = torch.tensor([i * f for f in inv_freq] + [j * f for f in inv_freq]).repeat(2)
            torch.testing.assert_close(cos_image[i, j], angles.cos(), atol=1e-5, rtol=0)
            torch.testing.assert_close(sin_image[i, j], angles.sin(), atol=1e-5, rtol=0)


def test_a_frame_does_not_depend_on_the_others() -> None:
    encoder = tiny_model().vision
    clip = random_visual(3, 4, 4, 2, seed=1)
    other = clip.patches.clone()
    other[:32] = 255 - other[:32]
    changed = Visual(other, clip.grid, clip.merge, clip.keep)
    with torch.no_grad():
        a, b = encode_visuals(encoder, [clip]), encode_visuals(encoder, [changed])
    assert not torch.allclose(a[:8], b[:8])
    assert torch.equal(a[8:], b[8:])


LONG_CLIP = """
import resource, torch
from vl3.config import VisionConfig
from vl3.model.vision import VisionEncoder
from vl3.model.visual import normalise
torch.manual_seed(0)
encoder = VisionEncoder(VisionConfig(hidden_size=32, num_layers=1, num_heads=2, intermediate_size=64)).eval()
patches = torch.randint(0, 256, (180 * 576, 588), dtype=torch.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with torch.no_grad():
    encoder(normalise(patches, (0.5,) * 3, (0.5,) * 3), [(180, (24, 24, 2))])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_long_clip_needs_no_mask_over_all_its_patches() -> None:
    """180 frames of 24 x 24 patches in one pass: a mask over the clip alone would be 10.7 GB of booleans."""
    run = subprocess.run([sys.executable, "-c", LONG_CLIP], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 1024, f"{run.stdout.strip()} MiB"


def test_a_long_clip_equals_the_reference() -> None:
    torch.manual_seed(0)
    config = VisionConfig(hidden_size=32, num_layers=1, num_heads=2, intermediate_size=64)
    encoder = VisionEncoder(config).eval()
    clip = random_visual(180, 24, 24, 2)
    with torch.no_grad():
        ours = encode_visuals(encoder, [clip])
        pixels = normalise(clip.patches, clip.mean, clip.std).view(180, 576, -1)
        for frame in range(180):
            features = reference_frame(encoder, pixels[frame], 24, 24, 2)
            merged = features.view(144, 4, -1).mean(1)
            torch.testing.assert_close(ours[frame * 144 : (frame + 1) * 144].double(), merged, atol=1e-5, rtol=0)


def test_config_refuses_heads_that_two_axes_cannot_share() -> None:
    with pytest.raises(ValueError, match="multiple of 4"):
        VisionConfig(hidden_size=36, num_heads=6)
    assert tiny_config().vision.head_dim == 12
