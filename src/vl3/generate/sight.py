"""Visual tokens: encoded a few frames at a time, when they are wanted, and remembered by their content."""

from collections import OrderedDict
from collections.abc import Iterable
from itertools import accumulate

import torch
from torch import Tensor

from vl3.model import VideoLLaMA3, Visual
from vl3.model.vision import merge_windows
from vl3.model.visual import normalise

VISION_CHUNK = 16384
"""Patches in one pass of the vision encoder: bounds the memory of activations."""


class VisualTokens:
    """The decoder's tokens of one image or clip.

    Frames that are equal bit by bit are encoded once. approximate: 0, or the patches of frames that hang together:
    of these frames the first is encoded whole, of the others only what pruning keeps (`_encode_changes`).
    """

    def __init__(self, visual: Visual, approximate: int = 0) -> None:
        self._visual: Visual | None = visual  # until all is encoded
        self._ends = list(accumulate(visual.tokens_per_frame))
        self._approximate = approximate > 0 and visual.grid[0] > 1
        self._run = max(2, approximate // visual.patches_per_frame)
        firsts: dict[bytes, int] = {}
        self._first_like = [firsts.setdefault(digest, k) for k, digest in enumerate(visual.frame_digests)]
        if self._approximate:  # a frame is what it is after the one before
            self._first_like = list(range(visual.grid[0]))
        self._todo = set(self._first_like)
        self._tokens_nD: Tensor | None = None

    @property
    def num_tokens(self) -> int:
        """Of all frames, after pruning."""
        return self._ends[-1]

    @property
    def num_bytes(self) -> int:
        """Memory of the tokens, and of the patches until all are encoded (a request that was cancelled leaves them)."""
        tokens = 0 if self._tokens_nD is None else self._tokens_nD.numel() * self._tokens_nD.element_size()
        return tokens + (0 if self._visual is None else self._visual.patches.numel())

    @property
    def complete(self) -> bool:
        """Whether every frame is encoded."""
        return not self._todo

    def get(self, start: int, stop: int) -> Tensor:
        """Tokens start..stop [n, D]; they must have been encoded."""
        assert self._tokens_nD is not None
        return self._tokens_nD[start:stop]

    def encode_some(self, model: VideoLLaMA3, start: int, stop: int, max_patches: int) -> bool:
        """Encodes at most `max_patches` patches (but a frame at least) of what tokens start..stop lack.

        False when they lack nothing.
        """
        wanted: dict[int, None] = {}
        for frame, end in enumerate(self._ends):
            if end > start and self._first_like[frame] in self._todo:
                wanted[self._first_like[frame]] = None
            if end >= stop:
                break
        if not wanted:
            return False
        assert self._visual is not None
        if self._approximate:
            first = min(wanted) // self._run * self._run
            self._encode_changes(model, self._visual, range(first, min(first + self._run, len(self._ends))))
            return True
        most = max(1, max_patches // self._visual.patches_per_frame)
        self._encode(model, self._visual, list(wanted)[:most])
        return True

    def _encode(self, model: VideoLLaMA3, visual: Visual, frames: list[int]) -> None:
        """Frames, and all that are like them."""
        t, h, w = visual.grid
        device = model.device
        patches = visual.patches.view(t, h * w, -1)[frames].flatten(0, 1).to(device)
        pixels_NP = normalise(patches, visual.mean, visual.std)
        x_ND = merge_windows(model.vision(pixels_NP, [(len(frames), (h, w, visual.merge))]), visual.merge)
        copies = {first: [k for k, like in enumerate(self._first_like) if like == first] for first in frames}
        # like frames may differ in which tokens are kept: they follow different ones
        kept_FS = torch.stack([visual.keep[copies[first]].any(dim=0) for first in frames])
        tokens_nD = model.projector(x_ND[kept_FS.flatten().to(device)])
        if self._tokens_nD is None:
            self._tokens_nD = tokens_nD.new_empty(self.num_tokens, tokens_nD.shape[1])
        counts = kept_FS.sum(dim=1).tolist()
        for first, kept_S, own_nD in zip(frames, kept_FS, tokens_nD.split(counts), strict=True):
            for frame in copies[first]:
                chosen = visual.keep[frame][kept_S].to(device)
                self._tokens_nD[self._ends[frame] - int(chosen.sum()) : self._ends[frame]] = own_nD[chosen]
        self._done(frames)

    def _encode_changes(self, model: VideoLLaMA3, visual: Visual, frames: range) -> None:
        """A run of frames: the first whole, of the others the kept windows, which see the rest as it last was."""
        t, h, w = visual.grid
        patches = visual.patches.view(t, h * w, -1)[frames.start : frames.stop].flatten(0, 1).to(model.device)
        kept = visual.keep[frames.start : frames.stop].to(model.device)
        encoded = kept.clone()
        encoded[0] = True
        changed_FS = encoded.repeat_interleave(visual.merge**2, dim=1)
        pixels_NP = normalise(patches, visual.mean, visual.std)
        x_nD = model.vision.changes(pixels_NP, (len(frames), (h, w, visual.merge)), changed_FS)
        tokens_nD = model.projector(merge_windows(x_nD, visual.merge)[kept[encoded]])
        if self._tokens_nD is None:
            self._tokens_nD = tokens_nD.new_empty(self.num_tokens, tokens_nD.shape[1])
        end = self._ends[frames.stop - 1]
        self._tokens_nD[end - len(tokens_nD) : end] = tokens_nD
        self._done(frames)

    def _done(self, frames: Iterable[int]) -> None:
        self._todo -= set(frames)
        if self.complete:
            self._visual = None


class VisionStore:
    """Visual tokens of the media seen last, by content. `max_bytes` bounds what it keeps; 0 keeps nothing.

    approximate: see `VisualTokens`.
    """

    def __init__(self, max_bytes: int = 0, approximate: int = 0) -> None:
        self.max_bytes = max_bytes
        self.approximate = approximate
        self.hits = 0
        self._known: OrderedDict[bytes, VisualTokens] = OrderedDict()

    @property
    def num_bytes(self) -> int:
        """Memory held."""
        return sum(tokens.num_bytes for tokens in self._known.values())

    def look_up(self, visual: Visual) -> VisualTokens:
        """The tokens of a visual: those that another request has encoded, or is about to, if any has."""
        if self.max_bytes == 0:
            return VisualTokens(visual, self.approximate)
        if visual.digest in self._known:
            self.hits += 1
        else:
            self._known[visual.digest] = VisualTokens(visual, self.approximate)
        self._known.move_to_end(visual.digest)
        return self._known[visual.digest]

    def trim(self) -> None:
        """Forgets the visuals used longest ago until the rest fits."""
        while self.num_bytes > self.max_bytes:
            self._known.popitem(last=False)
