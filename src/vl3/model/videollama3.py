"""VideoLLaMA3 (arXiv 2501.13106, figure 1): pixels -> vision encoder -> projector -> decoder.

patches --VisionEncoder--> features --merge windows--> tokens --DiffFP's keep mask--> kept --Projector--+
                                                                                                        v
text ids --embedding--> embeddings, in which the kept visual tokens replace the placeholders --> LanguageModel
"""

import torch
from torch import Tensor, nn

from vl3.config import ModelConfig
from vl3.model.cache import KVCache
from vl3.model.language import LanguageModel
from vl3.model.projector import Projector
from vl3.model.vision import VisionEncoder, encode_visuals
from vl3.model.visual import Visual


class VideoLLaMA3(nn.Module):
    """The assembled model. Sequences of a batch are packed back to back: no padding, no shared positions."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.vision = VisionEncoder(config.vision)
        self.projector = Projector(config.vision.hidden_size, config.language.hidden_size)
        self.language = LanguageModel(config.language)

    def forward(
        self,
        input_ids: Tensor,
        lengths: list[int],
        visuals: list[Visual] | None = None,
        visual_mask: Tensor | None = None,
        caches: list[KVCache] | None = None,
    ) -> Tensor:
        """Hidden states [T, D] of packed sequences; `logits` turns those that matter into scores.

        input_ids: int64 [T], the sequences of `lengths` back to back. visual_mask: bool [T], True at the placeholders
        that the kept tokens of `visuals` replace, in order. caches: one per sequence, to go on from and to fill.
        """
        x_TD = self.language.embed_tokens(input_ids)
        if visuals:
            x_TD = splice(x_TD, visual_mask, self.see(visuals))
        else:
            assert visual_mask is None or not visual_mask.any(), "placeholders without visuals"
        return self.language(x_TD, lengths, caches)

    def see(self, visuals: list[Visual], max_patches: int | None = None) -> Tensor:
        """Visual tokens for the decoder [n, D], n the kept tokens of all visuals; only those are projected.

        Without gradients the encoder takes `max_patches` patches at a time (default 16384) to bound its memory.
        """
        if torch.is_grad_enabled():
            max_patches = None  # one pass, so that every rank of a distributed run calls each block equally often
        elif max_patches is None:
            max_patches = 16384
        return self.projector(encode_visuals(self.vision, visuals, max_patches))

    def logits(self, hidden_nD: Tensor) -> Tensor:
        """Scores over the vocabulary [n, V]."""
        return self.language.logits(hidden_nD)

    def new_cache(self, capacity: int = 256) -> KVCache:
        """An empty key/value cache for one sequence, on the model's device and in its dtype."""
        return KVCache(self.config.language, self.device, self.dtype, capacity)

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.language.norm.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of its activations."""
        return self.language.norm.weight.dtype


def splice(x_TD: Tensor, visual_mask: Tensor | None, features_nD: Tensor) -> Tensor:
    """Puts visual tokens, in order, where `visual_mask` [T] is True; ValueError names unequal counts."""
    placeholders = 0 if visual_mask is None else int(visual_mask.sum())
    if visual_mask is None or placeholders != features_nD.shape[0]:
        raise ValueError(f"{placeholders} placeholders in the prompt, but {features_nD.shape[0]} visual tokens")
    return x_TD.masked_scatter(visual_mask[:, None], features_nD.to(x_TD.dtype))
