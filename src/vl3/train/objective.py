"""What is trained: the model together with its losses, from one pack of samples to their sums.

One forward pass of this module is one micro-batch. It is the root of sharding: what it calls inside its own forward
pass (embedding, projector, head) it finds whole.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from vl3.data import Pack
from vl3.model import VideoLLaMA3, Visual
from vl3.model.videollama3 import splice
from vl3.train.align import Align, align_weight
from vl3.train.config import Weighting
from vl3.train.distributed import World
from vl3.train.loss import IGNORE, cross_entropy, next_token_targets, token_weights


class Terms(NamedTuple):
    """The losses of one pack, as sums: float32 scalars, with gradients where there is something to learn."""

    answers: Tensor
    """Of supervised tokens, weighted."""
    per_token: Tensor
    """float32 [n]: the same one by one and unweighted, n the supervised tokens in their order, without gradients."""
    likeliest: Tensor
    """bool [n]: whether the model would say the very token."""
    alignment: Tensor
    """Of visual tokens against words, weighted."""
    named: Tensor
    """float32 [2]: things that alignment named rightly, and things."""


class Objective(nn.Module):
    """pack -> (sum of the losses of its supervised tokens; these losses one by one)."""

    def __init__(
        self,
        model: VideoLLaMA3,
        align: Align | None = None,
        weighting: Weighting = "tokens",
        always_look: bool = False,
    ) -> None:
        """align: also the loss of visual tokens against words; weighting: of answers.

        always_look: run the vision encoder also for packs without media, on a dummy patch whose weight is zero.

        Needed where ranks share the work: all must take part in the gathering of the encoder's weights and in the
        reduction of its gradients, or the others wait for ever.
        """
        super().__init__()
        self.model = model
        self.align = align
        self.weighting = weighting
        self.always_look = always_look

    def forward(self, pack: Pack) -> "Terms":
        """The losses of one pack."""
        x_TD = self._embed(pack.input_ids)
        alignment, named = x_TD.new_zeros((), dtype=torch.float32), x_TD.new_zeros(2, dtype=torch.float32)
        if pack.visuals:
            tokens_nD = self.model.see(pack.visuals)
            if self.align is not None and pack.visual_texts is not None:
                alignment, named = self.align(tokens_nD, pack)
            if self.answers:
                x_TD = splice(x_TD, pack.visual_mask, tokens_nD)
        elif self.always_look:
            x_TD = x_TD + 0 * self.model.see([self._dummy(x_TD.device)]).sum()
        answers, per_token = x_TD.new_zeros((), dtype=torch.float32), x_TD.new_zeros(0, dtype=torch.float32)
        likeliest = per_token.bool()
        if self.answers:
            answers, per_token, likeliest = self._answers(x_TD, pack)
        return Terms(answers, per_token, likeliest, alignment, named)

    @property
    def answers(self) -> bool:
        """Whether the language model runs."""
        return self.align is None or self.align.config.answers

    def answers_weight(self, pack: Pack) -> float:
        """What the answers of a pack count for: its supervised tokens, all but the first of a sample, weighted."""
        return float(token_weights(next_token_targets(pack.labels, pack.lengths), self.weighting).sum())

    def align_weight(self, pack: Pack) -> float:
        """What the alignment loss of a pack counts for."""
        return 0.0 if self.align is None else align_weight(pack, self.align.config)

    def _answers(self, x_TD: Tensor, pack: Pack) -> tuple[Tensor, Tensor, Tensor]:
        language = self.model.language
        hidden_TD = language(x_TD, pack.lengths, branches=pack.branches)
        targets = next_token_targets(pack.labels, pack.lengths)
        supervised = targets != IGNORE
        head_VD = language.get_parameter("embed_tokens.weight" if language.lm_head is None else "lm_head.weight")
        weights_n = token_weights(targets, self.weighting)
        result: Any = cross_entropy(hidden_TD[supervised], head_VD, targets[supervised], weights_n=weights_n)
        return result

    def _embed(self, ids: Tensor) -> Tensor:
        """Rows of the embedding matrix. Where it is also the head, their gradients are added in place to the one that
        the head's loss has left by then: autograd would fill a second matrix for them, of zeros but for these rows.
        """
        weight = self.model.language.embed_tokens.weight
        tied = self.model.language.lm_head is None and weight.requires_grad and torch.is_grad_enabled()
        if not tied or self.always_look:  # sharded gradients are autograd's own
            rows: Tensor = self.model.language.embed_tokens(ids)
            return rows
        rows_TD = F.embedding(ids, weight.detach()).requires_grad_()

        def join_head(grad_TD: Tensor) -> None:
            assert weight.grad is not None, "the head's gradient comes before the embedding's"
            weight.grad.index_add_(0, ids, grad_TD)

        rows_TD.register_hook(join_head)
        return rows_TD

    def _dummy(self, device: torch.device) -> Visual:
        patch = torch.zeros(1, self.model.config.vision.patch_dim, dtype=torch.uint8, device=device)
        return Visual(patch, (1, 1, 1), 1, torch.ones(1, 1, dtype=torch.bool, device=device))


def shard(objective: Objective, world: World, half: bool) -> Objective:
    """Spreads weights, gradients and optimiser state of every block over the ranks, in place (FSDP2, arXiv 2304.11277).

    A block is gathered just before it is used. half: weights travel as bfloat16, gradients meet in float32. One process
    alone is not wrapped in anything.
    """
    if world.size == 1:
        return objective
    halves = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    policy = halves if half else MixedPrecisionPolicy()
    mesh = init_device_mesh(world.device.type, (world.size,))
    for block in [*objective.model.vision.blocks, *objective.model.language.layers]:
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(objective, mesh=mesh, mp_policy=policy)
    return objective
