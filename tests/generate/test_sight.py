"""Visual tokens as the engine makes them: those of the plain way, with less work."""

import pytest
import torch

from tests.tiny import tiny_model
from vl3.config import PruneConfig
from vl3.generate.sight import VisualTokens
from vl3.model import Visual
from vl3.processing.prune import keep_mask

MODEL = tiny_model()
ROWS, COLUMNS, MERGE = 4, 6, 2


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
