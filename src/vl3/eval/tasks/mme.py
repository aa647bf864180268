"""MME: two yes-or-no questions about each picture, in 14 tasks. https://arxiv.org/abs/2306.13394

Prompt: VideoLLaMA3's (evaluation/benchmarks/mme.py), which asks for a word and for yes or no. Score: the right one of
yes and no; the totals are the benchmark's points: for each task 100 for the share of right answers, 100 for that of
pictures with both right.
"""

from collections import defaultdict
from pathlib import Path

from vl3.eval.benchmark import IMAGE, Benchmark, Need
from vl3.eval.files import check_row, parquet_rows
from vl3.eval.measures import yes_no
from vl3.eval.task import Item, Scored, Task, asked, image
from vl3.generate import Options

PAGE = "https://huggingface.co/datasets/lmms-lab-encoder/MME"
FILES = Need("data/test-*.parquet", "questions, answers and pictures", PAGE)
COGNITION = {"commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning"}
ENDING = "Please answer yes or no."
FORM = dict.fromkeys(("question_id", "question", "answer", "category", "image"), str)


def load(folder: Path, _options: Options) -> Task:
    """Kinds: the 14 tasks."""
    items = []
    asked_of: dict[str, int] = defaultdict(int)
    for row in parquet_rows(FILES.found(folder), folder):
        check_row(row, FORM, PAGE)
        question = row["question"].replace(f" {ENDING}", "\nAnswer the question using a single word or phrase.")
        asked_of[row["question_id"]] += 1
        id_ = f"{row['question_id']} {asked_of[row['question_id']]}"
        words = asked([image(row["image"])], f"{question}\n{ENDING}")
        items.append(Item(id_, row["category"], words, row["answer"].lower(), row["question_id"]))
    return Task("mme", items, yes_no)


def points(scored: Scored) -> dict[str, float]:
    """Perception of 2000 points, cognition of 800, and their sum."""
    pictures: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _, kind, cluster, score in scored:
        pictures[kind, cluster].append(score)
    tasks: dict[str, list[float]] = defaultdict(list)
    for (kind, _), scores in pictures.items():
        tasks[kind].append(100 * sum(scores) / len(scores) + 100 * float(len(scores) == 2 and min(scores) == 1))
    sums = {"perception": 0.0, "cognition": 0.0}
    for kind, found in tasks.items():
        sums["cognition" if kind in COGNITION else "perception"] += sum(found) / len(found)
    return {**sums, "total": sum(sums.values())}


MME = Benchmark("mme", "MME", "image", PAGE, [FILES], load, IMAGE, dataset="lmms-lab-encoder/MME", totals=points)
