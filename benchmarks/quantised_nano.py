"""What quantised loading costs: one model plain and packed, on the same texts, pictures and clips.

python benchmarks/quantised_nano.py build/nano/held_out/*.jsonl
"""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from common import progress, say
from torch import Tensor

from vl3.chat import Message, media_of
from vl3.config import GenerationConfig
from vl3.eval.task import Item, Task
from vl3.eval.tasks.annotations import jsonl
from vl3.generate import Assistant, load
from vl3.processing import IGNORE, Inputs, load_visuals, times_of

ROOT = Path(__file__).parents[1]
LONGEST_ANSWER = 24


@dataclass(frozen=True)
class Question:
    """A question about a medium, and the same with its true answer."""

    prompt: Inputs
    answered: Inputs


@dataclass(frozen=True)
class Behaviour:
    """What a model does."""

    text_loss: float
    """Mean over the tokens of texts."""
    answer_loss: float
    """Mean over the tokens of true answers."""
    likeliest: Tensor
    """The likeliest token at each of all those places."""
    answers: list[list[int]]
    """Greedy."""


def main() -> None:
    """Prints perplexities, and how often the packed model agrees with the plain one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="annotations, as nano's held-out ones")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--ways", nargs="+", default=["int8", "int4"], choices=["int8", "int4"])
    parser.add_argument("--limit", type=int, default=6, help="questions of each kind")
    parser.add_argument("--texts", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="three of all, to try the script")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    plain = load(args.model)
    most = 3 if args.quick else None
    texts = paragraphs(plain)[: most or args.texts]
    task = Task.limited(jsonl(args.files), args.limit, 0)
    questions = [question(plain, item) for item in list(task.items)[:most] if item.kind != "stream"]
    reference = behaviour(plain, texts, questions)
    plain.close()
    del plain
    result: dict[str, Any] = {
        "what": f"{args.model}: {len(texts)} texts, {len(questions)} questions about pictures and clips",
        "perplexity of texts, plain": math.exp(reference.text_loss),
        "perplexity of true answers, plain": math.exp(reference.answer_loss),
    }
    for way in args.ways:
        packed = load(args.model, quantize=way)
        seen = behaviour(packed, texts, questions)
        packed.close()
        same = sum(a == b for a, b in zip(seen.answers, reference.answers, strict=True))
        result[f"perplexity of texts, {way} / plain"] = math.exp(seen.text_loss - reference.text_loss)
        result[f"perplexity of true answers, {way} / plain"] = math.exp(seen.answer_loss - reference.answer_loss)
        result[f"same likeliest token, {way}"] = float((seen.likeliest == reference.likeliest).float().mean())
        result[f"same greedy answer, {way}"] = f"{same} of {len(questions)}"
    progress("")
    say(result, args.json)


def paragraphs(assistant: Assistant) -> list[Tensor]:
    """Token ids of the longer paragraphs of this project's documentation."""
    files = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    found = [part for file in files for part in file.read_text(encoding="utf-8").split("\n\n") if len(part) > 200]
    tokenizer = assistant.checkpoint.tokenizer
    return [torch.tensor(tokenizer.encode(text, add_special_tokens=False).ids[:256]) for text in found]


def question(assistant: Assistant, item: Item) -> Question:
    """Reads the media once, for all models."""
    processor = assistant.processor
    visuals, infos = load_visuals(media_of(item.messages), processor.config, assistant.decoder)
    answered: list[Message] = [*item.messages, {"role": "assistant", "content": item.truths[0]}]
    return Question(
        processor.inputs(item.messages, visuals, times_of(infos)),
        processor.inputs(answered, visuals, times_of(infos), add_generation_prompt=False),
    )


@torch.inference_mode()
def behaviour(assistant: Assistant, texts: list[Tensor], questions: list[Question]) -> Behaviour:
    """Losses, likeliest tokens and answers of a model."""
    model, engine = assistant.checkpoint.model, assistant.engine
    text_losses, answer_losses, likeliest, sequences = [], [], [], []
    way = assistant.checkpoint.quantize or "plain"
    for number, ids in enumerate(texts):
        progress(f"{way}: text {number} of {len(texts)}")
        loss, best = predicted(model.logits(model(ids, [len(ids)])), ids)
        text_losses.append(loss)
        likeliest.append(best)
    for number, asked in enumerate(questions):
        progress(f"{way}: question {number} of {len(questions)}")
        inputs = asked.answered
        hidden = model(inputs.input_ids, [inputs.num_tokens], inputs.visuals, inputs.visual_mask)
        loss, best = predicted(model.logits(hidden), inputs.labels)
        answer_losses.append(loss)
        likeliest.append(best)
        sequence = engine.sequence(asked.prompt, GenerationConfig(max_new_tokens=LONGEST_ANSWER))
        engine.prefill(sequence)
        sequences.append(sequence)
    while any(sequence.finish_reason is None for sequence in sequences):
        engine.step(sequences)
    return Behaviour(
        text_loss=float(torch.cat(text_losses).mean()),
        answer_loss=float(torch.cat(answer_losses).mean()),
        likeliest=torch.cat(likeliest),
        answers=[sequence.generated for sequence in sequences],
    )


def predicted(logits_TV: Tensor, labels_T: Tensor) -> tuple[Tensor, Tensor]:
    """(loss, likeliest token) at each place whose next token has a label."""
    wanted = labels_T[1:] != IGNORE
    scores_NV, targets_N = logits_TV[:-1][wanted].float(), labels_T[1:][wanted]
    return torch.nn.functional.cross_entropy(scores_NV, targets_N, reduction="none"), scores_NV.argmax(dim=1)


if __name__ == "__main__":
    main()
