"""Optimiser steps: vl3's packed step against Hugging Face's Trainer with transformers' model, same weights and samples.

    python benchmarks/train_step.py

Each step trains all modules on the same samples of mixed lengths, each an image and a text of which a part is
supervised. Trainer pads them to the longest; vl3 packs them. Both recompute activations and use torch's fused AdamW.
Each side runs in a process of its own, in turns; memory is its peak above what is resident once its imports are done.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from typing import Any

import torch
from common import DTYPES, both_models, progress, ratio, say, shapes_of_2b
from preprocess import peak, resident

from vl3.config import ModelConfig
from vl3.data.pack import pack_samples
from vl3.model import Visual
from vl3.model.visual import normalise
from vl3.processing import IGNORE, Inputs

WARM_UP = 1
"""Steps that are not timed."""


def main() -> None:
    """Prints the ratios of supervised tokens a second and of peak memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--layers", type=int, default=2, help="of the decoder's 28; the same for both")
    parser.add_argument("--samples", type=int, default=12, help="of a step")
    parser.add_argument("--longest", type=int, default=512, help="tokens of the longest sample")
    parser.add_argument("--steps", type=int, default=3, help="timed ones")
    parser.add_argument("--quick", action="store_true", help="tiny shapes, to try the script")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.quick:
        args.longest, args.samples = min(args.longest, 96), min(args.samples, 4)
    if args.side:
        print(json.dumps(SIDES[args.side](args)))
        return
    runs = {}
    for side in SIDES:
        progress(side)
        done = subprocess.run(
            [sys.executable, __file__, *sys.argv[1:], "--side", side], capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{side} failed: {done.stderr[-3000:]}")
        runs[side] = json.loads(done.stdout.splitlines()[-1])
    progress("")
    batches = samples_of(args)
    lengths = [inputs.num_tokens for batch in batches for inputs in batch]
    speed = ratio({side: run["seconds"] for side, run in runs.items()})
    result = {
        "what": f"{args.samples} samples of {min(lengths)} to {max(lengths)} tokens a step, {args.layers} layers",
        "share of the padded batches that is padding": 1 - sum(lengths) / padded(batches),
        "losses, transformers and vl3": [[round(loss, 4) for loss in run["losses"]] for run in runs.values()],
        "supervised tokens a second, times transformers": speed,
        "peak memory, share of transformers'": runs["vl3"]["bytes"] / runs["transformers"]["bytes"],
        "the same without weights, gradients and optimiser": runs["vl3"]["rest"] / runs["transformers"]["rest"],
    }
    say(result, args.json)


def samples_of(args: argparse.Namespace) -> list[list[Inputs]]:
    """The samples of each step, the same in every process."""
    rng = torch.Generator().manual_seed(0)
    return [[sample(args, rng) for _ in range(args.samples)] for _ in range(WARM_UP + args.steps)]


def padded(batches: list[list[Inputs]]) -> int:
    """Tokens with the padding that a rectangle needs."""
    return sum(len(batch) * max(inputs.num_tokens for inputs in batch) for batch in batches)


def sample(args: argparse.Namespace, rng: torch.Generator) -> Inputs:
    """An image and a text of a random length, the last third of which is supervised."""
    config = shape(args)
    height, width = (int(torch.randint(1, 3 if args.quick else 9, (), generator=rng)) for _ in range(2))
    # lengths spread evenly on a logarithmic scale, as those of real questions and answers are
    share = float(torch.rand((), generator=rng))
    text = int(16 * ((args.longest - height * width) / 16) ** share)
    patches = torch.randint(0, 256, (height * width, config.vision.patch_dim), generator=rng).to(torch.uint8)
    visual = Visual(patches, (1, height, width), 1, torch.ones(1, height * width, dtype=torch.bool))
    words = torch.randint(0, config.language.vocab_size - 20, (text,), generator=rng)
    words[words >= config.image_token_id] -= 2
    ids = torch.cat([torch.full((height * width,), config.image_token_id), words])
    labels = torch.full_like(ids, IGNORE)
    labels[-max(1, text // 3) :] = ids[-max(1, text // 3) :]
    return Inputs(ids, ids == config.image_token_id, [visual], labels)


def shape(args: argparse.Namespace) -> ModelConfig:
    """The model's."""
    return shapes_of_2b(1, args.layers, tiny=args.quick)


def state_bytes(parameters: list[torch.nn.Parameter]) -> int:
    """Weights, gradients and AdamW's two means."""
    return sum(4 * p.numel() * p.element_size() for p in parameters)


def vl3_side(args: argparse.Namespace) -> dict[str, Any]:
    """Our way: the step of vl3.train on packs that are no longer than the padded batch."""
    from vl3.train.config import OptimConfig, PartConfig
    from vl3.train.objective import Objective
    from vl3.train.optim import freeze, make_optimizer, parts_of

    batches, before = samples_of(args), resident()
    model, _ = both_models(shape(args), DTYPES[args.dtype])
    del _
    parts = parts_of(model, {name: PartConfig(lr=1e-4) for name in ("vision", "projector", "language")})
    freeze(parts)
    model.vision.checkpointing = model.language.checkpointing = True
    model.train()
    objective, optimizer = Objective(model), make_optimizer(parts, OptimConfig())
    seconds, losses = [], []
    for batch in batches:
        start = time.perf_counter()
        longest = len(batch) * max(inputs.num_tokens for inputs in batch)
        packs = pack_samples([("all", inputs) for inputs in batch], longest)
        supervised = sum(int((inputs.labels[1:] != IGNORE).sum()) for inputs in batch)
        step_loss = 0.0
        for pack in packs:
            total = objective(pack).answers
            (total / supervised).backward()
            step_loss += float(total.detach()) / supervised
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - start)
        losses.append(step_loss)
    return report(seconds, losses, peak() - before, list(model.parameters()))


def transformers_side(args: argparse.Namespace) -> dict[str, Any]:
    """The usual way: Trainer with a collator that pads."""
    from transformers import Trainer, TrainerCallback, TrainingArguments

    batches, before = samples_of(args), resident()
    _, model = both_models(shape(args), DTYPES[args.dtype])
    del _
    model.train()
    flat = [inputs for batch in batches for inputs in batch]

    def collate(batch: list[Inputs]) -> dict[str, torch.Tensor]:
        longest = max(inputs.num_tokens for inputs in batch)
        ids = torch.zeros(len(batch), longest, dtype=torch.long)
        labels, mask = torch.full_like(ids, IGNORE), torch.zeros_like(ids)
        for row, inputs in enumerate(batch):
            length = inputs.num_tokens
            ids[row, :length], labels[row, :length], mask[row, :length] = inputs.input_ids, inputs.labels, 1
        visuals = [visual for inputs in batch for visual in inputs.visuals]
        return {
            "input_ids": ids,
            "labels": labels,
            "attention_mask": mask,
            "pixel_values": torch.cat([normalise(v.patches, v.mean, v.std) for v in visuals]).to(DTYPES[args.dtype]),
            "image_grid_thw": torch.tensor([v.grid for v in visuals]),
            "image_merge_sizes": torch.tensor([v.merge for v in visuals]),
        }

    seconds: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.start = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            seconds.append(time.perf_counter() - self.start)

    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=args.samples,
            max_steps=len(batches),
            learning_rate=1e-4,
            lr_scheduler_type="constant",
            optim="adamw_torch_fused",
            gradient_checkpointing=True,
            max_grad_norm=1.0,
            remove_unused_columns=False,
            report_to=[],
            save_strategy="no",
            logging_steps=1,
            disable_tqdm=True,
            use_cpu=True,
            bf16=False,
            train_sampling_strategy="sequential",
        )
        trainer = Trainer(model, settings, train_dataset=flat, data_collator=collate, callbacks=[Clock()])
        trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return report(seconds, losses, peak() - before, list(model.parameters()))


def report(seconds: list[float], losses: list[float], used: int, parameters: list[Any]) -> dict[str, Any]:
    """What a side prints."""
    rest = used - state_bytes(parameters)
    return {"seconds": seconds[WARM_UP:], "losses": [float(x) for x in losses], "bytes": used, "rest": rest}


SIDES = {"transformers": transformers_side, "vl3": vl3_side}

if __name__ == "__main__":
    main()
