"""DiffFP, the differential frame pruner: video tokens that did not change are dropped (paper section 3.2).

It looks at pixels only, so pruning is known before anything is encoded. The published rule is the default; the
calibrated ones count in 8-bit grey levels or tokens.

Shapes: t frames, n tokens a frame, each a window of patches with `size` values in all (C channels).
"""

import torch
from torch import Tensor

from vl3.config import PruneConfig
from vl3.errors import UserError


def keep_mask(patches: Tensor, num_frames: int, window: int, std: tuple[float, ...], config: PruneConfig) -> Tensor:
    """bool [t, n]: which tokens of a clip the decoder sees.

    patches: uint8 [t * n * window, C * p * p] in merge-window order; window: patches in a token (merge^2). All of the
    first frame is kept, and at least one token of every frame.
    """
    windows = patches.view(num_frames, -1, window, len(std), patches.shape[1] // len(std))  # [t, n, window, C, p * p]
    mode, value = config.mode, config.value
    if mode == "off" or num_frames == 1:
        return torch.ones(windows.shape[:2], dtype=torch.bool, device=patches.device)
    if mode == "grey":
        return _against_last_kept(windows, value)
    # the published measure is the mean absolute difference of *normalised* values, times 255
    scales = 1 / torch.tensor(std, dtype=torch.float64, device=patches.device)
    change = _difference(windows[1:], windows[:-1], scales if mode == "published" else torch.ones_like(scales))
    if mode == "published":
        return _with_first(change > value)
    return _most_changed(change, _aim(windows.shape[0], windows.shape[1], config), exact=mode == "budget")


def most_kept(num_frames: int, per_frame: int, config: PruneConfig) -> int:
    """The most tokens that pruning can leave of a clip, whatever it shows."""
    if num_frames == 1 or config.mode not in ("keep", "budget"):
        return num_frames * per_frame
    return min(num_frames * per_frame, max(_aim(num_frames, per_frame, config), per_frame + num_frames - 1))


def _aim(num_frames: int, per_frame: int, config: PruneConfig) -> int:
    """How many tokens `keep` and `budget` want of a clip."""
    return max(1, round(config.value * num_frames * per_frame)) if config.mode == "keep" else int(config.value)


def _difference(a: Tensor, b: Tensor, scales: Tensor) -> Tensor:
    """Mean of |a - b| * scale over each token's window, float64 [t, n], from [t, n, window, C, p * p] uint8."""
    frames = []
    for x, y in zip(a, b, strict=True):  # frame by frame: the integers of one frame stay in cache
        absolute = torch.maximum(x, y) - torch.minimum(x, y)
        frames.append(absolute.sum(dim=(1, 3), dtype=torch.int32))
    sums = torch.stack(frames).double()  # [t, n, C]
    return (sums * scales).sum(dim=-1) / a[0, 0].numel()


def _with_first(changed: Tensor) -> Tensor:
    """Adds the whole first frame to [t - 1, n], and a first token where a frame would have none."""
    keep = torch.cat([torch.ones_like(changed[:1]), changed])
    keep[:, 0] |= ~keep.any(dim=1)
    return keep


def _against_last_kept(windows: Tensor, grey: float) -> Tensor:
    """A window counts as changed once it differs by more than `grey` levels from what the decoder last saw of it.

    Comparing with the last *kept* content, not with the frame before, lets slow changes add up until they show.
    """
    seen = windows[0].clone()
    one = torch.ones(windows.shape[3], dtype=torch.float64, device=windows.device)
    rows = [torch.ones(windows.shape[1], dtype=torch.bool, device=windows.device)]
    for frame in windows[1:]:
        changed = _difference(frame[None], seen[None], one)[0] > grey
        changed[0] |= ~changed.any()
        seen[changed] = frame[changed]
        rows.append(changed)
    return torch.stack(rows)


def _most_changed(change: Tensor, num_tokens: int, exact: bool) -> Tensor:
    """The `num_tokens` most changed tokens of a clip, the first frame and one token of each other frame among them."""
    num_later, per_frame = change.shape
    least = per_frame + num_later
    if num_tokens < least:
        if exact:
            raise UserError(
                f"prune budget={num_tokens} is too small: the first frame and one token of each of the other "
                f"{num_later} frames are {least} tokens; raise it, or lower the number of frames or of visual tokens"
            )
        num_tokens = least
    change = change.clone()
    change[torch.arange(num_later), change.argmax(dim=1)] += change.max() + 1  # each frame's most changed comes first
    order = change.flatten().sort(descending=True, stable=True).indices
    keep = torch.zeros(num_later * per_frame, dtype=torch.bool, device=change.device)
    keep[order[: num_tokens - per_frame]] = True
    return torch.cat([torch.ones_like(keep[:per_frame]), keep]).view(num_later + 1, per_frame)
