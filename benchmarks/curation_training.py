"""Does curation help? One model trained with the same budget on the raw and on the curated pool.

    PYTHONPATH=. python benchmarks/curation_training.py FOLDER [--rows 1500] [--steps 60] [--start nano]

The pool is that of benchmarks/curation_data.py, a part of which is planted faults; the curated one is what
recipes/curate/images.yaml leaves of it. Both runs start from nano, of which they fine-tune the projector and adapters
on the language model, or from a tiny random model that they train whole. They take the same steps of the same number
of samples, and are measured on the same new scenes without faults, of which no label has many. What is printed is the
loss per token of the right captions.
"""

import argparse
import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from benchmarks.curation_data import build, encoded, scene
from recipes.nano.data.captions import describe

ROOT = Path(__file__).parents[1]
PROMPT = "Describe the image."
HELD_OUT = 120
"""Scenes that are tested on."""
PER_LABEL = 12
SAMPLES_PER_STEP = 8
PARTS: dict[str, dict[str, Any]] = {
    "nano": {"projector": {"lr": 2e-4}, "language": {"lr": 1e-3, "lora": {"rank": 8, "alpha": 16}}},
    "tiny": {"vision": {"lr": 1e-3}, "projector": {"lr": 1e-3}, "language": {"lr": 1e-3}},
}
"""What is trained, by what the runs start from."""


def write_held_out(folder: Path, nano: Path | None) -> Path:
    """New scenes without faults, at most PER_LABEL of each label."""
    path = folder / "held_out.jsonl"
    (folder / "held_out").mkdir(parents=True, exist_ok=True)
    counts: Counter[str] = Counter()
    lines: list[str] = []
    number = 0
    while len(lines) < HELD_OUT and number < 20 * HELD_OUT:
        name = f"held out {number}"
        number += 1
        made, label = scene(name, nano)
        if counts[label] >= PER_LABEL:
            continue
        counts[label] += 1
        picture = folder / "held_out" / f"{len(lines):04d}.jpg"
        picture.write_bytes(encoded(made.image))
        words = describe(random.Random(name), made)
        turns = [{"from": "human", "value": f"<image>\n{PROMPT}"}, {"from": "gpt", "value": words}]
        lines.append(json.dumps({"image": [str(picture)], "conversations": turns}) + "\n")
    path.write_text("".join(lines))
    return path


def run_vl3(*arguments: str) -> None:
    """One command of vl3."""
    subprocess.run([sys.executable, "-m", "vl3", *arguments], check=True, cwd=ROOT)


def curated(folder: Path, recipe: str, name: str, *settings: str) -> None:
    """Makes a set of the pool: FOLDER/NAME/set/train.jsonl."""
    source = f"sources.0.path={folder / 'pool.jsonl'}"
    run_vl3(
        "curate",
        recipe,
        source,
        "sources.0.label=label",
        f"output={folder / name}",
        f"steps.export.prompts=['{PROMPT}']",
        *settings,
    )


def train(folder: Path, start: str, name: str, held_out: Path, steps: int, seed: int) -> dict[str, Any]:
    """What the log of one run says."""
    samples = folder / name / "set" / "train.jsonl"
    output = folder / f"train_{start}_{name}_{seed}"
    data = {"pack_tokens": 2048, "num_workers": 0}
    recipe = {
        "init_from": start if start == "nano" else str(folder / start),
        "output": str(output),
        "steps": steps,
        "data": {
            **data,
            "sources": [{"path": str(samples)}],
            "samples_per_step": SAMPLES_PER_STEP,
            "failure_budget": 0.5,
            "seed": seed,
        },
        **PARTS[start],
        "processor": {"image_merge_size": 1, "video_merge_size": 1, "min_tokens": 16, "max_tokens": 100},
        "precision": "fp32",
        "checkpointing": False,
        "seed": seed,
        "save": {"every_steps": 10_000, "layouts": ["vl3"], "merge_lora": False},
        "held_out": {
            "data": {**data, "sources": [{"path": str(held_out)}]},
            "every_steps": max(1, steps // 3),
            "answers": 0,
        },
    }
    path = output.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(recipe))
    run_vl3("train", str(path))
    records = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    curve = {record["step"]: record["held_out_loss"] for record in records if "held_out_loss" in record}
    return {"pool": name, "samples": len(samples.read_text().splitlines()), "seed": seed, "held_out_loss": curve}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1500)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--start", choices=PARTS, default="nano")
    parser.add_argument("--nano", type=Path, help="folder of nano's data, with its pictures")
    parser.add_argument("--curate", nargs="*", default=[], help="more settings for the curated pool")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    build(folder, arguments.rows, arguments.nano)
    held_out = write_held_out(folder, arguments.nano)
    nothing = folder / "nothing.yaml"
    nothing.write_text("output: ???\nsources:\n  - path: ???\nsteps: {export: {}}\n")
    curated(folder, str(nothing), "raw")
    curated(folder, "recipes/curate/images.yaml", "curated", *arguments.curate)
    if arguments.start == "tiny" and not (folder / "tiny").exists():
        run_vl3("demo-model", str(folder / "tiny"))
    results = [
        train(folder, arguments.start, name, held_out, arguments.steps, seed)
        for seed in range(arguments.seeds)
        for name in ("raw", "curated")
    ]
    for result in results:
        print(json.dumps(result))
    last = {
        name: [list(r["held_out_loss"].values())[-1] for r in results if r["pool"] == name]
        for name in ("raw", "curated")
    }
    means = {name: sum(losses) / len(losses) for name, losses in last.items()}
    print(f"held-out loss: raw {means['raw']:.4f}, curated {means['curated']:.4f}; ", end="")
    print(f"ratio {means['curated'] / means['raw']:.4f} (below 1: curation helped), seeds {arguments.seeds}")


if __name__ == "__main__":
    main()
