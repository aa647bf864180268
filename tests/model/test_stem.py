"""The convolutional stem: its convolutions against plain ones with batch norms, its order of patches, its encoder."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vl3.config import StemConfig, VisionConfig, decode
from vl3.errors import UserError
from vl3.model.patches import patchify
from vl3.model.stem import SameConv, Stem
from vl3.model.vision import VisionEncoder
from vl3.weights.stem import read_trunk, stem_config

SMALL = StemConfig(
    first_channels=8,
    channels=(4, 6, 8, 10, 12, 14, 16),
    repeats=(1, 2, 1, 1, 2, 1, 1),
    head_channels=20,
    num_classes=5,
)


def published_file(config: StemConfig) -> dict[str, Tensor]:
    """Random tensors under the names of the published files."""
    torch.manual_seed(0)
    file: dict[str, Tensor] = {}

    def norm(name: str, width: int) -> None:
        file[f"{name}.weight"], file[f"{name}.bias"] = torch.rand(width) + 0.5, torch.randn(width) * 0.1
        file[f"{name}.running_mean"], file[f"{name}.running_var"] = torch.randn(width) * 0.1, torch.rand(width) + 0.5

    file["_conv_stem.weight"] = torch.randn(config.first_channels, 3, 3, 3) * 0.2
    norm("_bn0", config.first_channels)
    width, index = config.first_channels, 0
    for group, (channels, repeats, kernel) in enumerate(
        zip(config.channels, config.repeats, (3, 3, 5, 3, 5, 5, 3), strict=True)
    ):
        for _ in range(repeats):
            name, inner = f"_blocks.{index}", width * (6 if group else 1)
            if group:
                file[f"{name}._expand_conv.weight"] = torch.randn(inner, width, 1, 1) * 0.3
                norm(f"{name}._bn0", inner)
            file[f"{name}._depthwise_conv.weight"] = torch.randn(inner, 1, kernel, kernel) * 0.3
            norm(f"{name}._bn1", inner)
            file[f"{name}._project_conv.weight"] = torch.randn(channels, inner, 1, 1) * 0.3
            norm(f"{name}._bn2", channels)
            width, index = channels, index + 1
    file["_conv_head.weight"] = torch.randn(config.head_channels, width, 1, 1) * 0.3
    norm("_bn1", config.head_channels)
    file["_fc.weight"] = torch.randn(config.num_classes, config.head_channels)
    file["_fc.bias"] = torch.randn(config.num_classes)
    return file


def plain_network(file: dict[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The network as it is published, batch norms and all: (last map, the classified one, probabilities)."""

    def conv(x: Tensor, name: str, stride: int = 1, groups: int = 1) -> Tensor:
        weight = file[f"{name}.weight"].double()
        pads = []
        for side in (x.shape[3], x.shape[2]):
            missing = max(0, (-(-side // stride) - 1) * stride + weight.shape[-1] - side)
            pads += [missing // 2, missing - missing // 2]
        return F.conv2d(F.pad(x, pads), weight, stride=stride, groups=groups)

    def norm(x: Tensor, name: str) -> Tensor:
        mean, var = file[f"{name}.running_mean"].double(), file[f"{name}.running_var"].double()
        return F.batch_norm(x, mean, var, file[f"{name}.weight"].double(), file[f"{name}.bias"].double(), eps=1e-3)

    x = norm(conv(x, "_conv_stem", 2), "_bn0").clamp(0, 6)
    index = 0
    for repeats, stride in zip(SMALL.repeats, (1, 2, 2, 2, 1, 2, 1), strict=True):
        for place in range(repeats):
            name, before = f"_blocks.{index}", x
            if f"{name}._expand_conv.weight" in file:
                x = norm(conv(x, f"{name}._expand_conv"), f"{name}._bn0").clamp(0, 6)
            x = conv(x, f"{name}._depthwise_conv", stride if place == 0 else 1, groups=x.shape[1])
            x = norm(conv(norm(x, f"{name}._bn1").clamp(0, 6), f"{name}._project_conv"), f"{name}._bn2")
            if x.shape == before.shape and place > 0:
                x = x + before
            index += 1
    hidden = norm(conv(x, "_conv_head"), "_bn1").clamp(0, 6)

    def classified(x: Tensor) -> Tensor:
        return (x.permute(0, 2, 3, 1) @ file["_fc.weight"].double().T + file["_fc.bias"].double()).softmax(-1)

    rows, columns = hidden.shape[2:]
    around = torch.empty_like(hidden)
    for i in range(rows):
        for j in range(columns):
            near = hidden[:, :, max(0, i - 1) : i + 2, max(0, j - 1) : j + 2]
            around[:, :, i, j] = near.mean(dim=(2, 3))
    whole = F.adaptive_avg_pool2d(hidden, 1).expand_as(hidden)  # what the published network classifies
    return x, hidden, torch.cat([classified(x) for x in (hidden, around, whole)], dim=-1)


@pytest.mark.parametrize("size", [(64, 96), (48, 80)])
def test_folded_convolutions_equal_the_published_network(size: tuple[int, int]) -> None:
    file = published_file(SMALL)
    assert stem_config(file, "here") == SMALL
    stem = Stem(SMALL, 16, 24, 3)
    stem.trunk.load_state_dict(read_trunk(file, SMALL))
    x = torch.randn(2, 3, *size)
    maps, classes = stem.trunk(x)
    last, hidden, probabilities = plain_network(file, x.double())
    torch.testing.assert_close(maps[-2].double(), last, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(maps[-1].double(), hidden, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(classes.permute(0, 2, 3, 1).double(), probabilities, rtol=1e-4, atol=1e-4)


def test_another_network_is_refused() -> None:
    with pytest.raises(UserError, match="EfficientNet-Lite"):
        stem_config({"layer1.weight": torch.zeros(1)}, "resnet.pth")


def test_every_patch_gets_the_features_of_its_own_place() -> None:
    """A frame's features do not depend on its neighbours in the pack or on the order that patches are stored in."""
    stem = Stem(SMALL, 16, 24, 3).eval()
    frames = torch.randn(3, 64, 96, 3)
    merged, grid = patchify(frames, 16, 2)
    raster, _ = patchify(frames, 16, 1)
    run_merged, run_raster = [(3, (4, 6, 2))], [(3, (4, 6, 1))]
    assert grid == (3, 4, 6)
    # the plain order of windows, spelt out: window rows, window columns, then 2 x 2 inside
    order = [
        f * 24 + (2 * i + a) * 6 + 2 * j + b
        for f in range(3)
        for i in range(2)
        for j in range(3)
        for a in (0, 1)
        for b in (0, 1)
    ]
    torch.testing.assert_close(stem(merged, run_merged), stem(raster, run_raster)[order])
    other = torch.randn(40, 768)
    both = stem(torch.cat([other, raster]), [(2, (4, 5, 1)), (3, (4, 6, 1))])
    torch.testing.assert_close(both[40:], stem(raster, run_raster), rtol=1e-4, atol=1e-5)


def test_what_moves_by_a_patch_moves_its_features_by_a_patch() -> None:
    """Finer maps are laid side by side in their own patch: a dot changes the features of its own patch the most."""
    stem = Stem(replace(SMALL), 16, 24, 3).eval()
    with torch.no_grad():
        stem.proj.weight[:, -10:] = 0  # places aside
    blank = torch.zeros(1, 96, 96, 3)
    for row, column in ((1, 2), (4, 0)):
        dotted = blank.clone()
        dotted[0, row * 16 + 6 : row * 16 + 10, column * 16 + 6 : column * 16 + 10] = 3
        change = (
            stem(patchify(dotted, 16, 1)[0], [(1, (6, 6, 1))]) - stem(patchify(blank, 16, 1)[0], [(1, (6, 6, 1))])
        ).norm(dim=1)
        assert int(change.argmax()) == row * 6 + column


def test_same_padding_gives_a_place_for_every_stride_begun() -> None:
    for side in (7, 8, 9):
        assert SameConv(1, 1, 5, stride=2)(torch.zeros(1, 1, side, side)).shape[-1] == -(-side // 2)


def test_the_encoder_takes_a_stem_and_trains_through_it() -> None:
    config = VisionConfig(hidden_size=24, num_layers=1, num_heads=2, intermediate_size=32, patch_size=16, stem=SMALL)
    encoder = VisionEncoder(config)
    assert not any(name.startswith("patch_embedding") for name, _ in encoder.named_parameters())
    out = encoder(torch.randn(2 * 24, 768), [(2, (4, 6, 2))])
    assert out.shape == (48, 24)
    out.square().sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())


def test_a_stem_needs_its_patch_size() -> None:
    with pytest.raises(UserError, match="16 or 32 pixels, not 14"):
        decode(VisionConfig, {"stem": {}}, "here")
