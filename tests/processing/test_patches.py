"""Patches against the published image processor, and pruning against a plain float32 reading of the published rule."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers.models.video_llama_3.image_processing_pil_video_llama_3 import VideoLlama3ImageProcessorPil

from vl3.config import ProcessorConfig, PruneConfig
from vl3.errors import UserError
from vl3.model.visual import normalise
from vl3.processing import keep_mask, patchify, target_sizes, unpatchify
from vl3.processing.processor import make_visual
from vl3.processing.resize import Source


@pytest.mark.parametrize("merge", [1, 2, 3])
@pytest.mark.parametrize("size", [(100, 60), (333, 517), (20, 20), (1400, 1900)])
def test_pixel_values_and_grids_equal_the_published_processor(size: tuple[int, int], merge: int) -> None:
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8))
    published = VideoLlama3ImageProcessorPil(merge_size=merge)(picture, return_tensors="pt")
    config = ProcessorConfig(resize="transformers", image_merge_size=merge)
    [(h, w)] = target_sizes([Source(False, 1, *size)], config)
    resized = np.asarray(picture.resize((w, h), Image.Resampling.BICUBIC))[None]
    visual = make_visual(resized, is_video=False, config=config)
    assert [list(visual.grid)] == published["image_grid_thw"].tolist()
    ours = normalise(visual.patches, visual.mean, visual.std)
    torch.testing.assert_close(ours, published["pixel_values"], atol=1e-6, rtol=0)


@given(t=st.integers(1, 3), rows=st.integers(1, 3), cols=st.integers(1, 3), merge=st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_patchify_puts_every_pixel_where_the_order_says(t: int, rows: int, cols: int, merge: int) -> None:
    patch = 4
    frames = torch.arange(t * rows * cols * merge**2 * patch**2 * 3).view(
        t, rows * merge * patch, cols * merge * patch, 3
    )
    ours, grid = patchify(frames, patch, merge)
    row = 0
    for frame in frames:
        for i in range(rows):
            for j in range(cols):
                for a in range(merge):
                    for b in range(merge):
                        y, x = (i * merge + a) * patch, (j * merge + b) * patch
                        assert torch.equal(ours[row], frame[y : y + patch, x : x + patch].permute(2, 0, 1).flatten())
                        row += 1
    assert row == ours.shape[0]
    assert torch.equal(unpatchify(ours, grid, patch, merge), frames)


def clip(seed: int, t: int = 6, noise: int = 0) -> np.ndarray:
    """Frames of 56 x 84 pixels in which some 28-pixel windows change, some by very little."""
    rng = np.random.default_rng(seed)
    frames = np.repeat(rng.integers(0, 256, (1, 56, 84, 3), dtype=np.uint8), t, axis=0).astype(int)
    for k in range(1, t):
        for _ in range(rng.integers(0, 4)):
            y, x = rng.integers(0, 2) * 28, rng.integers(0, 3) * 28
            height = rng.integers(1, 29)
            frames[k:, y : y + height, x : x + 28] += rng.integers(-3, 4)
    frames += rng.integers(-noise, noise + 1, frames.shape)
    return np.clip(frames, 0, 255).astype(np.uint8)


def published_mask(pixels: torch.Tensor, t: int, window: int) -> torch.Tensor:
    """The published measure on normalised float32 values, token by token."""
    tokens = pixels.view(t, -1, window * pixels.shape[1])
    keep = torch.ones(tokens.shape[:2], dtype=torch.bool)
    for k in range(1, t):
        for n in range(tokens.shape[1]):
            keep[k, n] = (tokens[k, n] - tokens[k - 1, n]).abs().mean() * 255 > 0.1
        if not keep[k].any():
            keep[k, 0] = True
    return keep


@pytest.mark.parametrize("std", [(0.5, 0.5, 0.5), (0.229, 0.224, 0.225)])
@pytest.mark.parametrize("seed", range(8))
def test_published_pruning(seed: int, std: tuple[float, float, float]) -> None:
    config = ProcessorConfig(image_std=std)
    visual = make_visual(clip(seed), is_video=True, config=config)
    expected = published_mask(normalise(visual.patches, visual.mean, visual.std), 6, 4)
    assert torch.equal(visual.keep, expected)
    assert not visual.keep.all()
    assert visual.keep[0].all()


def mask(frames: np.ndarray, prune: str) -> torch.Tensor:
    return make_visual(frames, is_video=True, config=ProcessorConfig(prune=PruneConfig.parse(prune))).keep


def test_single_frames_are_never_pruned_and_off_keeps_all() -> None:
    assert mask(clip(0)[:1], "published").all()
    assert mask(np.zeros((4, 28, 56, 3), np.uint8), "off").all()


def test_a_still_clip_keeps_one_token_a_frame() -> None:
    keep = mask(np.full((5, 56, 56, 3), 7, np.uint8), "published")
    assert keep.sum(1).tolist() == [4, 1, 1, 1, 1]
    assert keep[1:, 0].all()


def test_grey_levels_ignore_noise_but_let_slow_change_add_up() -> None:
    noisy = clip(1, noise=1)
    assert mask(noisy, "published").all()  # the published threshold lies far below camera noise
    steady = np.full((10, 28, 28, 3), 100, np.uint8)
    steady += np.arange(10, dtype=np.uint8)[:, None, None, None]  # one grey level a frame
    two_windows = np.concatenate([np.full_like(steady, 50), steady], axis=2)
    keep = mask(two_windows, "grey=2.5")
    assert keep[:, 1].tolist() == [True, False, False, True, False, False, True, False, False, True]


@pytest.mark.parametrize(
    ("prune", "expected"), [("keep=0.5", 18), ("keep=1", 36), ("budget=20", 20), ("budget=99", 36)]
)
def test_shares_and_budgets_are_met_with_the_most_changed_tokens(prune: str, expected: int) -> None:
    frames = clip(3, noise=3)
    keep = mask(frames, prune)
    assert int(keep.sum()) == expected
    assert keep[0].all() and keep.any(dim=1).all()
    difference = np.abs(np.diff(frames.astype(int), axis=0))
    per_token = torch.from_numpy(difference.reshape(5, 2, 28, 3, 28, 3).mean(axis=(2, 4, 5)).reshape(5, 6))
    later = keep[1:]
    best = later & (per_token == per_token.max(dim=1, keepdim=True).values)  # every frame keeps its own best anyway
    assert best.any(dim=1).all()
    others = per_token[later & ~best]
    if not later.all() and others.numel():
        assert others.min() >= per_token[~later].max()


def test_a_budget_below_the_least_says_what_would_do() -> None:
    with pytest.raises(UserError, match=r"budget=5 is too small.* 11 tokens"):
        mask(clip(0), "budget=5")
    assert int(mask(clip(0), "keep=0.01").sum()) == 11  # a share is a wish, a budget a promise


def test_merge_sizes_prune_whole_windows() -> None:
    frames = np.zeros((2, 28, 56, 3), np.uint8)
    frames[1, 3, 30] = 255
    patches, _ = patchify(torch.from_numpy(frames), 14, 2)
    assert keep_mask(patches, 2, 4, (0.5,) * 3, PruneConfig()).tolist() == [[True, True], [False, True]]
