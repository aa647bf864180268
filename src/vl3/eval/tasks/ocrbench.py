"""OCRBench: 1000 questions about text in pictures. https://arxiv.org/abs/2305.07895

Prompt: VideoLLaMA3's (evaluation/benchmarks/ocrbench.py). Score: the truth occurs in the answer; the total
is out of 1000.
"""

from pathlib import Path

from vl3.eval.benchmark import IMAGE, Benchmark, Need
from vl3.eval.files import check_row, parquet_rows
from vl3.eval.measures import says
from vl3.eval.task import Item, Scored, Task, asked, image
from vl3.generate import Options

PAGE = "https://huggingface.co/datasets/echo840/OCRBench"
FILES = Need("data/test-*.parquet", "questions, answers and pictures", PAGE)
FORMULAS = "HME100k"
"""The source whose answers are formulas."""
FORM = {"dataset": str, "question": str, "question_type": str, "answer": list | str, "image": str}


def load(folder: Path, _options: Options) -> Task:
    """Kinds: the types of questions, such as `Doc-oriented VQA`."""
    items = []
    for number, row in enumerate(parquet_rows(FILES.found(folder), folder)):
        check_row(row, FORM, PAGE)
        truth = row["answer"] if isinstance(row["answer"], list) else [row["answer"]]
        prompt = f"{row['question']}\nAnswer the question with a single word or phrase."
        facts = {"spaces": row["dataset"] != FORMULAS}
        words = asked([image(row["image"])], prompt)
        items.append(Item(f"{number}", row["question_type"], words, truth, row["image"], facts=facts))
    return Task("ocrbench", items, says)


def total(scored: Scored) -> dict[str, float]:
    """The number of right answers, as the benchmark counts."""
    return {"final score": sum(score for *_, score in scored)}


OCRBENCH = Benchmark(
    "ocrbench", "OCRBench", "image", PAGE, [FILES], load, IMAGE, dataset="echo840/OCRBench", totals=total
)
