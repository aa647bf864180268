"""Questions about things to read, worded as `page_questions.yaml` says."""

import random
from pathlib import Path
from typing import Any

import yaml

from recipes.nano.data.sample import Question, Split

WORDINGS: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
"""Topic -> the kind of its answers, and its wordings of each split."""

NTH = ("first", "second", "third", "fourth", "fifth", "sixth")


def ask(rng: random.Random, split: Split, topic: str, answer: str, **fields: str) -> Question:
    """A question on the topic. Half of the held-out ones are worded as in training, half as never in training."""
    wordings = WORDINGS[topic]["held_out" if split == "held_out" and rng.random() < 0.5 else "train"]
    return Question(WORDINGS[topic]["kind"], " ".join(rng.choice(wordings).format(**fields).split()), answer)


def choose_questions(
    rng: random.Random, first: list[Question], others: list[Question], most: int = 6
) -> list[Question]:
    """`first`, and others at random, `most` in all; no question twice."""
    chosen = [*first, *rng.sample(others, min(len(others), max(0, most - len(first))))]
    return list({question.text: question for question in chosen}.values())
