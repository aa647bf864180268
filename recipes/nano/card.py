"""The measured half of nano's model card, from the logs of its runs: scores, answers, curves of training, ablations.

    python -m recipes.nano.card runs/out/nano src/vl3/nano/MODEL_CARD.md --curves docs/images/nano-training.png

Each part of the card stands between `<!-- name -->` and `<!-- end -->` and is written anew; the words around are left.
"""

import argparse
import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from vl3.errors import UserError
from vl3.eval.log import Record, read_row
from vl3.eval.report import Run, markdown_table, percent, read_run, table_of
from vl3.eval.sums import ALL, MODEL

STAGES = ("stage0_align", "stage1_vision", "stage2_align", "stage3_multitask", "stage4_video")
VIDEOS = (".mp4", ".avi", ".gif", ".mpg", ".webm")
EACH = 5
"""Answers shown, of the right ones and of the wrong ones."""

Lines = list[tuple[str, ...]]
"""Of a table; the first is the head."""


def card(runs: Path, text: str) -> str:
    """The card's text with its measured parts made anew."""
    parts = {
        "scores": markdown_table(table_of([read_run(runs / "eval")])),
        "photos": markdown_table(table_of([read_run(runs / "photos")])),
        "answers": markdown_table(answers(read_row(runs / "photos", MODEL).values())),
        "training": markdown_table(training(runs)),
        "ablations": markdown_table(ablations([read_run(path) for path in sorted((runs / "ablations").glob("*"))])),
    }
    for name, part in parts.items():
        block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not block.search(text):
            raise UserError(f"the card has no place for {name}: put `<!-- {name} -->` and `<!-- end -->` into it")
        text = block.sub("\\1\n" + part.replace("\\", "\\\\") + "\n\n\\2", text)
    return text


def answers(records: Collection[Record]) -> Lines:
    """The first right and the first wrong answers, the kinds taken in turn."""
    lines: Lines = [("medium", "question", "answer", "accepted", "")]
    for score, verdict in ((1.0, "right"), (0.0, "wrong")):
        turns: dict[str, list[Record]] = {}
        for record in records:
            if record.score == score:
                turns.setdefault(record.kind, []).append(record)
        longest = max(map(len, turns.values()), default=0)
        found = [queue[turn] for turn in range(longest) for queue in turns.values() if turn < len(queue)]
        for record in found[:EACH]:
            truth = record.truth if isinstance(record.truth, str) else ", ".join(record.truth)
            lines.append((record.cluster, record.question, " ".join(record.answer.split()), truth, verdict))
    return lines


def training(runs: Path) -> Lines:
    """A line for each stage: its loss, and what was held out at its end."""
    lines: Lines = [
        ("stage", "steps", "samples", "loss at first", "at last", "held out: loss", "named", "right to the letter")
    ]
    for stage in STAGES:
        steps, held_out = log_of(runs / stage)
        tenth = max(1, len(steps) // 10)
        first, last = (sum(r["loss"] for r in part) / tenth for part in (steps[:tenth], steps[-tenth:]))
        samples = round(sum(r["samples_per_s"] / r["steps_per_s"] for r in steps))
        end = held_out[-1]
        shares = [percent(end.get(key)) for key in ("held_out_named", "held_out_exact")]
        losses = [f"{value:.2f}" for value in (first, last, end["held_out_loss"])]
        lines.append((stage, str(steps[-1]["step"]), f"{samples:,}", *losses, *shares))
    return lines


def log_of(run: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The records of a run's steps, and those of its held-out samples."""
    records = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [r for r in records if "loss" in r], [r for r in records if "held_out_loss" in r]


def draw(runs: Path, path: Path) -> None:
    """The loss of each stage's steps, and the held-out loss and shares, one under the other."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 5), layout="constrained", dpi=80)
    rows = figure.subplots(2, len(STAGES))
    for column, stage in enumerate(STAGES):
        steps, held_out = log_of(runs / stage)
        above, below = rows[0][column], rows[1][column]
        above.plot([r["step"] for r in steps], [r["loss"] for r in steps], color="C0", alpha=0.35, label="a step")
        above.plot(
            [r["step"] for r in held_out], [r["held_out_loss"] for r in held_out], "o-", color="C1", label="held out"
        )
        above.set_title(stage)
        for key, label, color in (("held_out_named", "things named", "C2"), ("held_out_exact", "to the letter", "C3")):
            points = [(r["step"], 100 * r[key]) for r in held_out if key in r]
            if points:
                below.plot(*zip(*points, strict=True), "o-", color=color, label=label)
        below.set_ylim(0, 100)
        below.set_xlabel("step")
    rows[0][0].set_ylabel("loss")
    rows[1][0].set_ylabel("held-out samples, per cent")
    for row in rows[:, -1]:
        row.legend(frameon=False, fontsize="small")
    figure.savefig(path, metadata={"Software": None})


def ablations(runs: Sequence[Run]) -> Lines:
    """A line for each run of the same questions: scores of all, of pictures and of clips, and visual tokens."""
    lines: Lines = [("", "questions", "all", "pictures", "clips", "visual tokens of a clip")]
    for run in runs:
        records = read_row(run.folder, MODEL).values()
        clips = [r for r in records if r.media and r.media[0].endswith(VIDEOS)]
        seen = {id(r) for r in clips}
        pictures = [r for r in records if id(r) not in seen]
        total = run.result["rows"][MODEL][ALL]
        tokens = sum(r.visual_tokens for r in clips) / max(len(clips), 1)
        scores = [percent(total["mean"]), *(percent(_mean(part)) for part in (pictures, clips))]
        lines.append((run.name.replace("_", " "), str(total["n"]), *scores, f"{tokens:.0f}"))
    return lines


def _mean(records: Sequence[Record]) -> float | None:
    scores = [r.score for r in records if r.score is not None]
    return sum(scores) / len(scores) if scores else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="folder of the stages, with eval/, photos/ and ablations/ beside them")
    parser.add_argument("card", type=Path)
    parser.add_argument("--curves", type=Path, help="picture of the curves of training")
    given = parser.parse_args()
    given.card.write_text(card(given.runs, given.card.read_text(encoding="utf-8")), encoding="utf-8")
    if given.curves is not None:
        draw(given.runs, given.curves)


if __name__ == "__main__":
    main()
