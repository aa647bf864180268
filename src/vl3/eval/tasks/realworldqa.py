"""RealWorldQA: questions about photographs, many from cars. https://huggingface.co/datasets/xai-org/RealworldQA

Prompt: the question as published, as VideoLLaMA3 (evaluation/benchmarks/realworldqa.py). Score: the right letter where
the question lists options, else the same word or number.
"""

import re
from pathlib import Path

from vl3.eval.benchmark import IMAGE, Benchmark, Need
from vl3.eval.files import check_row, parquet_rows
from vl3.eval.measures import choices, short
from vl3.eval.task import Item, Score, Task, asked, image
from vl3.eval.words import normalised
from vl3.generate import Options

PAGE = "https://huggingface.co/datasets/xai-org/RealworldQA"
FILES = Need("data/test-*.parquet", "questions, answers and pictures", PAGE)
_OPTION = re.compile(r"^\s*([A-Z])\.\s+(.+?)\s*$", re.M)

FORM = {"question": str, "answer": str | int, "image": str}


def load(folder: Path, _options: Options) -> Task:
    """Kinds: choice and open."""
    items = []
    for number, row in enumerate(parquet_rows(FILES.found(folder), folder)):
        check_row(row, FORM, PAGE)
        truth = str(row["answer"]).strip()
        options = dict(_OPTION.findall(row["question"])) if re.fullmatch("[A-Z]", truth) else {}
        kind = "choice" if options else "open"
        words = asked([image(row["image"])], row["question"])
        items.append(Item(f"{number}", kind, words, truth, row["image"], choices=options))
    return Task("realworldqa", items, score)


def score(item: Item, answer: str) -> Score:
    """Number words are numbers."""
    if item.choices:
        return choices(item, answer)
    same = normalised(answer) in {normalised(truth) for truth in item.truths}
    return Score(1.0, normalised(answer)) if same else short(item, answer)


REALWORLDQA = Benchmark(
    "realworldqa", "RealWorldQA", "image", PAGE, [FILES], load, IMAGE, dataset="xai-org/RealworldQA"
)
