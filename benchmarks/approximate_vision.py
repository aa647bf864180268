"""What --approximate-vision saves and costs: one model with and without it, asked about the same clips.

python benchmarks/approximate_vision.py build/nano/held_out/{motions,events,recordings}.jsonl
"""

import argparse
import statistics
from pathlib import Path
from typing import Any

import torch
from common import in_turns, progress, ratio, say

from vl3.chat import media_of
from vl3.eval.task import Item
from vl3.eval.tasks.annotations import jsonl, scored
from vl3.generate import Assistant, Options, load
from vl3.generate.options import settings
from vl3.generate.sight import VisualTokens
from vl3.model import Visual
from vl3.processing import load_visuals


def main() -> None:
    """Prints the ratio of times, how far tokens move, and what becomes of answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="annotations of clips, as nano's held-out ones")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--prune", default="published", help="the rule, as for vl3 ask")
    parser.add_argument("--limit", type=int, default=10, help="questions of each kind")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="two questions, to try the script")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    exact, rough = load(args.model), load(args.model, approximate_vision=True)
    items = [item for item in jsonl(args.files).limited(args.limit, 0).items if is_clip(item)]
    items = items[:2] if args.quick else items
    options: Options = {"max_new_tokens": 32, "prune": args.prune}
    visuals = [visual for item in items for visual in seen(exact, item, options)]
    sides = {"exact": lambda: encode_all(exact, visuals), "rough": lambda: encode_all(rough, visuals)}
    pairs = zip(sides["exact"](), sides["rough"](), strict=True)
    apart = [1 - torch.cosine_similarity(a.float(), b.float(), dim=1).mean().item() for a, b in pairs]
    seconds = in_turns(sides, args.runs)
    answers = {name: answered(name, who, items, options) for name, who in (("exact", exact), ("rough", rough))}
    same = sum(a == b for a, b in zip(answers["exact"], answers["rough"], strict=True))
    scores = {name: statistics.mean(map(score, items, said)) for name, said in answers.items()}
    kept = sum(visual.num_tokens for visual in visuals) / sum(visual.keep.numel() for visual in visuals)
    result: dict[str, Any] = {
        "what": f"{args.model}, {len(items)} questions about clips, prune {args.prune}",
        "share of tokens kept": kept,
        "encoding, times faster": ratio(seconds, "exact", "rough"),
        "cosine distance of tokens": statistics.mean(apart),
        "same answers": f"{same} of {len(items)}",
        "score, exact": scores["exact"],
        "score, approximate": scores["rough"],
    }
    for assistant in (exact, rough):
        assistant.close()
    say(result, args.json)


def is_clip(item: Item) -> bool:
    """Whether a question is about one video and can be scored by rule."""
    parts = media_of(item.messages)
    return len(parts) == 1 and parts[0].kind == "video" and item.kind not in ("stream", "judge")


def seen(assistant: Assistant, item: Item, options: Options) -> list[Visual]:
    """What the model is shown."""
    chosen = settings(assistant.checkpoint.processor, options)
    visuals, _ = load_visuals(media_of(item.messages), chosen.processing, assistant.decoder)
    return visuals


@torch.inference_mode()
def encode_all(assistant: Assistant, visuals: list[Visual]) -> list[torch.Tensor]:
    """The tokens of each clip."""
    model, approximate = assistant.checkpoint.model, assistant.engine.vision.approximate
    result = []
    for visual in visuals:
        tokens = VisualTokens(visual, approximate)
        while tokens.encode_some(model, 0, tokens.num_tokens, 16384):
            pass
        result.append(tokens.get(0, tokens.num_tokens))
    return result


def answered(name: str, assistant: Assistant, items: list[Item], options: Options) -> list[str]:
    """What it says to each question."""
    answers = []
    for number, item in enumerate(items):
        progress(f"{name}: question {number} of {len(items)}")
        answers.append(assistant.chat(item.messages, **options).text)
    progress("")
    return answers


def score(item: Item, answer: str) -> float:
    """By the item's kind, 0 to 1."""
    return scored(item, answer).score


if __name__ == "__main__":
    main()
