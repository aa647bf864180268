"""One image or one clip, as the encoder takes it: 8-bit patches, their grid, and which tokens survive pruning."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Visual:
    """An image (t = 1) or a clip of t frames of one size.

    Pixels stay 8-bit until the encoder wants them: a quarter of the memory, and pruning compares exact integers.
    """

    patches: Tensor
    """uint8 [t * h * w, channels * patch * patch], rows in merge-window order, a row ordered (channel, y, x)."""
    grid: tuple[int, int, int]
    """(t, h, w): frames, and rows and columns of patches in each."""
    merge: int
    """Side of the window of patches that becomes one token."""
    keep: Tensor
    """bool [t, h * w / merge^2]: the tokens that the decoder sees (DiffFP; all True for an image)."""
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    """Subtracted from each channel of pixels in 0..1."""
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    """Divides each channel."""

    def __post_init__(self) -> None:
        t, h, w = self.grid
        assert h % self.merge == 0 and w % self.merge == 0, f"grid {self.grid} is not in whole {self.merge}-windows"
        assert self.patches.shape[0] == t * h * w, f"{self.patches.shape[0]} patches for a grid of {self.grid}"
        assert self.keep.shape == (t, h * w // self.merge**2), f"keep is {tuple(self.keep.shape)} for {self.grid}"

    @property
    def patches_per_frame(self) -> int:
        """h * w."""
        return self.grid[1] * self.grid[2]

    @property
    def num_tokens(self) -> int:
        """Tokens that the decoder sees, after pruning."""
        return int(self.keep.sum())

    @property
    def tokens_per_frame(self) -> list[int]:
        """The same for each frame."""
        counts: list[int] = self.keep.sum(dim=1).tolist()
        return counts

    @cached_property
    def frame_digests(self) -> list[bytes]:
        """A digest of each frame's pixels: equal ones stand for frames that are equal bit by bit."""
        pixels = self.patches.view(self.grid[0], -1).cpu().numpy()
        return [hashlib.blake2b(frame.data, digest_size=16).digest() for frame in pixels]

    @cached_property
    def digest(self) -> bytes:
        """Of all that its tokens depend on: pixels, grid, merging, normalisation and which tokens are kept."""
        form = repr((self.grid, self.merge, self.mean, self.std)).encode()
        kept = self.keep.cpu().numpy().tobytes()
        return hashlib.blake2b(b"".join([form, kept, *self.frame_digests]), digest_size=16).digest()

    def to(self, device: torch.device | str) -> "Visual":
        """The same visual with its tensors on `device`."""
        return Visual(
            patches=self.patches.to(device, non_blocking=True),
            grid=self.grid,
            merge=self.merge,
            keep=self.keep.to(device, non_blocking=True),
            mean=self.mean,
            std=self.std,
        )


def normalise(patches: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """uint8 [n, channels * pixels] in 0..255 -> float32 of the same shape, (x / 255 - mean) / std per channel."""
    channels = len(mean)
    mean_C1 = torch.tensor(mean, dtype=torch.float32, device=patches.device)[:, None]
    std_C1 = torch.tensor(std, dtype=torch.float32, device=patches.device)[:, None]
    pixels_NCP = patches.view(patches.shape[0], channels, -1).float()
    return pixels_NCP.mul_(1 / 255).sub_(mean_C1).div_(std_C1).flatten(1)
