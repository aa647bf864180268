"""Training: the build order of a run, and its loop."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from vl3.data import Pack
from vl3.errors import UserError
from vl3.heap import keep_freed_memory
from vl3.processing import Processor
from vl3.train import checkpoint
from vl3.train.align import Align
from vl3.train.batches import Batches, held_out_packs, sample_of_supervised, to_device
from vl3.train.checkpoint import Position
from vl3.train.config import TrainConfig
from vl3.train.distributed import World, gather_objects, join_world, leave_world, sum_over_ranks
from vl3.train.export import export
from vl3.train.held_out import HeldOut
from vl3.train.log import Meter, Record, RunLog, peak_memory_gb, print_table
from vl3.train.objective import Objective, Terms, shard
from vl3.train.optim import make_optimizer, schedule, set_learning_rates, table
from vl3.train.start import prepare, processor_of
from vl3.weights import Checkpoint, load_checkpoint

Evaluate = Callable[[Checkpoint], dict[str, float]]
"""Scores of a model, by name: called with the model as it is while one process trains, and with the finished one."""


def train(
    config: TrainConfig, *, resume: bool = False, dry_run: int | None = None, evaluate: Evaluate | None = None
) -> Path | None:
    """Runs a recipe to its end and returns the folder of the finished weights (None for a dry run).

    resume goes on from the newest checkpoint, if there is one; dry_run does so many steps and writes nothing.
    """
    _check_output(config, resume, dry=dry_run is not None)
    world = join_world(config.device)
    if world.device.type == "cpu":
        keep_freed_memory()
    try:
        run = Run(config, world, evaluate, dry=dry_run is not None)
        if resume and (newest := checkpoint.latest(config)) is not None:
            run.restore(newest)
        run.loop(dry_run)
        return run.finish() if dry_run is None else None
    finally:
        leave_world(world)


class Run:
    """A run in progress: weights, what is trained of them, sharding, optimiser, data, in this order."""

    def __init__(self, config: TrainConfig, world: World, evaluate: Evaluate | None = None, dry: bool = False) -> None:
        """dry: samples that fail are counted and shown, but named in no file."""
        self.config, self.world, self.evaluate = config, world, evaluate
        self.quarantine = None if dry else str(Path(config.output) / "quarantine.jsonl")
        start = load_checkpoint(config.init_from)
        self.start = replace(start, processor=processor_of(config, start))
        self.parts = prepare(start.model, config, world.device)
        align = (
            None
            if config.align is None
            else Align(config.align, start.tokenizer, start.model.language.embed_tokens.weight)
        )
        objective = Objective(start.model, align, config.weighting, always_look=world.size > 1).to(world.device)
        self.objective = shard(objective, world, self.half)
        self.optimizer = make_optimizer(self.parts, config.optim, [] if align is None else align.parameters())
        self.processor = Processor(self.start.processor, start.tokenizer, start.config)
        self.batches = Batches(config.data, self.processor, world, self.quarantine)
        self.held_out = self._held_out()
        self.step = 0

    @property
    def half(self) -> bool:
        """Whether products are in bfloat16."""
        return self.config.precision == "bf16"

    def restore(self, path: Path) -> None:
        """Goes back to a checkpoint."""
        position = checkpoint.load(self.objective, self.optimizer, path, self.world)
        self.batches.load_state_dict(position.data)
        self.step = position.step

    def loop(self, dry_run: int | None = None) -> None:
        """Steps until the run, or the dry run, is done."""
        last = self.config.steps if dry_run is None else min(self.config.steps, self.step + dry_run)
        if self.world.is_main:
            print_table(table(self.parts))
        folder = None if dry_run is not None or not self.world.is_main else Path(self.config.output)
        with RunLog(folder, last, self.step, self.config.tensorboard, show=self.world.is_main) as log:
            meter = Meter()
            while self.step < last:
                losses, norm = self._step(meter)
                if self.step % self.config.log_every_steps == 0 or self.step == last:
                    self._report(losses, norm, meter, log, last)
                if dry_run is None:
                    self._measure(log)
                    self._save()

    def finish(self) -> Path:
        """Writes the finished weights."""
        return export(self.objective, self.config, self.start.processor, self.world, self._score_finished)

    def _step(self, meter: Meter) -> tuple["Losses", float]:
        """One optimiser step over all of its micro-batches on all ranks."""
        config, world = self.config, self.world
        # all that is random in a step is dropout; its seed is a function of the step, so nothing of it need be saved
        torch.manual_seed(config.seed + 1_000_003 * self.step + 7919 * world.rank)
        set_learning_rates(self.optimizer, schedule(self.step, config.steps, config.optim))
        packs = self.batches.next_step()
        supervised, aligned = self._counts(packs)
        losses = Losses()
        for pack in packs:
            with torch.autocast(world.device.type, torch.bfloat16, enabled=self.half):
                terms = self.objective(to_device(pack, world.device))
            total = terms.answers / (supervised or 1)
            if config.align is not None and aligned:
                total = total + terms.alignment * (config.align.weight / aligned)
            # sharded gradients are averaged over the ranks: times their number, it is the sum
            if total.requires_grad:  # a text pack does not where only the vision encoder learns
                (total * world.size).backward()
            losses.add(pack, terms, self.objective.align_weight(pack))
            meter.count(tokens=sum(pack.lengths), supervised_tokens=len(terms.per_token), samples=len(pack.sources))
        norm = self._apply_gradients()
        self.step += 1
        meter.count(steps=1)
        return losses, norm

    def _counts(self, packs: list[Pack]) -> tuple[float, float]:
        """What the two losses of a step are divided by, over all ranks: weights of supervised and of aligned tokens."""
        own = [sum(map(self.objective.answers_weight, packs)), sum(map(self.objective.align_weight, packs))]
        supervised, aligned = sum_over_ranks(own, self.world)
        if self.objective.answers and supervised == 0:
            raise UserError(f"step {self.step + 1}: none of its samples has an answer to train on")
        if not self.objective.answers and aligned == 0:
            raise UserError(f"step {self.step + 1}: none of its samples has regions to align with")
        return supervised, aligned

    def _apply_gradients(self) -> float:
        """Clips, steps, and returns the norm of all gradients before clipping. UserError instead of a useless step."""
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        limit = self.config.optim.clip
        total = nn.utils.clip_grad_norm_(parameters, float("inf") if limit is None else limit)
        norm = float(total.full_tensor() if isinstance(total, DTensor) else total)
        if not math.isfinite(norm):
            raise UserError(
                f"step {self.step + 1}: the gradients are not finite; lower the learning rates, or look at the "
                "step's samples; the newest checkpoint is whole: resume from it"
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return norm

    def _report(self, losses: "Losses", norm: float, meter: Meter, log: RunLog, last: int) -> None:
        rates = meter.take(self.world)
        record: Record = {"step": self.step, **losses.summary(self.world), "grad_norm": norm}
        record |= {"lr": {g["name"]: g["lr"] for g in self.optimizer.param_groups}} | rates
        record["memory_gb"] = peak_memory_gb(self.world.device)
        record["eta_s"] = (last - self.step) / rates["steps_per_s"]
        log.write(record)
        log.show(record)

    def _measure(self, log: RunLog) -> None:
        """The held-out loss, sampled answers and the evaluation that was passed in, at their times."""
        config = self.config.held_out
        if config is None or self.held_out is None:
            return
        if self.step % config.every_steps and self.step < self.config.steps:
            return
        record: Record = {"step": self.step, **self.held_out.measure(self.objective, self.half)}
        if self.evaluate is not None and self.world.size == 1 and self.step < self.config.steps:
            record["scores"] = self.evaluate(replace(self.start, model=self.start.model.eval()))
            self.objective.train()
        log.write(record)
        shares = {"right to the letter": "held_out_exact", "things named": "held_out_named"}
        said = [f"{record[key]:.1%} {what}" for what, key in shares.items() if key in record]
        log.say("  ".join([f"step {self.step}: held-out loss {record['held_out_loss']:.4f}", *said]))
        for spoken in record["answers"]:
            log.say(f"  {spoken['source']}: {spoken['answer']!r} (true: {spoken['truth']!r})")

    def _save(self) -> None:
        if self.step % self.config.save.every_steps == 0 or self.step == self.config.steps:
            position = Position(self.step, self.batches.state_dict())
            checkpoint.save(self.objective, self.optimizer, position, self.config, self.world)

    def _score_finished(self, finished: Checkpoint) -> None:
        """The evaluation of what was written, read back; its scores go beside the weights' folder."""
        if self.evaluate is not None:
            scores = self.evaluate(finished)
            (Path(self.config.output) / "scores.json").write_text(json.dumps(scores, indent=2) + "\n")

    def _held_out(self) -> HeldOut | None:
        config = self.config.held_out
        if config is None:
            return None
        packs = held_out_packs(config.data, self.processor, self.world, config.max_packs, self.quarantine)
        return HeldOut(packs, config, self.start, self.world)


class Losses:
    """The losses of one step, in all and for each source."""

    def __init__(self) -> None:
        self._of_samples: list[tuple[list[str], torch.Tensor]] = []
        self._alignment: list[tuple[float, torch.Tensor, torch.Tensor]] = []

    def add(self, pack: Pack, terms: Terms, align_weight: float) -> None:
        """Takes in what the objective gives for a pack, and what its alignment loss counts for."""
        if align_weight:
            self._alignment.append((align_weight, terms.alignment.detach(), terms.named))
        per_token = terms.per_token
        if not len(per_token):
            return
        sample_n = sample_of_supervised(pack).to(per_token.device)
        sums = per_token.new_zeros(len(pack.lengths)).index_add_(0, sample_n, per_token)
        counts = sample_n.bincount(minlength=len(pack.lengths))
        self._of_samples.append((pack.sources, torch.stack([sums, counts.to(sums.dtype)])))

    def summary(self, world: World) -> Record:
        """{"loss", "supervised_tokens", "sources": {name: {"loss", "tokens"}}} over all ranks.

        Where tokens are aligned also "align_loss" and "align_accuracy", the share of things named rightly; without
        answers the former is the loss.
        """
        own: dict[str, list[float]] = {}
        for sources, sums_and_counts in self._of_samples:
            for source, (total, count) in zip(sources, sums_and_counts.T.tolist(), strict=True):
                entry = own.setdefault(source, [0.0, 0.0])
                entry[0], entry[1] = entry[0] + total, entry[1] + count
        joined: dict[str, list[float]] = {}
        for of_rank in gather_objects(own, world):
            for source, (total, count) in of_rank.items():
                entry = joined.setdefault(source, [0.0, 0.0])
                entry[0], entry[1] = entry[0] + total, entry[1] + count
        tokens = sum(count for _, count in joined.values())
        alignment = self._of_alignment(world)
        answers = {"loss": sum(total for total, _ in joined.values()) / tokens} if tokens else {}
        return {
            "loss": alignment.get("align_loss", 0.0),
            **answers,
            **alignment,
            "supervised_tokens": int(tokens),
            "sources": {
                source: {"loss": total / count, "tokens": int(count)}
                for source, (total, count) in sorted(joined.items())
                if count
            },
        }

    def _of_alignment(self, world: World) -> Record:
        sums = [(weight, float(loss), *named.tolist()) for weight, loss, named in self._alignment]
        own = [sum(column) for column in zip(*sums, strict=True)] if sums else [0.0] * 4
        weight, loss, right, things = sum_over_ranks(own, world)
        return {"align_loss": loss / weight, "align_accuracy": right / max(things, 1)} if weight else {}


def _check_output(config: TrainConfig, resume: bool, dry: bool) -> None:
    if not (resume or dry) and checkpoint.latest(config) is not None:
        raise UserError(f"{config.output}: holds checkpoints of a run; add --resume to go on, or choose another output")
    try:
        if not dry:
            Path(config.output).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{config.output}: cannot be written: {error.strerror}") from error
