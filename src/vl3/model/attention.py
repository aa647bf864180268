"""Attention over packed sequences: block-diagonal, and never through a mask over the whole pack.

Shapes: T tokens of all sequences back to back, H query heads, J key/value heads, E head_dim.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vl3.model.cache import KVCache

try:  # one kernel for sequences of many lengths; ships with torch from 2.10 on and runs on CUDA only
    from torch.nn.attention.varlen import varlen_attn
except ImportError:
    varlen_attn = None  # type: ignore[assignment]

MOST_PRODUCTS = 1024
"""Longest sequence, in tokens, whose attention keeps all its scores for the backward pass."""


def frame_attention(q_THE: Tensor, k_THE: Tensor, v_THE: Tensor, groups: list[tuple[int, int]]) -> Tensor:
    """Full attention inside each frame, none across frames.

    `groups` lists (number of frames, patches in each), in the order of T: frames of one size are one batch of one
    SDPA call, so memory grows with the largest frame and not with the clip. Returns [T, H, E].
    """
    outputs = []
    lengths = [num_frames * size for num_frames, size in groups]
    pieces = zip(q_THE.split(lengths), k_THE.split(lengths), v_THE.split(lengths), groups, strict=True)
    for q, k, v, (num_frames, size) in pieces:
        q_FHSE, k_FHSE, v_FHSE = (x.unflatten(0, (num_frames, size)).transpose(1, 2) for x in (q, k, v))
        outputs.append(F.scaled_dot_product_attention(q_FHSE, k_FHSE, v_FHSE).transpose(1, 2).flatten(0, 1))
    return torch.cat(outputs) if len(outputs) > 1 else outputs[0]


def changed_attention(q_THE: Tensor, k_THE: Tensor, v_THE: Tensor, changed_FS: Tensor) -> Tensor:
    """Attention inside each frame of one size, of which only some patches are given: those that changed. [T, H, E].

    changed_FS: bool, which of each frame's patches the T are; all of the first frame's. A frame's other keys and values
    are those of the frame before.
    """
    assert bool(changed_FS[0].all()), "the first frame must be whole"
    outputs = []
    counts = changed_FS.sum(dim=1).tolist()
    pieces = zip(q_THE.split(counts), k_THE.split(counts), v_THE.split(counts), changed_FS, strict=True)
    keys_SHE, values_SHE = k_THE[: counts[0]].clone(), v_THE[: counts[0]].clone()
    for q_nHE, k_nHE, v_nHE, changed_S in pieces:
        keys_SHE[changed_S], values_SHE[changed_S] = k_nHE, v_nHE
        q_HnE, k_HSE, v_HSE = (x.transpose(0, 1)[None] for x in (q_nHE, keys_SHE, values_SHE))
        outputs.append(F.scaled_dot_product_attention(q_HnE, k_HSE, v_HSE)[0].transpose(0, 1))
    return torch.cat(outputs)


def causal_attention(
    q_THE: Tensor, k_TJE: Tensor, v_TJE: Tensor, lengths: list[int], masks: list[Tensor | None] | None = None
) -> Tensor:
    """Causal attention inside each of the packed sequences of `lengths`; nothing passes between them. [T, H, E].

    masks: for a sequence that branches, bool [n, n], what each of its tokens sees; None for a plain one.
    """
    masks = masks or [None] * len(lengths)
    plain = all(mask is None for mask in masks)
    if varlen_attn is not None and plain and q_THE.is_cuda and q_THE.dtype in (torch.float16, torch.bfloat16):
        return _causal_attention_varlen(q_THE, k_TJE, v_TJE, lengths)
    outputs = []
    for q, k, v, mask in zip(q_THE.split(lengths), k_TJE.split(lengths), v_TJE.split(lengths), masks, strict=True):
        q_HnE, k_JnE, v_JnE = q.transpose(0, 1), k.transpose(0, 1), v.transpose(0, 1)
        if mask is not None and q.device.type == "cpu" and q.requires_grad and len(q) <= MOST_PRODUCTS:
            outputs.append(_masked_by_products(q_HnE, k_JnE, v_JnE, mask).transpose(0, 1))
        else:
            outputs.append(_sdpa(q_HnE, k_JnE, v_JnE, is_causal=mask is None, mask=mask).transpose(0, 1))
    return torch.cat(outputs) if len(outputs) > 1 else outputs[0]


def branch_mask(branches: Sequence[int], device: torch.device) -> Tensor:
    """bool [n, n] for a trunk and branches of the given lengths: a branch sees the trunk and itself, causally."""
    which = torch.arange(len(branches), device=device).repeat_interleave(torch.tensor(branches, device=device))
    seen = (which[:, None] == which[None, :]) | (which == 0)[None, :]
    return seen.tril()


def cached_attention(
    q_THE: Tensor, k_TJE: Tensor, v_TJE: Tensor, lengths: list[int], caches: list[KVCache], layer: int
) -> Tensor:
    """The same for sequences that go on from their caches, which take in the new keys and values. [T, H, E]."""
    outputs = []
    pieces = zip(q_THE.split(lengths), k_TJE.split(lengths), v_TJE.split(lengths), caches, strict=True)
    for q_nHE, k_nJE, v_nJE, cache in pieces:
        k_JLE, v_JLE = cache.append(layer, k_nJE, v_nJE)
        outputs.append(_continue_sequence(q_nHE, k_JLE, v_JLE))
    return torch.cat(outputs) if len(outputs) > 1 else outputs[0]


def _continue_sequence(q_nHE: Tensor, k_JLE: Tensor, v_JLE: Tensor) -> Tensor:
    """Attention of the last n of L tokens to all that came before them and themselves."""
    n, num_heads, width = q_nHE.shape
    num_kv_heads, total, _ = k_JLE.shape
    if n == 1:  # one new token sees everything: its heads that share keys become the rows of one small matrix
        q_JGE = q_nHE.reshape(num_kv_heads, num_heads // num_kv_heads, width)
        out_JGE = F.scaled_dot_product_attention(q_JGE[None], k_JLE[None], v_JLE[None])[0]
        return out_JGE.reshape(1, num_heads, width)
    if n == total:
        return _sdpa(q_nHE.transpose(0, 1), k_JLE, v_JLE, is_causal=True).transpose(0, 1)
    seen_nL = torch.ones(n, total, dtype=torch.bool, device=q_nHE.device).tril(diagonal=total - n)
    return _sdpa(q_nHE.transpose(0, 1), k_JLE, v_JLE, mask=seen_nL).transpose(0, 1)


def _sdpa(q_HnE: Tensor, k_JLE: Tensor, v_JLE: Tensor, is_causal: bool = False, mask: Tensor | None = None) -> Tensor:
    """One sequence; key/value heads are repeated for the query heads that share them."""
    group = q_HnE.shape[0] // k_JLE.shape[0]
    k_HLE, v_HLE = (x[:, None].expand(-1, group, -1, -1).flatten(0, 1) for x in (k_JLE, v_JLE))
    return F.scaled_dot_product_attention(
        q_HnE[None], k_HLE[None], v_HLE[None], attn_mask=None if mask is None else mask[None, None], is_causal=is_causal
    )[0]


def _masked_by_products(q_HnE: Tensor, k_JnE: Tensor, v_JnE: Tensor, mask_nn: Tensor) -> Tensor:
    """The same as `_sdpa` with a mask, all scores at once, which is faster on a CPU in bfloat16, forward and backward.

    For training, and for short sequences only: the backward pass keeps all scores in every layer.
    """
    num_heads, n, width = q_HnE.shape
    group = num_heads // k_JnE.shape[0]
    bias_nn = torch.zeros(n, n, dtype=q_HnE.dtype).masked_fill(~mask_nn, float("-inf"))
    q_JGE = q_HnE.unflatten(0, (-1, group)).flatten(1, 2)  # heads that share keys are the rows of one matrix
    scores_JGn = torch.baddbmm(bias_nn.repeat(group, 1)[None], q_JGE, k_JnE.mT, alpha=width**-0.5)
    return (scores_JGn.softmax(dim=-1) @ v_JnE).unflatten(1, (group, n)).flatten(0, 1)


def _causal_attention_varlen(q_THE: Tensor, k_TJE: Tensor, v_TJE: Tensor, lengths: list[int]) -> Tensor:
    bounds = torch.tensor([0, *lengths], device=q_THE.device).cumsum(0, dtype=torch.int32)
    longest = max(lengths)
    group = q_THE.shape[1] // k_TJE.shape[1]
    k_THE, v_THE = k_TJE.repeat_interleave(group, dim=1), v_TJE.repeat_interleave(group, dim=1)
    out = varlen_attn(q_THE, k_THE, v_THE, bounds, bounds, longest, longest, window_size=(-1, 0))
    assert isinstance(out, Tensor)
    return out
