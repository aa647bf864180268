"""Text-only replay, so that the language model keeps its language: it answers prompts once, before it is trained.

    python -m recipes.nano.data.text START FOLDER        # writes FOLDER/train/text.jsonl

The 20 questions of KEPT are never trained on: they are what the model card shows of base and nano side by side.
"""

import argparse
import itertools
import json
import random
from pathlib import Path

from rich.progress import track

import vl3
from vl3.chat import Message
from vl3.errors import UserError

TOPICS = tuple(
    "rain,the moon,bread,bicycles,trees,music,the sea,cats,winter,trains,honey,maps,clocks,paper,volcanoes,coffee,"
    "birds,gardens,the desert,bridges,glass,football,books,rivers,salt,whales,candles,kites,mountains,soap,chess,"
    "potatoes,stars,horses,wool,libraries,snow,tea,ants,lighthouses".split(",")
)
ASKED = (
    "Write one sentence about {}.",
    "Write a short poem of two lines about {}.",
    "Name three things that have to do with {}.",
    "Explain to a child what is special about {}.",
    "Give me a fun fact about {}.",
    "Why do people like {}?",
    "Ask me a question about {}.",
    "Finish this sentence: The best thing about {} is",
)
PLAIN = (
    "Hello!",
    "Who are you?",
    "How are you today?",
    "Thank you.",
    "What can you do?",
    "Tell me a joke.",
    "Good night!",
    "What is 2 + 3?",
    "What is 10 - 4?",
    "Count from one to five.",
    "List the days of the week.",
    "List four colors.",
    "What is the opposite of hot?",
    "What is the opposite of early?",
    "Give me a synonym for happy.",
    "Translate 'good morning' into French.",
    "What is the past tense of 'go'?",
    "What comes after Tuesday?",
    "How many legs does a spider have?",
    "What is the capital of Italy?",
)
KEPT = (
    "What is the capital of France?",
    "Who wrote Romeo and Juliet?",
    "What is 7 + 5?",
    "Name three animals that can swim.",
    "Write one sentence about autumn.",
    "What is the largest planet in the solar system?",
    "Give me a tip for sleeping better.",
    "What is photosynthesis?",
    "Write a haiku about a frog.",
    "List the months of the year.",
    "What is the opposite of 'empty'?",
    "How do I boil an egg?",
    "Translate 'thank you' into Spanish.",
    "What is a prime number?",
    "Suggest a name for a small brown dog.",
    "Why is the sky blue?",
    "What does a carpenter do?",
    "Write a Python line that prints hello.",
    "Summarise the story of Cinderella in one sentence.",
    "What should I pack for a day at the beach?",
)

NUM_PROMPTS = 200
"""A third of the answers end by themselves within 60 tokens, and only those are kept."""


def prompts() -> list[str]:
    """The prompts of the replay: NUM_PROMPTS of all, in a fixed random order."""
    made = [asked.format(topic) for asked, topic in itertools.product(ASKED, TOPICS)]
    chosen = [*PLAIN, *made]
    assert not set(chosen) & set(KEPT)
    random.Random("text").shuffle(chosen)
    return chosen[:NUM_PROMPTS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("start", help="the checkpoint before any training")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("build/nano"))
    parser.add_argument("--batch", type=int, default=20)
    given = parser.parse_args()
    assistant = vl3.load(given.start, dtype="float32")
    asked = prompts()
    path = given.folder / "train" / "text.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".part").open("w", encoding="utf-8") as file:
        for begin in track(range(0, len(asked), given.batch), "text"):
            batch = asked[begin : begin + given.batch]
            requests: list[list[Message]] = [[{"role": "user", "content": text}] for text in batch]
            for text, answer in zip(batch, assistant.batch(requests, max_new_tokens=60), strict=True):
                if isinstance(answer, UserError):
                    raise answer
                if answer.finish_reason != "stop":  # cut off: nothing to learn an end from
                    continue
                turns = [{"from": "human", "value": text}, {"from": "gpt", "value": answer.text}]
                file.write(json.dumps({"conversations": turns, "kinds": ["text"]}, ensure_ascii=False) + "\n")
    path.with_suffix(".part").rename(path)


if __name__ == "__main__":
    main()
