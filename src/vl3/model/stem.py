"""A convolutional stem in place of the patch embedding, for encoders too small to learn to see from scratch.

EfficientNet-Lite (arXiv 1905.11946; the Lite variants: no squeeze-and-excitation, ReLU6) looks at whole frames. Each
patch of 16 or 32 pixels then gets what the network saw there at strides 4, 8, 16 and 32, what its classifier looks at,
what that makes of the place, of the place with those around it and of the whole frame, and where in the frame it lies
(CoordConv, arXiv 1807.03247). Batch norms are folded into the convolutions.

Shapes: F frames, C channels, Y and X rows and columns, N patches of all frames, P pixels of a patch, D hidden_size.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vl3.config import StemConfig
from vl3.model.patches import unpatchify, window_order

STRIDES = (1, 2, 2, 2, 1, 2, 1)
_KERNELS = (3, 3, 5, 3, 5, 5, 3)
_TAPS = {1: 4, 2: 8, 4: 16, 6: 32}  # groups whose outputs are looked at, and the stride that they have by then
_NUM_PLACE = 10
VIEWS = 3
"""What is classified for a patch: its place, the 3 x 3 places around it, the whole frame."""


class Stem(nn.Module):
    """Normalised patches -> one feature for each patch."""

    def __init__(self, config: StemConfig, patch_size: int, hidden_size: int, num_channels: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.trunk = Trunk(config, num_channels)
        widths = [config.channels[group] * max(1, patch_size // stride) ** 2 for group, stride in _TAPS.items()]
        widths.append(config.head_channels)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in widths)  # shallow maps would drown deep ones
        self.proj = nn.Linear(sum(widths) + _NUM_PLACE, hidden_size)
        self.class_embedding = nn.Linear(VIEWS * config.num_classes, hidden_size, bias=False)

    def forward(self, pixels_NP: Tensor, frames: list[tuple[int, tuple[int, int, int]]]) -> Tensor:
        """[N, P] in merge-window order, of runs of equal-size frames (how many, (rows, columns, merge)) -> [N, D]."""
        pieces = pixels_NP.split([count * h * w for count, (h, w, _) in frames])
        return torch.cat([self._run(x, count, *size) for x, (count, size) in zip(pieces, frames, strict=True)])

    def _run(self, pixels_NP: Tensor, count: int, h: int, w: int, merge: int) -> Tensor:
        """Frames of one size, together."""
        images_FYXC = unpatchify(pixels_NP, (count, h, w), self.patch_size, merge)
        maps, classes_FCYX = self.trunk(images_FYXC.permute(0, 3, 1, 2))
        features = [norm(_to_patches(x, h, w)) for norm, x in zip(self.norms, maps, strict=True)]
        place_FYXC = _places(h, w, features[0]).expand(count, h, w, _NUM_PLACE)
        x_FYXD = self.proj(torch.cat([*features, place_FYXC.to(features[0].dtype)], dim=-1))
        x_FYXD = x_FYXD + self.class_embedding(_to_patches(classes_FCYX, h, w))
        return window_order(x_FYXD.permute(1, 2, 0, 3), merge).transpose(0, 1).flatten(0, 1)


class Trunk(nn.Module):
    """EfficientNet-Lite's convolutions and its classifier, applied to every place and to means over more places."""

    def __init__(self, config: StemConfig, num_channels: int) -> None:
        super().__init__()
        self.first = SameConv(num_channels, config.first_channels, 3, stride=2)
        self.groups = nn.ModuleList()
        width = config.first_channels
        for channels, repeats, stride, kernel in zip(config.channels, config.repeats, STRIDES, _KERNELS, strict=True):
            expand = 1 if not self.groups else 6
            blocks = [InvertedBottleneck(width, channels, kernel, stride, expand)]
            blocks += [InvertedBottleneck(channels, channels, kernel, 1, expand) for _ in range(repeats - 1)]
            self.groups.append(nn.Sequential(*blocks))
            width = channels
        self.head = SameConv(width, config.head_channels, 1)
        self.classify = nn.Linear(config.head_channels, config.num_classes)

    def forward(self, x_FCYX: Tensor) -> tuple[list[Tensor], Tensor]:
        """(maps at strides 4, 8, 16 and 32 and the one that is classified; class probabilities in each view).

        Each is [F, C, y, x].
        """
        x_FCYX = x_FCYX.to(self.first.weight.dtype).contiguous(memory_format=torch.channels_last)
        x_FCYX = F.relu6(self.first(x_FCYX))
        maps = []
        for index, group in enumerate(self.groups):
            x_FCYX = group(x_FCYX)
            if index in _TAPS:
                maps.append(x_FCYX)
        maps.append(F.relu6(self.head(x_FCYX)))
        return maps, self._classes(maps[-1])

    def _classes(self, head_FCYX: Tensor) -> Tensor:
        # the network was trained to classify the mean over a frame: a place by itself is told less surely
        around_FCYX = F.avg_pool2d(head_FCYX, 3, stride=1, padding=1, count_include_pad=False)
        whole_FC11 = head_FCYX.mean(dim=(2, 3), keepdim=True)
        views = (self.classify(x.permute(0, 2, 3, 1)).softmax(dim=-1) for x in (head_FCYX, around_FCYX, whole_FC11))
        size = (-1, *head_FCYX.shape[2:], -1)
        return torch.cat([view.expand(size) for view in views], dim=-1).permute(0, 3, 1, 2)


class InvertedBottleneck(nn.Module):
    """MobileNetV2's block (arXiv 1801.04381): widen, filter each channel by itself, narrow."""

    def __init__(self, width: int, channels: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        inner = width * expand
        self.widen = SameConv(width, inner, 1) if expand > 1 else None
        self.depthwise = SameConv(inner, inner, kernel, stride, groups=inner)
        self.narrow = SameConv(inner, channels, 1)
        self.residual = stride == 1 and width == channels

    def forward(self, x_FCYX: Tensor) -> Tensor:
        inner = x_FCYX if self.widen is None else F.relu6(self.widen(x_FCYX))
        out = self.narrow(F.relu6(self.depthwise(inner)))
        return x_FCYX + out if self.residual else out


class SameConv(nn.Conv2d):
    """A convolution whose output has ceil(side / stride) places, padded as TensorFlow's SAME does: less before."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups)

    def forward(self, x_FCYX: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if kernel == 1:
            return super().forward(x_FCYX)
        pads = []
        for side in (x_FCYX.shape[3], x_FCYX.shape[2]):
            missing = max(0, (math.ceil(side / stride) - 1) * stride + kernel - side)
            pads += [missing // 2, missing - missing // 2]
        if pads == [pads[0]] * 4:  # the convolution pads by itself, without a copy
            return F.conv2d(x_FCYX, self.weight, self.bias, self.stride, pads[0], groups=self.groups)
        return super().forward(F.pad(x_FCYX, pads))


def _to_patches(map_FCYX: Tensor, h: int, w: int) -> Tensor:
    """A feature map of any stride -> [F, h, w, channels]: finer places side by side, coarser ones repeated."""
    finer = map_FCYX.shape[2] // h
    if finer > 1:
        map_FCYX = F.pixel_unshuffle(map_FCYX, finer)
    elif map_FCYX.shape[2:] != (h, w):
        map_FCYX = map_FCYX.repeat_interleave(2, dim=2)[:, :, :h].repeat_interleave(2, dim=3)[:, :, :, :w]
    return map_FCYX.permute(0, 2, 3, 1)


def _places(h: int, w: int, like: Tensor) -> Tensor:
    """float32 [h, w, 10]: the middle of each patch in -1..1 along both axes, with two harmonics of each."""
    y = ((torch.arange(h, device=like.device) + 0.5) * (2 / h) - 1)[:, None].expand(h, w)
    x = ((torch.arange(w, device=like.device) + 0.5) * (2 / w) - 1)[None, :].expand(h, w)
    waves = [
        wave
        for axis in (y, x)
        for turn in (1, 2)
        for wave in ((math.pi * turn * axis).sin(), (math.pi * turn * axis).cos())
    ]
    return torch.stack([y, x, *waves], dim=-1)
