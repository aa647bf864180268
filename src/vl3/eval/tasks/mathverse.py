"""MathVerse (testmini): problems of geometry and functions, each with more or less of it in the picture.

https://arxiv.org/abs/2403.14624. Prompt: the dataset's own `query_wo`. Score: the right letter, or an equal result;
with a judge, a language model compares, as the benchmark's authors do.
"""

import re
from pathlib import Path

from vl3.config import read_json
from vl3.errors import UserError
from vl3.eval.benchmark import REASONING, Benchmark, Need
from vl3.eval.files import need_keys
from vl3.eval.judge import right_or_wrong
from vl3.eval.mathematics import problem
from vl3.eval.task import Item, Task, asked, image
from vl3.generate import Options

PAGE = "https://huggingface.co/datasets/AI4Math/MathVerse"
PROBLEMS = Need("testmini.json", "problems", PAGE)
PICTURES = Need("images/*/*.png", "pictures", PAGE + "/blob/main/images.zip")
_CHOICE = re.compile(r"^\s*\(?([A-H])\)?\s*[:.]\s*(.+?)\s*$", re.M)


def load(folder: Path, _options: Options) -> Task:
    """Kinds: the versions of a problem, such as `Vision Only`. A problem's versions are one cluster."""
    [path] = PROBLEMS.found(folder)
    rows = read_json(path)
    if not isinstance(rows, list):
        raise UserError(f"{path}: must hold a list of problems")
    items = []
    for row in rows:
        need_keys(row, ("sample_index", "problem_index", "problem_version", "query_wo", "answer", "image"), str(path))
        picture = [image(str((folder / "images" / row["image"]).absolute()))] if row["image"] else []
        is_choice = row["question_type"] == "multi-choice"
        items.append(
            Item(
                id=str(row["sample_index"]),
                kind=row["problem_version"],
                messages=asked(picture, row["query_wo"]),
                truth=str(row["answer"]).strip(),
                cluster=str(row["problem_index"]),
                choices=dict(_CHOICE.findall(row["query_wo"])) if is_choice else {},
                facts={"question": row.get("question_for_eval") or row["query_wo"]},
            )
        )
    return Task("mathverse", items, problem, judged=right_or_wrong)


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
