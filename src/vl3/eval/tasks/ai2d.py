"""AI2D: multiple-choice questions about diagrams of science books. https://arxiv.org/abs/1603.07396

Prompt: the one of the annotation file that VideoLLaMA3 names (evaluation/benchmarks/ai2d.py). Score: the right letter.
"""

from pathlib import Path

from vl3.eval.benchmark import IMAGE, Benchmark, Need
from vl3.eval.files import check_row, letter_at, parquet_rows
from vl3.eval.measures import choices
from vl3.eval.task import Item, Task, asked, image, lettered
from vl3.generate import Options

PAGE = "https://huggingface.co/datasets/lmms-lab-encoder/ai2d"
FILES = Need("data/test-*.parquet", "questions, answers and diagrams", PAGE)
FORM = {"question": str, "options": list, "answer": str | int, "image": str}


def load(folder: Path, _options: Options) -> Task:
    """One kind."""
    items = []
    for number, row in enumerate(parquet_rows(FILES.found(folder), folder)):
        check_row(row, FORM, PAGE)
        options = lettered(row["options"])
        listed = "\n".join(f"{letter}. {text}" for letter, text in options.items())
        prompt = f"{row['question']}\n{listed}\nAnswer with the option's letter from the given choices directly."
        truth = letter_at(options, row["answer"], f"{PAGE}: question {number}")
        words = asked([image(row["image"])], prompt)
        items.append(Item(f"{number}", "diagram", words, truth, row["image"], choices=options))
    return Task("ai2d", items, choices)


AI2D = Benchmark("ai2d", "AI2D", "image", PAGE, [FILES], load, IMAGE, dataset="lmms-lab-encoder/ai2d")
