"""The loss: cross-entropy at supervised positions only, without ever holding all their logits.

At a vocabulary of 152k the logits of 16k tokens are 10 GB in float32. Here a chunk of logits lives only long enough to
give its losses and its gradients, which are added at once to the gradients of the hidden states and of the head, so
nothing is recomputed in the backward pass (the idea of Liger's fused linear cross-entropy, arXiv 2410.10989).

Shapes: T tokens of all sequences, n supervised ones, c of them in a chunk, D hidden width, V vocabulary.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vl3.train.config import Weighting

IGNORE = -100
"""The label of a token that is not trained on."""

CHUNK_VALUES = {"cuda": 1 << 27, "cpu": 1 << 24}
"""Logits held at a time, by device: enough rows for a fast product, 512 MB and 64 MB in float32."""


def next_token_targets(labels: Tensor, lengths: list[int]) -> Tensor:
    """int64 [T]: what each position should predict, the label of the next token of its own sequence, or IGNORE."""
    targets = labels.roll(-1)
    last_of_each = torch.tensor(lengths, device=labels.device).cumsum(0) - 1
    targets[last_of_each] = IGNORE
    return targets


def token_weights(targets: Tensor, weighting: Weighting) -> Tensor:
    """float32 [n]: what each supervised token counts for. targets: [T], as `next_token_targets` gives them.

    An answer is a run of supervised positions. With "square_root" one of n tokens counts as much as the root of n
    tokens (square averaging, InternVL 2.5, arXiv 2412.05271), so that long answers do not drown short ones.
    """
    places = (targets != IGNORE).nonzero()[:, 0]
    weights_n = torch.ones(len(places), device=targets.device)
    if weighting == "tokens" or not len(places):
        return weights_n
    answer_n = (places.diff(prepend=places[:1]) > 1).cumsum(0)
    return weights_n * answer_n.bincount()[answer_n].rsqrt()


def cross_entropy(
    hidden_nD: Tensor, head_VD: Tensor, targets: Tensor, chunk: int | None = None, weights_n: Tensor | None = None
) -> Any:
    """(sum of the losses, float32 and differentiable; the losses, float32 [n]; whether each token is the likeliest).

    hidden_nD: hidden states at the supervised positions; targets: int64 [n], their tokens. `chunk`: how many
    positions' logits exist at a time. weights_n: what each token counts for in the sum, 1 by default. Products are in
    autocast's dtype where it is on, softmax and sums in float32.
    """
    device = hidden_nD.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden_nD.dtype
    chunk = chunk or max(1, CHUNK_VALUES.get(device, 1 << 26) // head_VD.shape[0])
    weights_n = torch.ones(len(targets), device=targets.device) if weights_n is None else weights_n
    return _ChunkedCrossEntropy.apply(hidden_nD, head_VD, targets, weights_n, chunk, dtype, torch.is_grad_enabled())


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Losses and gradients in one pass over chunks; the backward pass only scales what the forward pass has found."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_nD: Tensor,
        head: Tensor,
        targets: Tensor,
        weights_n: Tensor,
        chunk: int,
        dtype: torch.dtype,
        grad: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        head_VD = head.to(dtype)
        grad_hidden = torch.zeros_like(hidden_nD) if grad and ctx.needs_input_grad[0] else None
        grad_head = torch.zeros_like(head_VD, dtype=torch.float32) if grad and ctx.needs_input_grad[1] else None
        losses = [hidden_nD.new_empty(0, dtype=torch.float32)]
        hits = [targets.new_empty(0, dtype=torch.bool)]
        with torch.autocast(hidden_nD.device.type, enabled=False):
            for start in range(0, hidden_nD.shape[0], chunk):
                rows = slice(start, start + chunk)
                h_cD = hidden_nD[rows].to(head_VD.dtype)
                loss, hit, probabilities_cV = _softmax_loss(F.linear(h_cD, head_VD).float(), targets[rows])
                losses.append(loss)
                hits.append(hit)
                slope_cV = _slope(probabilities_cV, targets[rows], weights_n[rows]).to(head_VD.dtype)
                if grad_hidden is not None:
                    grad_hidden[rows] = (slope_cV @ head_VD).to(grad_hidden.dtype)
                if grad_head is not None and slope_cV.dtype == torch.float32:
                    grad_head.addmm_(slope_cV.T, h_cD)
                elif grad_head is not None:
                    grad_head += slope_cV.T @ h_cD
        ctx.save_for_backward(grad_hidden, None if grad_head is None else grad_head.to(head.dtype))
        per_token, likeliest = torch.cat(losses), torch.cat(hits)
        ctx.mark_non_differentiable(per_token, likeliest)
        return (per_token * weights_n).sum(), per_token, likeliest

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        grad_hidden, grad_head = (
            None if grad is None else grad.mul_(upstream[0].to(grad.dtype)) for grad in ctx.saved_tensors
        )
        return grad_hidden, grad_head, None, None, None, None, None


def _softmax_loss(logits_cV: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Losses [c], hits [c] and probabilities [c, V]; the latter take the place of the logits."""
    largest = logits_cV.amax(dim=-1, keepdim=True)
    logits_cV.sub_(largest)
    of_target = logits_cV.gather(1, targets[:, None])
    sums = logits_cV.exp_().sum(dim=-1, keepdim=True)
    return (sums.log() - of_target)[:, 0], of_target[:, 0] == 0, logits_cV.div_(sums)


def _slope(probabilities_cV: Tensor, targets: Tensor, weights_c: Tensor) -> Tensor:
    """d loss / d logits: probabilities less the one-hot target, by the token's weight, in place."""
    rows = torch.arange(len(targets), device=targets.device)
    probabilities_cV[rows, targets] -= 1
    return probabilities_cV.mul_(weights_c[:, None])
