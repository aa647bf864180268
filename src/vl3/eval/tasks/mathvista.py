"""MathVista (testmini): mathematics in charts, figures and scenes. https://arxiv.org/abs/2310.02255

Prompt: the dataset's own `query`, as VideoLLaMA3 (evaluation/benchmarks/mathvista.py). Score: the benchmark's rule on a
result that is found by rules; with a judge, a language model compares instead.
"""

from pathlib import Path

from vl3.eval.benchmark import REASONING, Benchmark, Need
from vl3.eval.files import check_row, parquet_rows
from vl3.eval.judge import right_or_wrong
from vl3.eval.mathematics import vista
from vl3.eval.task import Item, Task, asked, image, lettered
from vl3.generate import Options

PAGE = "https://huggingface.co/datasets/AI4Math/MathVista"
FILES = Need("data/testmini-*.parquet", "questions, answers and pictures", PAGE)
FORM = {
    "pid": str | int,
    "query": str,
    "question": str,
    "decoded_image": str,
    "choices": list | None,
    "answer": str,
    "answer_type": str,
    "metadata": dict,
}


def load(folder: Path, _options: Options) -> Task:
    """Kinds: the five tasks, such as `geometry problem solving`."""
    items = []
    for row in parquet_rows(FILES.found(folder), folder):
        check_row(row, FORM, PAGE)
        check_row(row["metadata"], {"task": str}, f"{PAGE}: metadata")
        facts = {
            "answer_type": row["answer_type"],
            "precision": row.get("precision") or 0,
            "question": row["question"],
        }
        items.append(
            Item(
                id=str(row["pid"]),
                kind=row["metadata"]["task"],
                messages=asked([image(row["decoded_image"])], row["query"]),
                truth=str(row["answer"]),
                cluster=row["decoded_image"],
                choices=lettered(row["choices"] or []),
                facts=facts,
            )
        )
    return Task("mathvista", items, vista, judged=right_or_wrong)


MATHVISTA = Benchmark(
    "mathvista",
    "MathVista (testmini)",
    "image",
    PAGE,
    [FILES],
    load,
    REASONING,
    dataset="AI4Math/MathVista",
    judge="compares results",
)
