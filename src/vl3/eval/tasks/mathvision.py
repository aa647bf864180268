"""MATH-Vision: problems of mathematics competitions. https://arxiv.org/abs/2402.14804

Prompt: VideoLLaMA3's (evaluation/benchmarks/mathvision.py), which is the benchmark's own with its lines in another
order: step by step, the result boxed. Score: the benchmark's rule.
"""

from pathlib import Path

from vl3.eval.benchmark import REASONING, Benchmark, Need
from vl3.eval.files import check_row, parquet_rows
from vl3.eval.mathematics import problem
from vl3.eval.task import Item, Task, asked, image, lettered
from vl3.generate import Options

PAGE = "https://huggingface.co/datasets/MathLLMs/MathVision"
PROMPT = (
    'Please solve the problem step by step and put your answer in one "\\boxed{}". '
    'If it is a multiple choice question, only one letter is allowed in the "\\boxed{}".'
)
FORM = {
    "id": str | int,
    "question": str,
    "options": list | None,
    "decoded_image": str,
    "answer": str | int,
    "subject": str,
}


def benchmark(name: str, title: str, split: str) -> Benchmark:
    """One split."""
    files = Need(f"data/{split}-*.parquet", "problems and pictures", PAGE)

    def load(folder: Path, _options: Options) -> Task:
        items = []
        for row in parquet_rows(files.found(folder), folder):
            check_row(row, FORM, PAGE)
            choices = lettered(row["options"] or [])
            shown = {} if all(letter == text for letter, text in choices.items()) else choices  # in the picture
            listed = "".join(f"({letter}) {text}\n" for letter, text in shown.items())
            prompt = f"{PROMPT}\n{row['question']}\n{listed}"
            words = asked([image(row["decoded_image"])], prompt)
            items.append(
                Item(str(row["id"]), row["subject"], words, str(row["answer"]), row["decoded_image"], choices=choices)
            )
        return Task(name, items, problem)

    return Benchmark(name, title, "image", PAGE, [files], load, REASONING, dataset="MathLLMs/MathVision")


MATHVISION = benchmark("mathvision", "MATH-Vision (test)", "test")
MATHVISION_MINI = benchmark("mathvision_mini", "MATH-Vision (testmini)", "testmini")
