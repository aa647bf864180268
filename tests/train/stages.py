"""The four stages on generated data, from a tiny random model: `python -m tests.train.stages FOLDER STEPS`.

Prints the loss of each stage at its beginning and end, how many held-out questions the model answers before and after,
and how far the logits of `transformers` with the exported weights are from ours; exits with status 1 if a stage's loss
does not fall, too few answers are right, or the logits differ.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import VideoLlama3ForConditionalGeneration

from tests.train.runs import losses, tiny_run
from tests.train.toy import write_toy
from vl3.data import Loader, SourceConfig, open_source
from vl3.data.prepare import Preparer
from vl3.media import Decoder
from vl3.model.visual import normalise
from vl3.processing import Processor
from vl3.train import train
from vl3.train.distributed import World
from vl3.train.held_out import answer, first_questions
from vl3.train.objective import Objective
from vl3.weights import load_checkpoint
from vl3.weights.demo import save_demo_model

RATES: dict[str, dict[str, Any]] = {
    "stage1_vision": {"vision": {"lr": 1e-3}, "projector": {"lr": 3e-3}, "language": {"lr": 0}},
    "stage2_align": {},
    "stage3_multitask": {},
    "stage4_video": {},
}
KINDS = {"stage1_vision": "i", "stage2_align": "it", "stage3_multitask": "ivt", "stage4_video": "vit"}


def main(root: Path, steps: int) -> bool:
    """Runs all stages; whether each of them learnt something and the last one answers."""
    start = root / "start"
    save_demo_model(start)
    asked = write_toy(root / "asked", 60, seed=99, kinds="iv")
    before, after_folder, good = right(start, asked), start, True
    for index, (stage, rates) in enumerate(RATES.items()):
        write_toy(root / stage / "train", 400, seed=index, kinds=KINDS[stage])
        both = {name: {"lr": 2e-3} for name in ("vision", "projector", "language")}
        config = tiny_run(root / stage, root / stage / "run", **{**both, **rates}, steps=steps)
        processor = replace(
            config.processor,
            image_merge_size=2 if stage == "stage4_video" else 1,
            prune=replace(config.processor.prune, mode="published" if index >= 2 else "off"),
        )
        data = replace(config.data, samples_per_step=16, pack_tokens=2048)
        config = replace(config, init_from=str(after_folder), processor=processor, data=data)
        train(replace(config, save=replace(config.save, every_steps=steps)))
        curve = losses(root / stage / "run")
        first, last = sum(curve[:5]) / 5, sum(curve[-5:]) / 5
        print(f"{stage}: loss {first:.3f} -> {last:.3f}", flush=True)
        good &= last < first
        after_folder = root / stage / "run"
    after = right(after_folder / "final", asked)
    print(f"held-out questions answered rightly: {before:.0%} before, {after:.0%} after")
    difference = logits_difference(after_folder, asked)
    print(f"transformers with the export: logits differ by at most {difference:.1e}")
    return good and after > before + 0.3 and difference < 1e-4


def right(folder: Path, asked: Path) -> float:
    """Share of exactly right answers to the first questions of the samples in `asked`."""
    checkpoint = load_checkpoint(folder, dtype=torch.float32)
    processor = Processor(checkpoint.processor, checkpoint.tokenizer, checkpoint.config)
    data = tiny_run(asked.parent.parent, asked.parent).data
    data = replace(data, sources=(replace(data.sources[0], path=str(asked)),))
    questions = first_questions(Loader(data, processor).first(1000), 1000)
    objective, stop = Objective(checkpoint.model.eval()), set(checkpoint.eos_token_ids)
    world = World(0, 1, torch.device("cpu"))
    hits = [answer(objective, q, 12, stop, world) == [t for t in q.truth if t not in stop] for q in questions]
    return sum(hits) / len(hits)


def logits_difference(run: Path, asked: Path) -> float:
    """Largest difference between our logits and those of `transformers`, over a picture and a clip."""
    theirs = VideoLlama3ForConditionalGeneration.from_pretrained(run / "final-transformers", dtype=torch.float32).eval()
    exported = load_checkpoint(run / "final-transformers", dtype=torch.float32)
    ours = load_checkpoint(run / "final", dtype=torch.float32).model.eval()
    source = open_source(SourceConfig(path=str(asked)))
    preparer = Preparer(Processor(exported.processor, exported.tokenizer, exported.config), source.config, 2000)
    worst = 0.0
    for index, (kind, suffix) in enumerate((("image", ""), ("video", "_videos"))):
        with Decoder() as decoder, torch.no_grad():
            inputs = preparer.inputs(source.get(index), decoder)
            [visual] = inputs.visuals
            arguments = {
                f"pixel_values{suffix}": normalise(visual.patches, visual.mean, visual.std),
                f"{kind}_grid_thw": torch.tensor([visual.grid]),
                f"{kind}_merge_sizes": torch.tensor([visual.merge]),
            }
            if kind == "video":
                arguments["video_compression_mask"] = visual.keep.flatten()
            expected = theirs(input_ids=inputs.input_ids[None], **arguments).logits[0]
            hidden = ours(inputs.input_ids, [inputs.num_tokens], inputs.visuals, inputs.visual_mask)
            logits = ours.logits(hidden)
            worst = max(worst, float((logits - expected[:, : logits.shape[1]]).abs().max()))
    return worst


if __name__ == "__main__":
    sys.exit(0 if main(Path(sys.argv[1]), int(sys.argv[2])) else 1)
