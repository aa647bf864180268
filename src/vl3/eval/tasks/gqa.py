"""GQA (testdev, balanced): compositional questions about photographs. https://arxiv.org/abs/1902.09506

Prompt: LLaVA's, which VideoLLaMA3 uses (evaluation/benchmarks/gqa.py). Score: the same words.
"""

from pathlib import Path

from vl3.errors import UserError
from vl3.eval.benchmark import IMAGE, Benchmark, Need
from vl3.eval.files import check_row, parquet_rows
from vl3.eval.measures import same
from vl3.eval.task import Item, Task, asked, image
from vl3.generate import Options

PAGE = "https://huggingface.co/datasets/lmms-lab-encoder/GQA"
QUESTIONS = Need("testdev_balanced_instructions/testdev-*.parquet", "questions and answers", PAGE)
PICTURES = Need("testdev_balanced_images/testdev-*.parquet", "pictures", PAGE)
FORM = {"id": str | int, "imageId": str, "question": str, "answer": str}


def load(folder: Path, _options: Options) -> Task:
    """Kinds: the structural types, such as `verify` and `query`."""
    pictures = {}
    for row in parquet_rows(PICTURES.found(folder), folder):
        check_row(row, {"id": str, "image": str}, PAGE)
        pictures[row["id"]] = row["image"]
    items = []
    for row in parquet_rows(QUESTIONS.found(folder), folder):
        check_row(row, FORM, PAGE)
        if row["imageId"] not in pictures:
            raise UserError(f"{folder}: question {row['id']} is about picture {row['imageId']}, which is not there")
        picture = pictures[row["imageId"]]
        prompt = f"{row['question']}\nAnswer the question using a single word or phrase."
        types = row.get("types")
        kind = str(types["structural"] if isinstance(types, dict) and types.get("structural") else "question")
        items.append(Item(str(row["id"]), kind, asked([image(picture)], prompt), row["answer"], picture))
    return Task("gqa", items, same)


GQA = Benchmark(
    "gqa", "GQA (testdev)", "image", PAGE, [QUESTIONS, PICTURES], load, IMAGE, dataset="lmms-lab-encoder/GQA"
)
