"""The any-resolution vision encoder: SigLIP's ViT with 2D RoPE in place of position embeddings (paper section 3.1).

Frames of every size are packed into one sequence; attention stays inside a frame. Then each merge x merge window of
patches is resized to one token.

Shapes: N patches of all frames, D hidden_size, H heads, E head_dim, P channels * patch * patch.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vl3.config import VisionConfig
from vl3.model.attention import changed_attention, frame_attention
from vl3.model.rope import Rope, patch_rope, rotate
from vl3.model.stem import Stem
from vl3.model.visual import Visual, normalise

FrameSize = tuple[int, int, int]
"""(rows, columns, merge) of a frame's patches."""
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Attention among packed queries, keys and values, each [N, H, E]."""


class VisionEncoder(nn.Module):
    """Patches -> features, one per patch, in the order given."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.checkpointing = False
        self.stem = (
            None
            if config.stem is None
            else Stem(config.stem, config.patch_size, config.hidden_size, config.num_channels)
        )
        if self.stem is None:
            self.patch_embedding = PatchEmbedding(config)
        self.blocks = nn.ModuleList(VisionBlock(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, pixels_NP: Tensor, frames: list[tuple[int, FrameSize]]) -> Tensor:
        """Normalised patches [N, P] of runs of equal-size frames, `frames` = (how many, their size) -> [N, D]."""
        groups = [(count, h * w) for count, (h, w, _) in frames]
        x_ND = self.patch_embedding(pixels_NP) if self.stem is None else self.stem(pixels_NP, frames)
        return self._blocks(x_ND, partial(frame_attention, groups=groups), self.rope(frames, pixels_NP.device))

    def changes(self, pixels_NP: Tensor, frames: tuple[int, FrameSize], changed_FS: Tensor) -> Tensor:
        """An approximation for a clip: only changed patches are encoded, beside what the frames before left.

        Takes all patches of consecutive frames of one size; changed_FS: bool, which of each frame's patches to encode,
        all of the first frame's. Gives the features of those [n, D].
        """
        changed_N = changed_FS.flatten()
        # a convolution needs a patch's neighbours
        x_nD = (
            self.patch_embedding(pixels_NP[changed_N])
            if self.stem is None
            else self.stem(pixels_NP, [frames])[changed_N]
        )
        cos_NE, sin_NE = self.rope([frames], pixels_NP.device)
        rope = cos_NE[changed_N], sin_NE[changed_N]
        return self._blocks(x_nD, partial(changed_attention, changed_FS=changed_FS), rope)

    def _blocks(self, x_ND: Tensor, attend: Attend, rope: Rope) -> Tensor:
        for block in self.blocks:
            if self.checkpointing and torch.is_grad_enabled():
                x_ND = checkpoint(block, x_ND, attend, rope, use_reentrant=False)
            else:
                x_ND = block(x_ND, attend, rope)
        return self.norm(x_ND)

    def rope(self, frames: list[tuple[int, FrameSize]], device: torch.device) -> Rope:
        """Cosines and sines [N, E] for runs of frames: each frame's own, counted from its own corner."""
        config = self.config
        cos, sin = [], []
        for count, (h, w, merge) in frames:
            frame_cos, frame_sin = patch_rope(h, w, merge, config.head_dim, config.rope_theta, device)
            cos.append(frame_cos.repeat(count, 1))
            sin.append(frame_sin.repeat(count, 1))
        return torch.cat(cos), torch.cat(sin)


class PatchEmbedding(nn.Conv2d):
    """A convolution whose stride is its kernel: one matrix product over the flattened patch."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__(config.num_channels, config.hidden_size, config.patch_size, stride=config.patch_size)

    def forward(self, pixels_NP: Tensor) -> Tensor:
        """[N, P] -> [N, D]."""
        weight_DP = self.weight.flatten(1)
        return F.linear(pixels_NP.to(weight_DP.dtype), weight_DP, self.bias)


class VisionBlock(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attn = VisionAttention(config)
        self.norm2 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = VisionMLP(config)

    def forward(self, x_ND: Tensor, attend: Attend, rope: Rope) -> Tensor:
        x_ND = x_ND + self.attn(self.norm1(x_ND), attend, rope)
        return x_ND + self.mlp(self.norm2(x_ND))


class VisionAttention(nn.Module):
    """Multi-head attention inside each frame."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        width = config.hidden_size
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)
        self.qkv_proj: nn.Module | None = None

    def fuse(self, qkv_proj: nn.Module) -> None:
        """Puts one layer in place of the three: [N, D] -> queries, keys and values side by side."""
        del self.q_proj, self.k_proj, self.v_proj
        self.qkv_proj = qkv_proj

    def forward(self, x_ND: Tensor, attend: Attend, rope: Rope) -> Tensor:
        q_NHE, k_NHE, v_NHE = (x.unflatten(-1, (self.num_heads, -1)) for x in self._project(x_ND))
        out_NHE = attend(rotate(q_NHE, rope), rotate(k_NHE, rope), v_NHE)
        return self.out_proj(out_NHE.flatten(1))

    def _project(self, x_ND: Tensor) -> tuple[Tensor, ...]:
        if self.qkv_proj is not None:
            return self.qkv_proj(x_ND).chunk(3, dim=-1)
        return self.q_proj(x_ND), self.k_proj(x_ND), self.v_proj(x_ND)


class VisionMLP(nn.Module):
    """Two layers with a GELU between."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)
        self.approximate = "tanh" if config.hidden_act == "gelu_pytorch_tanh" else "none"

    def forward(self, x_ND: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x_ND), approximate=self.approximate))


def merge_windows(x_ND: Tensor, merge: int) -> Tensor:
    """Bilinear downsampling of a frame by `merge` (paper section 3.1), for patches in merge-window order.

    Without antialiasing a bilinear sample in the middle of a window is its middle patch when `merge` is odd, and the
    mean of its middle four when even, so no frame need be put back into raster order. [N, D] -> [N / merge^2, D].
    """
    if merge == 1:
        return x_ND
    windows = x_ND.unflatten(0, (-1, merge, merge))
    first, last = (merge - 1) // 2, merge // 2
    return windows[:, first : last + 1, first : last + 1].mean(dim=(1, 2))


def encode_visuals(encoder: VisionEncoder, visuals: list[Visual], max_patches: int | None = None) -> Tensor:
    """Features of the tokens that pruning keeps, visual after visual, frame after frame: [sum of kept, D].

    Frames know nothing of each other, so without gradients they may pass in portions of at most `max_patches` patches
    (at least one frame), which bounds memory. Frames of one size are encoded side by side.
    """
    features: list[list[Tensor]] = [[] for _ in visuals]
    for portion in _portions(visuals, max_patches):
        sizes = [(visuals[i].grid[1], visuals[i].grid[2], visuals[i].merge) for i, _, _ in portion]
        counts = [last - first for _, first, last in portion]
        pixels_NP = torch.cat([_pixels(visuals[i], first, last) for i, first, last in portion])
        encoded_ND = encoder(pixels_NP, _join_runs(counts, sizes))
        per_visual = encoded_ND.split([count * h * w for count, (h, w, _) in zip(counts, sizes, strict=True)])
        for (i, first, last), x_ND in zip(portion, per_visual, strict=True):
            kept = visuals[i].keep[first:last].flatten()
            features[i].append(merge_windows(x_ND, visuals[i].merge)[kept])
    return torch.cat([x for pieces in features for x in pieces])


Span = tuple[int, int, int]
"""(index of a visual, its first frame, the frame after its last)."""


def _portions(visuals: list[Visual], max_patches: int | None) -> list[list[Span]]:
    """All frames of all visuals, equal sizes next to each other, cut into portions of at most max_patches."""
    portions: list[list[Span]] = [[]]
    limit = sum(visual.patches.shape[0] for visual in visuals) if max_patches is None else max_patches
    room = limit
    for i in sorted(range(len(visuals)), key=lambda i: (visuals[i].grid[1:], visuals[i].merge)):
        num_frames, size = visuals[i].grid[0], visuals[i].patches_per_frame
        first = 0
        while first < num_frames:
            if room < size and portions[-1]:
                portions.append([])
                room = limit
            last = min(num_frames, first + max(1, room // size))
            portions[-1].append((i, first, last))
            room -= (last - first) * size
            first = last
    return portions


def _pixels(visual: Visual, first: int, last: int) -> Tensor:
    size = visual.patches_per_frame
    return normalise(visual.patches[first * size : last * size], visual.mean, visual.std)


def _join_runs(counts: list[int], sizes: list[FrameSize]) -> list[tuple[int, FrameSize]]:
    """Neighbouring runs of frames of one size become one run, which is one batch for attention."""
    runs: list[tuple[int, FrameSize]] = []
    for count, size in zip(counts, sizes, strict=True):
        if runs and runs[-1][1] == size:
            runs[-1] = (runs[-1][0] + count, size)
        else:
            runs.append((count, size))
    return runs
