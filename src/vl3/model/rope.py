"""Rotary position embeddings: two-dimensional for patches (paper section 3.1), one-dimensional for tokens (RoFormer,
arXiv 2104.09864). Both use the rotate-half convention: value i of a head is paired with value i + head_dim / 2.

Shapes: N patches or tokens, H heads, E head_dim.
"""

import math

import torch
from torch import Tensor

from vl3.config import RopeScaling
from vl3.model.patches import window_order

Rope = tuple[Tensor, Tensor]
"""(cos, sin), each float32 [N, head_dim]."""


def patch_rope(h: int, w: int, merge: int, head_dim: int, theta: float, device: torch.device) -> Rope:
    """Cosines and sines of the patches of one h x w frame, in merge-window order.

    Half of a head's frequencies turn with the row, half with the column; positions are plain indices.
    """
    rows = torch.arange(h, device=device)[:, None].expand(h, w)
    cols = torch.arange(w, device=device)[None, :].expand(h, w)
    half = head_dim // 2
    exponents = torch.arange(0, half, 2, dtype=torch.float32, device=device) / half
    inv_freq = 1.0 / theta**exponents
    positions_N2 = torch.stack([window_order(rows, merge), window_order(cols, merge)], dim=-1)
    angles = (positions_N2[..., None].float() * inv_freq).flatten(1)  # [N, half]: rows' angles, then columns'
    return _cos_sin(angles)


def token_rope(positions: Tensor, head_dim: int, theta: float, scaling: RopeScaling | None) -> Rope:
    """Cosines and sines at integer token positions [N]."""
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float32, device=positions.device) / head_dim
    inv_freq = 1.0 / theta**exponents
    if scaling is not None:
        inv_freq = _stretch(inv_freq, scaling)
    return _cos_sin(positions[:, None].float() * inv_freq)


def _stretch(inv_freq: Tensor, scaling: RopeScaling) -> Tensor:
    """Llama 3.1: long wavelengths are stretched by `factor`, short ones kept, those between blended."""
    turns = scaling.original_max_positions * inv_freq / (2 * math.pi)  # full turns within the original context
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    kept = ((turns - low) / (high - low)).clamp(0, 1)
    return inv_freq * (kept + (1 - kept) / scaling.factor)


def _cos_sin(angles: Tensor) -> Rope:
    both = torch.cat([angles, angles], dim=-1)
    return both.cos(), both.sin()


def rotate(x_NHE: Tensor, rope: Rope) -> Tensor:
    """Turns each head's pairs by its position's angles. Returns x's dtype; computed in that of `rope`."""
    cos_N1E, sin_N1E = rope[0][:, None], rope[1][:, None]
    x = x_NHE.to(cos_N1E.dtype)
    half = x.shape[-1] // 2
    turned = x * cos_N1E
    turned[..., :half] -= x[..., half:] * sin_N1E[..., :half]
    turned[..., half:] += x[..., :half] * sin_N1E[..., half:]
    return turned.to(x_NHE.dtype)
