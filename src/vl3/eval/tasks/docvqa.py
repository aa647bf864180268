"""DocVQA and InfographicVQA: questions about pages and infographics. arXiv 2007.00398, arXiv 2104.12756

Prompt: VideoLLaMA3's (evaluation/benchmarks/docvqa.py, infovqa.py). Score: ANLS. The truth of the test sets is not
public: their answers are logged for the competition's server at https://rrc.cvc.uab.es/?ch=17.
"""

from pathlib import Path

from vl3.eval.benchmark import IMAGE, Benchmark, Need
from vl3.eval.files import check_row, parquet_rows
from vl3.eval.measures import anls
from vl3.eval.task import Item, Task, asked, image
from vl3.generate import Options

PAGE = "https://huggingface.co/datasets/lmms-lab-encoder/DocVQA"

PROMPT = "Answer the question with a single word or phrase."

FORM = {"questionId": str | int, "question": str, "answers": list | None, "image": str}


def benchmark(name: str, title: str, subset: str, split: str) -> Benchmark:
    """One split of one of the two."""
    files = Need(f"{subset}/{split}-*.parquet", "questions, answers and pages", PAGE)

    def load(folder: Path, _options: Options) -> Task:
        items = []
        for row in parquet_rows(files.found(folder), folder):
            check_row(row, FORM, PAGE)
            words = asked([image(row["image"])], f"{row['question']}\n{PROMPT}")
            items.append(Item(str(row["questionId"]), "page", words, list(row["answers"] or []), row["image"]))
        return Task(name, items, anls)

    return Benchmark(name, title, "image", PAGE, [files], load, IMAGE, dataset="lmms-lab-encoder/DocVQA")


DOCVQA = benchmark("docvqa", "DocVQA (validation)", "DocVQA", "validation")
DOCVQA_TEST = benchmark("docvqa_test", "DocVQA (test, for the server)", "DocVQA", "test")
INFOVQA = benchmark("infovqa", "InfographicVQA (validation)", "InfographicVQA", "validation")
INFOVQA_TEST = benchmark("infovqa_test", "InfographicVQA (test, answers for the server)", "InfographicVQA", "test")
