"""Vision encoder on 16 frames: vl3, plain and packed in 8 bits, against transformers, same weights, and against the
machine's own matmul rate; and 60 frames of a still screen with a cursor that moves once, and 16 of which a quarter
changes with --approximate-vision, against encoding every frame.

python benchmarks/vision.py --dtype bfloat16
"""

import argparse
import statistics
from typing import Any

import torch
import torch.nn.functional as F
from common import DTYPES, both_models, in_turns, packed, ratio, say, shapes_of_2b

from vl3.config import PruneConfig, VisionConfig
from vl3.generate.sight import VisualTokens
from vl3.model import VideoLLaMA3, Visual
from vl3.model.vision import encode_visuals
from vl3.model.visual import normalise
from vl3.processing.prune import keep_mask


def main() -> None:
    """Prints the ratio of times and the share of the matmul rate that each side reaches."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", choices=DTYPES, default="bfloat16")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--side", type=int, default=24, help="patches along each side of a frame")
    parser.add_argument("--layers", type=int, default=2, help="of the encoder's 27; the same for both")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="tiny shapes, to try the script")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    config = shapes_of_2b(args.layers, 1, tiny=args.quick)
    ours, theirs = both_models(config, DTYPES[args.dtype])
    num_patches = args.frames * args.side**2
    patches = torch.randint(0, 256, (num_patches, config.vision.patch_dim), dtype=torch.uint8)
    grid = (args.frames, args.side, args.side)
    visual = Visual(patches, grid, 2, torch.ones(args.frames, args.side**2 // 4, dtype=torch.bool))
    pixels = normalise(patches, visual.mean, visual.std)
    int8 = packed(ours, "int8")

    def transformers() -> torch.Tensor:
        return theirs.model.vision_model(
            pixel_values=pixels, grid_thw=torch.tensor([grid]), merge_sizes=torch.tensor([2])
        ).last_hidden_state

    with torch.inference_mode():
        sides = {
            "transformers": transformers,
            "vl3": lambda: encode_visuals(ours.vision, [visual], 16384),
            "int8": lambda: encode_visuals(int8.vision, [visual], 16384),
            "matmul": lambda: matmuls(config.vision, num_patches, DTYPES[args.dtype]),
        }
        difference = (sides["vl3"]().float() - transformers().float()).abs().mean().item()
        seconds = in_turns(sides, args.runs)
    work = flops(config.vision, args.frames, args.side**2)
    rate = matmul_flops(config.vision, num_patches) / statistics.median(seconds["matmul"])
    result = {
        "what": f"{args.frames} frames of {args.side} x {args.side} patches, {args.layers} layers, {args.dtype}",
        "times faster than transformers": ratio(seconds),
        "share of the matmul rate, vl3": work / statistics.median(seconds["vl3"]) / rate,
        "share of the matmul rate, transformers": work / statistics.median(seconds["transformers"]) / rate,
        "mean difference of features": difference,
        "times faster than transformers, int8": ratio(seconds, ours="int8"),
        **static_screen(ours, args.side, args.runs),
        **quarter_changes(ours, args.side, args.runs),
    }
    say(result, args.json)


@torch.inference_mode()
def static_screen(model: VideoLLaMA3, side: int, runs: int) -> dict[str, Any]:
    """60 frames, two different ones: as the engine encodes them, and all of them."""
    screen = torch.randint(0, 256, (side**2, model.config.vision.patch_dim), dtype=torch.uint8)
    moved = screen.clone()
    moved[:4] = 255 - moved[:4]
    patches = torch.cat([screen] * 30 + [moved] * 30)
    keep = keep_mask(patches, 60, 4, (0.5, 0.5, 0.5), PruneConfig())
    visual = Visual(patches, (60, side, side), 2, keep)

    sides = {"every frame": lambda: model.see([visual], 16384), "engine": lambda: encoded(model, visual)}
    apart = (sides["every frame"]().float() - sides["engine"]().float()).abs().max().item()
    seconds = in_turns(sides, runs)
    return {
        "60 frames of a still screen, times faster than every frame": ratio(seconds, "every frame", "engine"),
        "largest difference of their tokens": apart,
    }


@torch.inference_mode()
def quarter_changes(model: VideoLLaMA3, side: int, runs: int) -> dict[str, Any]:
    """16 frames, a quarter of each other than in the one before: exact and approximate."""
    frames = [torch.randint(0, 256, (side**2, model.config.vision.patch_dim), dtype=torch.uint8)]
    quarter = side**2 // 16 * 4
    for k in range(1, 16):
        frame = frames[-1].clone()
        start = k % 4 * quarter
        frame[start : start + quarter] = 255 - frame[start : start + quarter]
        frames.append(frame)
    patches = torch.cat(frames)
    visual = Visual(patches, (16, side, side), 2, keep_mask(patches, 16, 4, (0.5, 0.5, 0.5), PruneConfig()))
    sides = {"exact": lambda: encoded(model, visual), "approximate": lambda: encoded(model, visual, 16384)}
    seconds = in_turns(sides, runs)
    return {"16 frames that change by a quarter, times faster approximately": ratio(seconds, "exact", "approximate")}


def encoded(model: VideoLLaMA3, visual: Visual, approximate: int = 0) -> torch.Tensor:
    """The tokens of a clip, as the engine makes them."""
    fresh = Visual(visual.patches, visual.grid, visual.merge, visual.keep)  # it remembers its digests: here they count
    tokens = VisualTokens(fresh, approximate)
    while tokens.encode_some(model, 0, tokens.num_tokens, 16384):
        pass
    return tokens.get(0, tokens.num_tokens)


def matmuls(config: VisionConfig, num_patches: int, dtype: torch.dtype) -> None:
    """The matrix products of the encoder's linear layers and nothing else."""
    x, y = torch.ones(num_patches, config.hidden_size, dtype=dtype), None
    square = torch.ones(config.hidden_size, config.hidden_size, dtype=dtype)
    up = torch.ones(config.intermediate_size, config.hidden_size, dtype=dtype)
    down = torch.ones(config.hidden_size, config.intermediate_size, dtype=dtype)
    for _ in range(config.num_layers):
        for _ in range(4):
            F.linear(x, square)
        y = F.linear(x, up)
        F.linear(y, down)


def matmul_flops(config: VisionConfig, num_patches: int) -> float:
    """Multiplications and additions of `matmuls`."""
    per_layer = 4 * config.hidden_size**2 + 2 * config.hidden_size * config.intermediate_size
    return 2.0 * num_patches * per_layer * config.num_layers


def flops(config: VisionConfig, frames: int, size: int) -> float:
    """Of the whole encoder: linear layers, patch embedding, and the two products of attention."""
    attention = 4.0 * frames * size**2 * config.hidden_size * config.num_layers
    embedding = 2.0 * frames * size * config.patch_dim * config.hidden_size
    return matmul_flops(config, frames * size) + attention + embedding


if __name__ == "__main__":
    main()
