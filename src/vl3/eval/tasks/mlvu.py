"""MLVU (dev): seven multiple-choice tasks on long videos. https://arxiv.org/abs/2406.04264

Prompt: VideoLLaMA3's (evaluation/benchmarks/mlvu.py). Score: the right letter; the total is the mean over tasks.
"""

from pathlib import Path

from vl3.errors import UserError
from vl3.eval.benchmark import VIDEO, Benchmark, Need
from vl3.eval.files import check_row, first_folder, json_rows
from vl3.eval.measures import choices
from vl3.eval.task import Task, video
from vl3.eval.tasks.blink import macro
from vl3.eval.tasks.mvbench import FORM, choice_item
from vl3.generate import Options

PAGE = "https://huggingface.co/datasets/MLVU/MVLU"
KINDS = ("1_plotQA", "2_needle", "3_ego", "4_count", "5_order", "6_anomaly_reco", "7_topic_reasoning")
QUESTIONS = Need("json/*.json or MLVU/json/*.json", "questions and answers, a file for each task", PAGE)
VIDEOS = Need("video/*/* or MLVU/video/*/*", "videos", f"{PAGE}/tree/main/MLVU/video")


def load(folder: Path, _options: Options) -> Task:
    """Kinds: the seven tasks."""
    annotations, videos = first_folder(folder, "json", "MLVU/json"), first_folder(folder, "video", "MLVU/video")
    items = []
    for kind in KINDS:
        path = annotations / f"{kind}.json"
        if not path.exists():
            raise UserError(f"{path}: not there; published at {PAGE}")
        for number, row in enumerate(json_rows(path)):
            check_row(row, FORM, f"{path}: question {number}")
            part = video(str((videos / kind / row["video"]).absolute()))
            items.append(choice_item(f"{kind} {number}", kind, part, row, str(path)))
    return Task("mlvu", items, choices)


MLVU = Benchmark(
    "mlvu", "MLVU (dev)", "video", PAGE, [QUESTIONS, VIDEOS], load, VIDEO, dataset="MLVU/MVLU", totals=macro
)
