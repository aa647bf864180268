"""MathVerse (testmini): problems of geometry and functions, each with more or less of it in the picture.

https://arxiv.org/abs/2403.14624. Prompt: the dataset's own `query_cot` (step by step), as VideoLLaMA3
(evaluation/benchmarks/mathverse.py), whose figure is that of the version `Vision Only`. Score: the right letter, or an
equal result, that rules find in the answer; with a judge, a language model compares, as the benchmark's authors do.
"""

import re
from pathlib import Path

from vl3.eval.benchmark import REASONING, Benchmark, Need
from vl3.eval.files import check_row, json_rows
from vl3.eval.judge import right_or_wrong
from vl3.eval.mathematics import problem
from vl3.eval.task import Item, Task, asked, image
from vl3.generate import Options

PAGE = "https://huggingface.co/datasets/AI4Math/MathVerse"
PROBLEMS = Need("testmini.json", "problems", PAGE)
PICTURES = Need("images/*/*.png", "pictures", PAGE + "/blob/main/images.zip")
FORM = {
    **dict.fromkeys(("sample_index", "problem_index"), str | int),
    **dict.fromkeys(("problem_version", "question_type", "query_cot"), str),
    "answer": str | int | float,
    "image": str | None,
}
_CHOICE = re.compile(r"^\s*\(?([A-H])\)?\s*[:.]\s*(.+?)\s*$", re.M)


def load(folder: Path, _options: Options) -> Task:
    """Kinds: the versions of a problem, such as `Vision Only`. A problem's versions are one cluster."""
    [path] = PROBLEMS.found(folder)
    items = []
    for row in json_rows(path):
        check_row(row, FORM, str(path))
        picture = [image(str((folder / "images" / row["image"]).absolute()))] if row["image"] else []
        question = str(row.get("question_for_eval") or row["query_cot"])
        items.append(
            Item(
                id=str(row["sample_index"]),
                kind=row["problem_version"],
                messages=asked(picture, row["query_cot"]),
                truth=str(row["answer"]).strip(),
                cluster=str(row["problem_index"]),
                choices=options(question) if row["question_type"] == "multi-choice" else {},
                facts={"question": question},
            )
        )
    return Task("mathverse", items, problem, judged=right_or_wrong)


def options(question: str) -> dict[str, str]:
    """The options that a question lists; letters alone where they are not one a line."""
    return dict(_CHOICE.findall(question)) or dict.fromkeys("ABCD", "")


MATHVERSE = Benchmark(
    "mathverse",
    "MathVerse (testmini)",
    "image",
    PAGE,
    [PROBLEMS, PICTURES],
    load,
    REASONING,
    dataset="AI4Math/MathVerse",
    judge="compares results",
)
