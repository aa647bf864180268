"""Linear layers and embeddings in 8 bits, for x86 processors.

A weight keeps one scale for each of its rows (`quantised.py`), and each token gets one as it comes in. Their product is
summed in whole numbers, which is exact, so a token's result never depends on what else is in the batch.

Shapes: T tokens, I inputs, O outputs, V vocabulary, D width.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vl3.weights.quantised import quantised

STEPS = 127 if torch.cpu._is_vnni_supported() else 63
"""Steps of an input on each side of 0. Without VNNI pairs of products are summed in 16 bits, which 127 overflows."""
ZERO = STEPS + 1
"""Inputs are stored as unsigned bytes, for which the fast kernels are; this byte stands for 0."""
_ROWS = 8192  # of a matrix that are converted at once, to bound memory
_TOKENS = 512
"""Tokens that pass a layer at once: what they become between its operations stays in the processor's cache."""
_FEWEST = 4
"""Tokens that the kernel is given at least: for fewer it has a slower way of reading the same weights."""
_SMALLEST = 1e-30  # a token's scale, so that a token of zeros is not divided by 0


class Int8Linear(nn.Module):
    """One or more linear layers with the same input, side by side as one: x -> [y1, y2, ...]."""

    def __init__(self, weights: Sequence[Tensor], biases: Sequence[Tensor] = ()) -> None:
        """weights: each [O, I], of any floating type. biases: none, or one for each."""
        super().__init__()
        parts = [quantised_rows(weight) for weight in weights]
        self._install(torch.cat([steps for steps, _ in parts]), torch.cat([scale for _, scale in parts]))
        self.bias = torch.cat(list(biases)).float() if biases else None

    def _install(self, steps_OI: Tensor, scale_O: Tensor) -> None:
        self.scale = scale_O
        self._zeros = torch.zeros(len(scale_O), dtype=torch.int64)
        self._packed = torch.ops.onednn.qlinear_prepack(steps_OI, None)

    @classmethod
    def tied(cls, table: "Int8Embedding") -> "Int8Linear":
        """The output head that is an embedding matrix."""
        head = cls.__new__(cls)
        nn.Module.__init__(head)
        head._install(table.steps, table.scale)
        head.bias = None
        return head

    def forward(self, x: Tensor) -> Tensor:
        """[T, I] -> [T, O] in the type of x."""
        parts = [self._some(part) for part in x.split(_TOKENS)]
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def _some(self, x: Tensor) -> Tensor:
        scale_T1 = x.abs().amax(dim=-1, keepdim=True).float().div_(STEPS).clamp_min_(_SMALLEST)
        # int8, then moved up to unsigned: converting to unsigned bytes at once has no fast path in torch
        steps_TI = (x * scale_T1.reciprocal()).round_().to(torch.int8).view(torch.uint8).add_(ZERO)
        if len(x) < _FEWEST:
            steps_TI = F.pad(steps_TI, (0, 0, 0, _FEWEST - len(x)))
        y_TO = torch.ops.onednn.qlinear_pointwise(
            steps_TI, 1.0, ZERO, self._packed, self.scale, self._zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )[: len(x)]
        y_TO = y_TO.mul_(scale_T1) if self.bias is None else torch.addcmul(self.bias, y_TO, scale_T1)
        return y_TO.to(x.dtype)


class Int8Embedding(nn.Module):
    """Rows of a table in 8 bits."""

    def __init__(self, table: Tensor) -> None:
        """table: [V, D], of any floating type, which is that of the result."""
        super().__init__()
        self.steps, self.scale = quantised_rows(table)
        self.dtype = table.dtype

    def forward(self, ids: Tensor) -> Tensor:
        """int64 [T] -> [T, D]."""
        return (self.steps[ids] * self.scale[ids][..., None]).to(self.dtype)


def quantised_rows(weight_OI: Tensor) -> tuple[Tensor, Tensor]:
    """(int8 [O, I], float32 scale [O])."""
    parts = [quantised(rows) for rows in weight_OI.split(_ROWS)]
    return torch.cat([steps for steps, _ in parts]), torch.cat([scale for _, scale in parts]).float()
