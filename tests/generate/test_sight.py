"""Visual tokens as the engine makes them: those of the plain way, with less work."""

import pytest
import torch

from tests.tiny import tiny_model
from vl3.config import PruneConfig
from vl3.generate.sight import VisualTokens
from vl3.model import Visual
from vl3.model.rope import rotate
from vl3.model.vision import merge_windows
from vl3.model.visual import normalise
from vl3.processing.prune import keep_mask

MODEL = tiny_model()
ROWS, COLUMNS, MERGE = 4, 6, 2
RUN = 16384


def clip(order: list[int], prune: str) -> Visual:
    """A clip of frames, some of them again; frame k differs from frame 0 in one window."""
    torch.manual_seed(0)
    first = torch.randint(0, 256, (ROWS * COLUMNS, 3 * 14 * 14), dtype=torch.uint8)
    frames = [first.clone() for _ in range(max(order) + 1)]
    for k, frame in enumerate(frames[1:]):
        frame[4 * k : 4 * k + 4] = 255 - frame[4 * k : 4 * k + 4]
    patches = torch.cat([frames[k] for k in order])
    keep = keep_mask(patches, len(order), MERGE**2, (0.5,) * 3, PruneConfig.parse(prune))
    return Visual(patches, (len(order), ROWS, COLUMNS), MERGE, keep)


@pytest.mark.parametrize("prune", ["published", "off", "keep=0.5"])
@pytest.mark.parametrize("max_patches", [1, 60, 10_000])
def test_equal_frames_are_encoded_once_and_nothing_else_changes(
    prune: str, max_patches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    visual = clip([0, 0, 1, 2, 0, 2, 2, 3], prune)
    with torch.inference_mode():
        plain = MODEL.see([visual])
    seen: list[int] = []
    encode = MODEL.vision.forward

    def counted(pixels: torch.Tensor, frames: list[tuple[int, tuple[int, int, int]]]) -> torch.Tensor:
        seen.append(sum(count for count, _ in frames))
        return encode(pixels, frames)

    monkeypatch.setattr(MODEL.vision, "forward", counted)
    tokens = VisualTokens(visual)
    with torch.inference_mode():
        while tokens.encode_some(MODEL, 0, tokens.num_tokens, max_patches):
            pass
    assert sum(seen) == 4 and tokens.complete
    assert max(seen) <= max(1, max_patches // (ROWS * COLUMNS))
    torch.testing.assert_close(tokens.get(0, tokens.num_tokens), plain, atol=1e-5, rtol=1e-5)


def encoded(visual: Visual, approximate: bool, start: int = 0) -> torch.Tensor:
    tokens = VisualTokens(visual, RUN if approximate else 0)
    with torch.inference_mode():
        while tokens.encode_some(MODEL, start, tokens.num_tokens, 60) or tokens.encode_some(
            MODEL, 0, tokens.num_tokens, 60
        ):
            pass
    return tokens.get(0, tokens.num_tokens)


def test_the_approximation_is_exact_where_all_or_nothing_changes() -> None:
    for visual in (clip([0, 1, 2], "off"), clip([0, 0, 0], "published")):
        torch.testing.assert_close(encoded(visual, True), encoded(visual, False), atol=1e-5, rtol=1e-5)


def plain_changes(visual: Visual) -> torch.Tensor:
    """One layer after the other, patch by patch, from the definition, in float64."""
    t, h, w = visual.grid
    encoder = tiny_model().double().vision
    config = encoder.config
    rope_NE = [x.double() for x in encoder.rope([(1, (h, w, visual.merge))], torch.device("cpu"))]
    changed = visual.keep.repeat_interleave(visual.merge**2, dim=1)
    pixels = normalise(visual.patches, visual.mean, visual.std).double().view(t, h * w, -1)
    x = [encoder.patch_embedding(pixels[k]) for k in range(t)]  # rows that did not change are never looked at
    for block in encoder.blocks:
        keys = values = torch.empty(0)
        for k in range(t):
            normed = block.norm1(x[k])
            parts = [
                project(normed).unflatten(-1, (config.num_heads, -1))
                for project in (block.attn.q_proj, block.attn.k_proj, block.attn.v_proj)
            ]
            query, key = (rotate(part, (rope_NE[0], rope_NE[1])) for part in parts[:2])
            mask = changed[k][:, None, None]
            keys = key if k == 0 else torch.where(mask, key, keys)
            values = parts[2] if k == 0 else torch.where(mask, parts[2], values)
            scores = torch.einsum("qhe,khe->hqk", query, keys) / config.head_dim**0.5
            out = torch.einsum("hqk,khe->qhe", scores.softmax(-1), values).flatten(1)
            x[k] = x[k] + block.attn.out_proj(out)
            x[k] = x[k] + block.mlp(block.norm2(x[k]))
    merged = [merge_windows(encoder.norm(x[k]), visual.merge)[visual.keep[k]] for k in range(t)]
    projected: torch.Tensor = tiny_model().double().projector(torch.cat(merged))
    return projected


@pytest.mark.parametrize("start", [0, 9])
def test_the_approximation_is_what_it_says(start: int) -> None:
    visual = clip([0, 1, 2, 2, 3, 0], "published")
    with torch.no_grad():
        wanted = plain_changes(visual)
    got = encoded(visual, True, start)
    torch.testing.assert_close(got.double(), wanted, atol=1e-5, rtol=1e-4)
    exact = encoded(visual, False)
    assert (got - exact).abs().max() > 1e-3, "the clip is too easy to tell the two apart"
    first = visual.tokens_per_frame[0]
    torch.testing.assert_close(got[:first], exact[:first], atol=1e-5, rtol=1e-5)


def test_a_clip_longer_than_a_run_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.RUN", 3 * ROWS * COLUMNS)
    visual = clip([0, 1, 2, 3, 2, 1, 0], "published")
    whole = encoded(visual, True)
    parts = []
    for first in (0, 3, 6):
        frames = slice(first, first + 3)
        keep = visual.keep[frames].clone()
        keep[0] = True
        patches = visual.patches.view(7, ROWS * COLUMNS, -1)[frames].flatten(0, 1)
        part = Visual(patches, (len(keep), ROWS, COLUMNS), MERGE, keep)
        tokens = encoded(part, True)
        parts.append(tokens[visual.keep[frames][keep]])
    torch.testing.assert_close(whole, torch.cat(parts), atol=1e-5, rtol=1e-5)
