"""Linear layers and gated MLPs in 4 bits, computed by OpenVINO (the extra `int4`).

Every 32 weights of a row share a float16 scale. OpenVINO rounds inputs to 8 bits, 32 at a time, and keeps all else in
float32.

Shapes: T tokens, I inputs, O outputs, G groups of a row, D width, F width inside the MLP.
"""

import mmap
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vl3.errors import UserError

GROUP = 32
"""Weights that share a scale."""
_ROWS = 8192  # of a matrix that are converted at once, to bound memory
_TOKENS = 64  # that pass a graph at once: it keeps room for its largest input
_LOWEST, _HIGHEST = -8, 7  # what 4 bits hold


def require_openvino() -> None:
    """UserError with the cure where it is not installed."""
    try:
        import openvino  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError("--quantize int4 needs openvino: pip install 'vl3[int4]'") from error


def quantised_int4(weight_OI: Tensor) -> tuple[Tensor, Tensor]:
    """(steps int8 [O, G, 32] in -8..7, scale float16 [O, G, 1]) that stand for steps * scale.

    The weight of a group that is farthest from 0 becomes -8; then the scale is refitted by least squares.
    """
    parts = [_quantised_rows(rows) for rows in weight_OI.detach().cpu().split(_ROWS)]
    return torch.cat([steps for steps, _ in parts]), torch.cat([scale for _, scale in parts])


def _quantised_rows(rows_OI: Tensor) -> tuple[Tensor, Tensor]:
    groups_OGI = rows_OI.float().unflatten(1, (-1, GROUP))
    farthest = groups_OGI.gather(2, groups_OGI.abs().argmax(dim=2, keepdim=True))
    scale = farthest / _LOWEST
    steps = (groups_OGI / torch.where(scale == 0, 1.0, scale)).round_().clamp_(_LOWEST, _HIGHEST)
    fitted = (groups_OGI * steps).sum(2, keepdim=True) / (steps * steps).sum(2, keepdim=True).clamp_min_(1)
    return steps.to(torch.int8), fitted.half()


def dequantised_int4(steps: Tensor, scale: Tensor) -> Tensor:
    """float32 [O, I] of what `quantised_int4` gave."""
    return (steps.float() * scale.float()).flatten(1)


class _Stored:
    """Rounded weights, two to a byte, in a file that vanishes with its last user.

    OpenVINO packs them anew when a graph first runs, and may come back to them; in a file they need not stay in memory.
    """

    def __init__(self, weight_OI: Tensor) -> None:
        steps_OGI, self.scale = quantised_int4(weight_OI)
        self.shape = list(steps_OGI.shape)
        nibbles = (steps_OGI.numpy().reshape(-1, 2) & 15).astype(np.uint8)
        with tempfile.TemporaryFile() as file:
            file.write((nibbles[:, 0] | nibbles[:, 1] << 4).data)
            file.flush()
            self._map = mmap.mmap(file.fileno(), 0)

    def matrix(self, op: Any) -> Any:
        """[O, I], in the form that OpenVINO recognises as compressed weights."""
        import openvino

        tensor = openvino.Tensor(np.frombuffer(self._map, np.uint8), openvino.Shape(self.shape), openvino.Type.i4)
        values = op.convert(openvino.op.Constant(tensor, shared_memory=True), openvino.Type.f16)
        scaled = op.multiply(values, op.constant(self.scale.numpy()))
        rows = op.constant(np.array([self.shape[0], self.shape[1] * self.shape[2]]))
        return op.convert(op.reshape(scaled, rows, False), openvino.Type.f32)

    def release(self) -> None:
        """Gives the memory back; what is read again comes from the file."""
        self._map.madvise(mmap.MADV_DONTNEED)


class _Graph(nn.Module):
    """An OpenVINO graph from [T, I] to [T, O]."""

    def __init__(self, weights: Sequence[Tensor], build: Callable[..., Any]) -> None:
        """build: (OpenVINO's operators, input, matrices) -> output."""
        super().__init__()
        import openvino
        from openvino import opset13

        self._stored = [_Stored(weight) for weight in weights]
        x = opset13.parameter([-1, weights[0].shape[1]], openvino.Type.f32)
        graph = openvino.Model([build(opset13, x, *(stored.matrix(opset13) for stored in self._stored))], [x])
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "INFERENCE_PRECISION_HINT": "f32",
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": GROUP,
        }
        # OpenVINO gives the thread that compiles a signal stack which goes with the graph: a handler that then ran on
        # it (Ctrl-C's, say) would end the process. So that thread is one that ends at once.
        with ThreadPoolExecutor(max_workers=1) as thread:
            compiled = thread.submit(openvino.Core().compile_model, graph, "CPU", settings).result()
        self._request = compiled.create_infer_request()
        self._turn = threading.Lock()  # several threads may use one model, but a request only one at a time
        self.forward(torch.zeros(1, weights[0].shape[1]))
        for stored in self._stored:
            stored.release()

    def forward(self, x: Tensor) -> Tensor:
        """[T, I] -> [T, O] in the type of x."""
        parts = []
        for part in x.split(_TOKENS):
            with self._turn:
                (y,) = self._request.infer([part.float().contiguous().numpy()]).values()
            parts.append(torch.from_numpy(y).to(x.dtype))
        return torch.cat(parts) if len(parts) > 1 else parts[0]


class Int4Linear(_Graph):
    """One or more linear layers with the same input, side by side as one: x -> [y1, y2, ...]."""

    def __init__(self, weights: Sequence[Tensor], biases: Sequence[Tensor] = ()) -> None:
        """weights: each [O, I], of any floating type. biases: none, or one for each."""

        def build(op: Any, x: Any, weight: Any) -> Any:
            y = op.matmul(x, weight, False, True)
            return op.add(y, op.constant(torch.cat(list(biases)).float()[None].numpy())) if biases else y

        super().__init__([torch.cat(list(weights))], build)


class Int4GatedMLP(_Graph):
    """down(silu(gate(x)) * up(x)), in one graph."""

    def __init__(self, gate_FD: Tensor, up_FD: Tensor, down_DF: Tensor) -> None:
        def build(op: Any, x: Any, gate: Any, up: Any, down: Any) -> Any:
            hidden = op.multiply(op.swish(op.matmul(x, gate, False, True)), op.matmul(x, up, False, True))
            return op.matmul(hidden, down, False, True)

        super().__init__([gate_FD, up_FD, down_DF], build)
