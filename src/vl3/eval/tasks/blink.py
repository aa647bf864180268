"""BLINK (validation): perception that is easy for people, in 14 tasks. https://arxiv.org/abs/2404.12390

Prompt: the dataset's own and VideoLLaMA3's ending (evaluation/benchmarks/blink.py). Score: the right letter. The truth
of the test split is not public.
"""

from pathlib import Path

from vl3.eval.benchmark import IMAGE, Benchmark, Need
from vl3.eval.files import check_row, parquet_rows
from vl3.eval.measures import choices
from vl3.eval.task import Item, Scored, Task, asked, image, lettered
from vl3.generate import Options

PAGE = "https://huggingface.co/datasets/BLINK-Benchmark/BLINK"
FILES = Need("*/val-*.parquet", "questions, answers and pictures", PAGE)

FORM = {"idx": str, "sub_task": str, "prompt": str, "image_1": str, "choices": list, "answer": str}


def load(folder: Path, _options: Options) -> Task:
    """Kinds: the 14 tasks."""
    items = []
    for row in parquet_rows(FILES.found(folder), folder):
        check_row(row, FORM, PAGE)
        pictures = [str(row[name]) for name in ("image_1", "image_2", "image_3", "image_4") if row.get(name)]
        prompt = f"{row['prompt']}\nAnswer with the option's letter from the given choices directly."
        truth = row["answer"].strip("()")
        words = asked([image(path) for path in pictures], prompt)
        options = lettered(row["choices"])
        items.append(Item(row["idx"], row["sub_task"], words, truth, " ".join(pictures), choices=options))
    return Task("blink", items, choices)


def macro(scored: Scored) -> dict[str, float]:
    """The mean over tasks, which is the benchmark's figure."""
    kinds = sorted({kind for _, kind, _, _ in scored})
    means = [[score for _, of, _, score in scored if of == kind] for kind in kinds]
    return {"mean over kinds": sum(sum(scores) / len(scores) for scores in means) / len(means)} if means else {}


BLINK = Benchmark(
    "blink", "BLINK (validation)", "image", PAGE, [FILES], load, IMAGE, dataset="BLINK-Benchmark/BLINK", totals=macro
)
