"""ChartQA: questions about charts, asked by people and by a machine. https://arxiv.org/abs/2203.10244

Prompt: VideoLLaMA3's (evaluation/benchmarks/chartqa.py). Score: relaxed accuracy.
"""

from pathlib import Path

from vl3.eval.benchmark import IMAGE, Benchmark, Need
from vl3.eval.files import check_row, parquet_rows
from vl3.eval.measures import relaxed
from vl3.eval.task import Item, Task, asked, image
from vl3.generate import Options

PAGE = "https://huggingface.co/datasets/lmms-lab-encoder/ChartQA"
FILES = Need("data/test-*.parquet", "questions, answers and charts", PAGE)
FORM = {"type": str, "question": str, "answer": str, "image": str}


def load(folder: Path, _options: Options) -> Task:
    """Kinds: human and augmented."""
    items = []
    for number, row in enumerate(parquet_rows(FILES.found(folder), folder)):
        check_row(row, FORM, PAGE)
        prompt = f"{row['question']}\nAnswer the question using a single word or phrase."
        kind = str(row["type"]).removesuffix("_test").removesuffix("_split")
        items.append(Item(f"{number}", kind, asked([image(row["image"])], prompt), row["answer"], row["image"]))
    return Task("chartqa", items, relaxed)


CHARTQA = Benchmark("chartqa", "ChartQA", "image", PAGE, [FILES], load, IMAGE, dataset="lmms-lab-encoder/ChartQA")
