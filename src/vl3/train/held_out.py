"""What is measured while training: the loss on samples that are not trained on, and answers to their questions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.fsdp import FSDPModule

from vl3.data import Pack
from vl3.model import VideoLLaMA3, Visual
from vl3.model.videollama3 import splice
from vl3.train.batches import blank_pack, to_device
from vl3.train.config import HeldOutConfig
from vl3.train.distributed import World, gather_objects, sum_over_ranks
from vl3.train.loss import IGNORE, next_token_targets
from vl3.train.objective import Objective, Terms
from vl3.weights import Checkpoint


@torch.no_grad()
def figures(objective: Objective, packs: Sequence[Pack], world: World, half: bool) -> dict[str, float]:
    """Means over all ranks' packs: "held_out_loss" of supervised tokens (of aligned ones, where answers are not trained
    on); "held_out_exact", the share of answers that the model would give to the letter; "held_out_named", the share of
    things that alignment names rightly.
    """
    most = max(gather_objects(len(packs), world))
    sums = torch.zeros(6, dtype=torch.float64)
    for pack in [*packs, *[blank_pack()] * (most - len(packs))]:
        with torch.autocast(world.device.type, torch.bfloat16, enabled=half):
            terms: Terms = objective(to_device(pack, world.device))
        if objective.answers:
            loss, count = float(terms.per_token.sum()), float(len(terms.per_token))
        else:
            loss, count = float(terms.alignment), objective.align_weight(pack)
        sums += torch.tensor([loss, count, *_exact(pack, terms.likeliest.cpu()), *terms.named.tolist()])
    loss, count, exact, answers, named, things = sum_over_ranks(sums.tolist(), world)
    result = {"held_out_loss": loss / max(count, 1)}
    result |= {"held_out_exact": exact / answers} if answers else {}
    return result | ({"held_out_named": named / things} if things else {})


def _exact(pack: Pack, likeliest: Tensor) -> tuple[int, int]:
    """(answers all of whose tokens are the likeliest ones, answers): with greedy decoding, those that are right."""
    places = (next_token_targets(pack.labels, pack.lengths) != IGNORE).nonzero()[:, 0]
    if not len(likeliest):  # nothing is supervised, or the language model did not run
        return 0, 0
    begins = torch.cat([torch.ones(1, dtype=torch.bool), places.diff() > 1])
    answer_of = begins.cumsum(0) - 1
    wrong = torch.zeros(int(begins.sum())).index_add_(0, answer_of, (~likeliest).float())
    return int((wrong == 0).sum()), len(wrong)


@dataclass(frozen=True, eq=False)
class Question:
    """The prompt of a held-out sample and its true answer."""

    source: str
    input_ids: Tensor
    visual_mask: Tensor
    visuals: list[Visual]
    truth: list[int]


def first_questions(packs: Sequence[Pack], count: int) -> list[Question]:
    """The first answered turn of each of the first `count` samples."""
    questions: list[Question] = []
    for pack in packs:
        visuals = iter(pack.visuals)
        pieces = zip(
            pack.input_ids.split(pack.lengths),
            pack.labels.split(pack.lengths),
            pack.visual_mask.split(pack.lengths),
            pack.sources,
            strict=True,
        )
        for ids, labels, mask, source in pieces:
            own = _take(visuals, int(mask.sum()))
            positions = (labels != IGNORE).nonzero()[:, 0].tolist()
            if not positions or len(questions) == count:
                continue
            first = positions[0]
            end = first
            while end < len(labels) and int(labels[end]) != IGNORE:
                end += 1
            shown = _take(iter(own), int(mask[:first].sum()))
            questions.append(Question(source, ids[:first], mask[:first], shown, ids[first:end].tolist()))
    return questions


def _take(visuals: Iterator[Visual], num_tokens: int) -> list[Visual]:
    """The next visuals, as many as fill so many placeholders."""
    taken = []
    while num_tokens > 0:
        taken.append(next(visuals))
        num_tokens -= taken[-1].num_tokens
    assert num_tokens == 0, "a prompt ends inside a visual"
    return taken


@torch.no_grad()
def answer(objective: Objective, question: Question, max_new_tokens: int, stop: set[int], world: World) -> list[int]:
    """The likeliest answer, token by token, without the token that ended it.

    All ranks take part with the same question, since each holds a share of the weights; the first decides each token.
    """
    model: VideoLLaMA3 = objective.model
    if isinstance(objective, FSDPModule):
        objective.unshard()  # embedding and head; blocks are gathered as they are called
    cache = model.new_cache(len(question.input_ids) + max_new_tokens)
    x_TD = model.language.embed_tokens(question.input_ids.to(world.device))
    if question.visuals:
        features = model.see([visual.to(world.device) for visual in question.visuals], max_patches=None)
        x_TD = splice(x_TD, question.visual_mask.to(world.device), features)
    generated: list[int] = []
    while len(generated) < max_new_tokens:
        hidden_TD = model.language(x_TD, [x_TD.shape[0]], [cache])
        token = model.logits(hidden_TD[-1:]).argmax(dim=-1)
        if world.size > 1:
            dist.broadcast(token, src=0)
        if int(token) in stop:
            break
        generated.append(int(token))
        x_TD = model.language.embed_tokens(token)
    if isinstance(objective, FSDPModule):
        objective.reshard()
    return generated


class HeldOut:
    """Held-out samples with the means to measure on them."""

    def __init__(self, packs: Sequence[Pack], config: HeldOutConfig, start: Checkpoint, world: World) -> None:
        """packs: this rank's share; questions are those of the first rank."""
        self.packs, self.world = packs, world
        self.max_new_tokens = config.max_new_tokens
        (self.questions, *_) = gather_objects(first_questions(packs, config.answers), world)
        self.tokenizer, self.stop = start.tokenizer, set(start.eos_token_ids)

    def measure(self, objective: Objective, half: bool) -> dict[str, object]:
        """`figures` with "answers": [{"source", "truth", "answer"}]; the model is left in training mode."""
        objective.eval()
        result = figures(objective, self.packs, self.world, half)
        spoken = []
        for question in self.questions:
            with torch.autocast(self.world.device.type, torch.bfloat16, enabled=half):
                ids = answer(objective, question, self.max_new_tokens, self.stop, self.world)
            truth = [token for token in question.truth if token not in self.stop]
            texts = {"truth": self.tokenizer.decode(truth), "answer": self.tokenizer.decode(ids)}
            spoken.append({"source": question.source, **texts})
        objective.train()
        return {**result, "answers": spoken}
