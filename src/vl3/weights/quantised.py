"""Matrices stored as int8 with a float16 scale for each row: `NAME` and `NAME.scale`."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from vl3.errors import UserError
from vl3.weights.files import TensorFiles

SCALE = ".scale"
SHORTEST_ROW = 16
"""Shorter rows are left alone: their scales would take most of what is saved."""


def quantised(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """(int8 of the same shape, float16 [rows]) of a tensor [rows, ...]; no value moves by more than scale / 2."""
    rows = tensor.detach().cpu().float().flatten(1)
    largest = rows.abs().amax(dim=1).numpy()
    scale = np.maximum(largest / 127, np.finfo(np.float16).smallest_subnormal).astype(np.float16)
    # where rounding made the scale too small for the largest value, the next float16 is taken
    scale = np.where(scale.astype(np.float32) * 127 < largest, np.nextafter(scale, np.float16(np.inf)), scale)
    assert np.isfinite(scale).all(), "a row's values are too large for a float16 scale"
    steps = (rows / torch.from_numpy(scale).float()[:, None]).round().clamp(-127, 127)
    return steps.to(torch.int8).reshape(tensor.shape), torch.from_numpy(scale)


def dequantised(steps: Tensor, scale: Tensor) -> Tensor:
    """float32 values of what `quantised` gave."""
    return (steps.flatten(1).float() * scale.float()[:, None]).reshape(steps.shape)


def quantise_all(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, with matrices and convolutions whose rows are long enough in int8, and their scales."""
    result: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.ndim >= 2 and tensor[0].numel() >= SHORTEST_ROW:
            result[name], result[name + SCALE] = quantised(tensor)
        else:
            result[name] = tensor
    return result


class Int8Tensors:
    """Stored tensors as they were before `quantise_all`, but for rounding."""

    def __init__(self, files: TensorFiles, where: str) -> None:
        """UserError when an int8 tensor has no fitting scale."""
        self._files = files
        self._int8 = {name for name in files if files.kind(name) == "I8"}
        for name in sorted(self._int8):
            scale = name + SCALE
            if scale not in files or files.kind(scale) != "F16" or files.shape(scale) != files.shape(name)[:1]:
                raise UserError(f"{where}: {name} is int8 but has no float16 scale for each row ({scale})")

        scales = {name + SCALE for name in self._int8}
        self._names = dict.fromkeys(name for name in files if name not in scales)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor."""
        return self._files.shape(name)

    def get(self, name: str, dtype: torch.dtype | None) -> Tensor:
        """A tensor, in the dtype asked for (None: float32 for int8 ones)."""
        if name not in self._int8:
            return self._files.get(name, dtype)
        tensor = dequantised(self._files.raw(name), self._files.raw(name + SCALE))
        return tensor.to(self._files.device, dtype or torch.float32)
