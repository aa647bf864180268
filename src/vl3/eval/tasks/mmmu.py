"""MMMU (validation) and MMMU-Pro: questions of college exams. arXiv 2311.16502, arXiv 2409.02813

Prompts: VideoLLaMA3's (evaluation/benchmarks/mmmu.py, mmmupro.py), each picture after its name, where the text mentions
it; for questions inside pictures, which its script does not ask, MMMU-Pro's own. Score: the right letter, or MMMU's
rule for open questions.
"""

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vl3.chat import Message
from vl3.errors import UserError
from vl3.eval.benchmark import IMAGE, Benchmark, Need
from vl3.eval.files import Row, check_row, parquet_rows
from vl3.eval.measures import choices, open_answer
from vl3.eval.task import Item, Score, Task, asked, image, lettered
from vl3.generate import Options

PAGE, PRO_PAGE = "https://huggingface.co/datasets/MMMU/MMMU", "https://huggingface.co/datasets/MMMU/MMMU_Pro"
FILES = Need("*/validation-*.parquet", "questions, answers and pictures", PAGE)
STANDARD = Need("standard (10 options)/test-*.parquet", "questions with ten options", PRO_PAGE)
VISION = Need("vision/test-*.parquet", "questions inside pictures", PRO_PAGE)
FORM = {"id": str, "question": str, "options": str | list, "answer": str | list}
LETTER = "Answer with the option's letter from the given choices directly."
WORD = "Answer the question using a single word or phrase."
PRO_LETTER = "Answer with the option letter from the given choices directly."
PRO_VISION = PRO_LETTER + (
    " The last line of your response should be of the following format: 'Answer: $LETTER' (without quotes) "
    "where LETTER is one of options."
)


def load_mmmu(folder: Path, _options: Options) -> Task:
    """Kinds: the 30 subjects."""
    items = []
    for row in parquet_rows(FILES.found(folder), folder):
        check_row(row, {**FORM, "question_type": str}, PAGE)
        options = lettered(listed(row)) if row["question_type"] == "multiple-choice" else {}
        prompt = f"{row['question']}\n\n" + (f"{lines(options)}\n\n{LETTER}" if options else WORD)
        subject = re.sub(r"^[a-z]+_|_\d+$", "", row["id"])
        truth = [str(a) for a in _literal(row["answer"])] if not options else row["answer"]
        items.append(Item(row["id"], subject, interleaved(prompt, row), truth, row["id"], choices=options))
    return Task("mmmu", items, score)


def load_pro(folder: Path, _options: Options) -> Task:
    """Kinds: standard (ten options) and vision (the question is in the picture); the paper's figure is their mean."""
    items = []
    for row in parquet_rows(STANDARD.found(folder), folder):
        check_row(row, FORM, PRO_PAGE)
        options = lettered(listed(row))
        words = interleaved(f"{row['question']}\n{lines(options)}\n{PRO_LETTER}", row)
        items.append(Item(f"standard {row['id']}", "standard", words, row["answer"], row["id"], choices=options))
    for row in parquet_rows(VISION.found(folder), folder):
        check_row(row, {"id": str, "image": str, "options": str | list, "answer": str}, PRO_PAGE)
        words = asked([image(row["image"])], PRO_VISION)
        choices_ = lettered(listed(row))
        items.append(Item(f"vision {row['id']}", "vision", words, row["answer"], row["id"], choices=choices_))
    return Task("mmmu_pro", items, score)


def score(item: Item, answer: str) -> Score:
    """By letter where there are options."""
    return choices(item, answer) if item.choices else open_answer(item, answer)


def listed(row: Row) -> list[str]:
    """The options, which are published as the text of a Python list."""
    return [str(option) for option in _literal(row["options"])]


def lines(options: Mapping[str, str]) -> str:
    """The options, one a line: `(A):$6`."""
    return "\n".join(f"({letter}):{text}" for letter, text in options.items())


def _literal(text: Any) -> list[Any]:
    if isinstance(text, list):
        return text
    try:
        found = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return [text]
    return found if isinstance(found, list) else [text]


def interleaved(prompt: str, row: Mapping[str, Any]) -> list[Message]:
    """The prompt with that picture after each `<image 3>`."""
    content: list[dict[str, Any]] = []
    for piece in re.split(r"(<image \d>)", prompt):
        mark = re.fullmatch(r"<image (\d)>", piece)
        if mark and row.get(f"image_{mark[1]}") is None:
            raise UserError(f"{row['id']}: its text names {piece}, but there is no such picture; fetch the files again")
        if mark:
            content += [{"type": "text", "text": f"{piece}:"}, image(row[f"image_{mark[1]}"])]
        elif piece:
            content.append({"type": "text", "text": piece})
    return [{"role": "user", "content": content}]


MMMU = Benchmark("mmmu", "MMMU (validation)", "image", PAGE, [FILES], load_mmmu, IMAGE, dataset="MMMU/MMMU")
MMMU_PRO = Benchmark(
    "mmmu_pro", "MMMU-Pro", "image", PRO_PAGE, [STANDARD, VISION], load_pro, IMAGE, dataset="MMMU/MMMU_Pro"
)
