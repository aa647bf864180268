"""aesthetic: scores features with a trained head, where one is given; drops low scores.

The head is a .safetensors file of linear layers in order (`...weight` [out, in], `...bias` [out]), the last with one
output, such as LAION's (https://github.com/christophschuhmann/improved-aesthetic-predictor). It must belong to the
model of the step `embed`.
"""

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vl3.config import configclass
from vl3.curate.step import Found, Place, Rows, RowStep, Type
from vl3.curate.steps.cluster import matrix
from vl3.errors import UserError
from vl3.media.source import natural_key


@configclass
class AestheticConfig:
    """The head and the limit."""

    weights: str
    """The .safetensors file."""
    activation: Literal["none", "relu"] = "none"
    """Between layers; LAION's has none."""
    min_score: float | None = None
    """Least score; None only writes it."""


Layer = tuple[NDArray[np.float32], NDArray[np.float32]]


def aesthetic_step(config: AestheticConfig) -> RowStep:
    """Writes `aesthetic`."""

    def start(_place: Place) -> Callable[[Rows], Found]:
        layers = read_head(Path(config.weights))

        def score(rows: Rows) -> Found:
            scores = apply_head(layers, matrix(rows["embedding"]), config)
            low = [config.min_score is not None and one < config.min_score for one in scores]
            return Found({"aesthetic": scores}, ["low aesthetic score" if one else None for one in low])

        return score

    def ready(_columns: Mapping[str, Type]) -> None:
        read_head(Path(config.weights))

    outputs: dict[str, Type] = {"aesthetic": "float32"}
    return RowStep(("embedding",), outputs, start, only="image", files=lambda: [Path(config.weights)], ready=ready)


def read_head(path: Path) -> list[Layer]:
    """Its layers. UserError for a file that is no such head."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: cannot be read as a .safetensors file: {error}") from error
    names = sorted((name for name in tensors if name.endswith("weight")), key=lambda name: natural_key(Path(name)))
    layers = []
    for name in names:
        weight = tensors[name].astype(np.float32)
        bias = tensors.get(name.removesuffix("weight") + "bias", np.zeros(len(weight))).astype(np.float32)
        layers.append((weight, bias))
    shapes = [weight.shape for weight, _ in layers]
    chained = all(len(s) == 2 for s in shapes) and all(a[0] == b[1] for a, b in itertools.pairwise(shapes))
    if not shapes or not chained or shapes[-1][0] != 1:
        raise UserError(f"{path}: is no head: linear layers that end in one output, not {shapes}")
    return layers


def apply_head(layers: list[Layer], features: NDArray[np.float32], config: AestheticConfig) -> list[float]:
    """A score for each feature. UserError when their widths differ."""
    if features.shape[1] != layers[0][0].shape[1]:
        raise UserError(
            f"{config.weights}: takes features of width {layers[0][0].shape[1]}, but embed wrote {features.shape[1]}; "
            "use the model that the head was trained on"
        )
    for number, (weight, bias) in enumerate(layers):
        features = features @ weight.T + bias
        if config.activation == "relu" and number + 1 < len(layers):
            features = np.maximum(features, 0)
    found: list[float] = features[:, 0].tolist()
    return found
