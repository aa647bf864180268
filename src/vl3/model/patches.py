"""Frames <-> patches in merge-window order.

Shapes: t frames; h, w rows and columns of patches; m merge; p patch size; C channels.
"""

from torch import Tensor


def patchify(frames: Tensor, patch: int, merge: int) -> tuple[Tensor, tuple[int, int, int]]:
    """[t, height, width, C] -> ([t * h * w, C * p * p], (t, h, w)), each m x m window of patches contiguous.

    Both sides must be multiples of patch * merge.
    """
    t, height, width, channels = frames.shape
    side = patch * merge
    assert height % side == 0 and width % side == 0, f"{height} x {width} is not in whole {side}-windows"
    windows = frames.reshape(t, height // side, merge, patch, width // side, merge, patch, channels)
    # [t, h/m, m, p, w/m, m, p, C] -> [t, h/m, w/m, m, m, C, p, p]
    rows = windows.permute(0, 1, 4, 2, 5, 7, 3, 6).reshape(-1, channels * patch**2)
    return rows, (t, height // patch, width // patch)


def unpatchify(rows: Tensor, grid: tuple[int, int, int], patch: int, merge: int) -> Tensor:
    """The inverse of `patchify`: [t * h * w, C * p * p] -> [t, height, width, C]."""
    t, h, w = grid
    windows = rows.reshape(t, h // merge, w // merge, merge, merge, -1, patch, patch)
    return windows.permute(0, 1, 3, 6, 2, 4, 7, 5).reshape(t, h * patch, w * patch, -1)


def window_order(raster: Tensor, merge: int) -> Tensor:
    """[h, w, ...] -> [h * w, ...] with each merge x merge window contiguous, windows in raster order."""
    h, w = raster.shape[:2]
    windows = raster.reshape(h // merge, merge, w // merge, merge, *raster.shape[2:])
    return windows.transpose(1, 2).reshape(h * w, *raster.shape[2:])
