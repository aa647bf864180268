"""embed: a feature vector of each picture, for clusters, near duplicates by meaning, and aesthetic heads."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

from vl3.config import Count, configclass
from vl3.curate.features import ContrastiveModel, vision_encoder
from vl3.curate.media import PLACE, picture_batches
from vl3.curate.named import checkpoint, refuse_missing
from vl3.curate.step import Found, Place, Rows, RowStep, Type


@configclass
class EmbedConfig:
    """Whose features."""

    model: str = "nano"
    """A checkpoint as `vl3.load` takes it, whose vision encoder is used; or a CLIP or SigLIP model."""
    kind: Literal["vl3", "clip"] = "vl3"
    """`clip`: a CLIP or SigLIP model (hub id or folder), run by `transformers`."""
    max_tokens: Count = 64
    """vl3: most visual tokens of a picture."""
    batch_size: Count = 16
    """Pictures in one pass."""
    device: str = "auto"
    """auto, cpu, cuda..."""


def embed_step(config: EmbedConfig) -> RowStep:
    """Writes `embedding`, of length one."""

    def start(_place: Place) -> Callable[[Rows], Found]:
        clip = ContrastiveModel(config.model, config.device) if config.kind == "clip" else None
        encode = clip.images if clip else vision_encoder(config.model, config.device, config.max_tokens)

        def embed(rows: Rows) -> Found:
            found: list[list[float] | None] = [None] * len(rows["id"])
            reasons: list[str | None] = [None] * len(found)
            for numbers, images in picture_batches(rows, range(len(found)), config.batch_size, reasons):
                for number, features in zip(numbers, encode(images).tolist(), strict=True):
                    found[number] = features
            return Found({"embedding": found}, reasons)

        return embed

    def ready(_columns: Mapping[str, Type]) -> None:
        refuse_missing(config.model, config.kind == "clip")

    files = partial(checkpoint, config.model)
    return RowStep(PLACE, {"embedding": "list<float32>"}, start, only="image", heavy=True, files=files, ready=ready)
