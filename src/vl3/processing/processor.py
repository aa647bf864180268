"""Frames and messages -> the inputs of the model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from vl3.chat import Message, Slot, render
from vl3.config import ModelConfig, ProcessorConfig
from vl3.errors import UserError
from vl3.media import MediaInfo
from vl3.model.patches import patchify
from vl3.model.visual import Visual
from vl3.processing.prune import keep_mask
from vl3.processing.resize import Source, target_sizes

IGNORE = -100
"""The label of a token that is not trained on."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """One sequence, ready for the model; several are packed by concatenation."""

    input_ids: Tensor
    """int64 [T]."""
    visual_mask: Tensor
    """bool [T]: the placeholders that visual tokens replace."""
    visuals: list[Visual]
    """The images and clips, in order of their placeholders."""
    labels: Tensor
    """int64 [T]: the token itself where it is trained on, else -100. Not shifted."""
    branches: tuple[int, ...] = ()
    """Lengths of a trunk and of the branches that each go on from its end and do not see each other; empty for none."""
    visual_texts: tuple[str, ...] | None = None
    """What each visual token should mean, for dense alignment ("": background); None where that is not known."""

    @property
    def num_tokens(self) -> int:
        """T."""
        return self.input_ids.shape[0]


class Processor:
    """Knows a checkpoint's settings, tokenizer and placeholders. It never opens a file."""

    def __init__(self, config: ProcessorConfig, tokenizer: Tokenizer, model_config: ModelConfig) -> None:
        self.config = config
        self.tokenizer = tokenizer
        self.model_config = model_config

    def with_config(self, config: ProcessorConfig) -> "Processor":
        """The same processor with other settings."""
        return Processor(config, self.tokenizer, self.model_config)

    def inputs(
        self,
        messages: Sequence[Message],
        visuals: Sequence[Visual],
        times_s: Sequence[Sequence[float] | None],
        add_generation_prompt: bool = True,
    ) -> Inputs:
        """Token ids with placeholders for the kept visual tokens. times_s as in `vl3.chat.render`."""
        assert len(visuals) == len(times_s)
        ids: list[int] = []
        labels: list[int] = []
        is_visual: list[bool] = []
        per_frame = [visual.tokens_per_frame for visual in visuals]
        for piece in render(messages, times_s, add_generation_prompt):
            if isinstance(piece, Slot):
                is_image = times_s[piece.media] is None
                token = self.model_config.image_token_id if is_image else self.model_config.video_token_id
                count = per_frame[piece.media][piece.frame]
                ids += [token] * count
                labels += [IGNORE] * count
                is_visual += [True] * count
            else:
                # half of a surrogate pair, as broken JSON escapes give it, is no text
                text = piece.text.encode("utf-8", "replace").decode("utf-8")
                new = self.tokenizer.encode(text, add_special_tokens=False).ids
                ids += new
                labels += new if piece.supervised else [IGNORE] * len(new)
                is_visual += [False] * len(new)
        longest = self.model_config.language.max_positions
        if add_generation_prompt and len(ids) > longest:  # what is trained on is thinned by who packs it
            raise UserError(
                f"the prompt has {len(ids)} tokens ({sum(is_visual)} of them visual), more than the model's {longest}: "
                "use fewer frames (--max-frames, --fps) or fewer visual tokens (--max-tokens, --prune)"
            )
        return Inputs(
            input_ids=torch.tensor(ids, dtype=torch.long),
            visual_mask=torch.tensor(is_visual, dtype=torch.bool),
            visuals=list(visuals),
            labels=torch.tensor(labels, dtype=torch.long),
        )


def media_sizes(infos: Sequence[MediaInfo], config: ProcessorConfig) -> list[tuple[int, int]]:
    """(height, width) to which the frames of each image or clip of one request are resized. Needs no checkpoint."""
    sources = [Source(info.kind == "video", len(info.times_s), info.height, info.width) for info in infos]
    return target_sizes(sources, config)


def make_visual(frames: np.ndarray, is_video: bool, config: ProcessorConfig) -> Visual:
    """uint8 [t, height, width, 3], sides whole multiples of patch * merge -> Visual. Needs no checkpoint."""
    merge = config.video_merge_size if is_video else config.image_merge_size
    patches, grid = patchify(torch.from_numpy(np.require(frames, requirements=["C", "W"])), config.patch_size, merge)
    keep = keep_mask(patches, grid[0], merge**2, config.image_std, config.prune)
    return Visual(patches, grid, merge, keep, config.image_mean, config.image_std)
