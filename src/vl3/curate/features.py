"""Features of pictures (and of texts): this project's vision encoder, or CLIP and SigLIP models by `transformers`."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vl3.errors import UserError

Features = NDArray[np.float32]
"""[n, width], of length one."""


def vision_encoder(model: str, device: str, max_tokens: int) -> Callable[[Sequence[Image.Image]], Features]:
    """The mean of the encoder's features of a picture, in at most `max_tokens` visual tokens. UserError as loading."""
    import torch

    from vl3.generate.devices import pick_device, pick_dtype
    from vl3.media import probe
    from vl3.model.vision import encode_visuals
    from vl3.processing.processor import make_visual, media_sizes
    from vl3.weights import load_checkpoint

    chosen = pick_device(device)
    checkpoint = load_checkpoint(model, dtype=pick_dtype("auto", chosen), device=chosen)
    encoder = checkpoint.model.vision.eval()
    limit = min(max_tokens, checkpoint.processor.max_tokens)
    config = replace(checkpoint.processor, max_tokens=limit, min_tokens=min(limit, checkpoint.processor.min_tokens))
    del checkpoint

    def encode(images: Sequence[Image.Image]) -> Features:
        visuals = []
        for image in images:
            [(height, width)] = media_sizes([probe(image)], config)
            pixels = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))[None]
            visuals.append(make_visual(pixels, False, config).to(chosen))
        with torch.inference_mode():
            found = encode_visuals(encoder, visuals, 16384).float()
            means = [part.mean(0) for part in found.split([visual.num_tokens for visual in visuals])]
        return normalised(torch.stack(means).cpu().numpy())

    return encode


class ContrastiveModel:
    """A CLIP or SigLIP model, by `transformers`: pictures and texts that belong together have like features."""

    def __init__(self, model: str, device: str) -> None:
        """`model`: a folder or hub id. UserError when it cannot be loaded, or is no such model."""
        try:
            from transformers import AutoModel, AutoProcessor
        except ImportError as error:
            raise UserError("CLIP and SigLIP models are run by transformers: pip install 'vl3[clip]'") from error
        from vl3.generate.devices import pick_device

        self._device = pick_device(device)
        try:
            self._model: Any = AutoModel.from_pretrained(model).to(self._device).eval()
            self._processor: Any = AutoProcessor.from_pretrained(model)
        except (OSError, ValueError) as error:
            raise UserError(f"{model}: cannot be loaded as a CLIP or SigLIP model: {error}") from error
        if self._model.config.model_type not in ("clip", "siglip", "siglip2"):
            raise UserError(f"{model}: is a {self._model.config.model_type} model, not CLIP or SigLIP")

    def images(self, images: Sequence[Image.Image]) -> Features:
        """Features of pictures."""
        inputs = self._processor(images=list(images), return_tensors="pt").to(self._device)
        return self._features(self._model.get_image_features, inputs)

    def texts(self, texts: Sequence[str]) -> Features:
        """Features of texts, cut at the model's longest (SigLIP was trained on texts filled up to it)."""
        padding = "max_length" if self._model.config.model_type.startswith("siglip") else True
        longest = self._model.config.text_config.max_position_embeddings
        inputs = self._processor(
            text=list(texts), padding=padding, truncation=True, max_length=longest, return_tensors="pt"
        )
        return self._features(self._model.get_text_features, inputs.to(self._device))

    def _features(self, function: Callable[..., Any], inputs: Any) -> Features:
        import torch

        with torch.inference_mode():
            found = function(**inputs)
        tensor = found if isinstance(found, torch.Tensor) else found.pooler_output
        return normalised(tensor.float().cpu().numpy())


def normalised(features: NDArray[Any]) -> Features:
    """Rows of length one."""
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(length, 1e-12), np.float32)
