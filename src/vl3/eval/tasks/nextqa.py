"""NExT-QA (multiple choice, test): causes and order of events. https://arxiv.org/abs/2105.08276

Prompt: VideoLLaMA3's (evaluation/benchmarks/nextqa.py). Score: the right letter.
"""

from pathlib import Path

from vl3.config import read_json
from vl3.errors import UserError
from vl3.eval.benchmark import VIDEO, Benchmark, Need
from vl3.eval.files import check_row, csv_rows, letter_at, video_file
from vl3.eval.measures import choices
from vl3.eval.task import Task, lettered, video
from vl3.eval.tasks.mvbench import choice_item
from vl3.generate import Options

PAGE = "https://github.com/doc-doc/NExT-QA"
QUESTIONS = Need("test.csv", "questions and answers", f"{PAGE}/tree/main/dataset/nextqa")
NAMES = Need("map_vid_vidorID.json", "names of the videos", f"{PAGE}/tree/main/dataset/nextqa")
VIDEOS = Need("NExTVideo/*/*.mp4 or NExTVideo/*.mp4", "videos", "https://huggingface.co/datasets/lmms-eval/NExTQA")
KINDS = {"C": "causal", "T": "temporal", "D": "descriptive"}

FORM = dict.fromkeys(("video", "question", "answer", "qid", "type", "a0", "a1", "a2", "a3", "a4"), str)


def load(folder: Path, _options: Options) -> Task:
    """Kinds: causal, temporal and descriptive."""
    names = read_json(NAMES.found(folder)[0])
    [path] = QUESTIONS.found(folder)
    if not isinstance(names, dict):
        raise UserError(f"{NAMES.found(folder)[0]}: must hold one object")
    items = []
    for row in csv_rows(path):
        check_row(row, FORM, str(path))
        if row["video"] not in names:
            raise UserError(f"{folder}/map_vid_vidorID.json: does not name video {row['video']}")
        options = [row[f"a{number}"] for number in range(5) if row[f"a{number}"]]
        right = letter_at(lettered(options), row["answer"], f"{path}: question {row['qid']} of {row['video']}")
        kind = KINDS.get(row["type"][:1], "other")
        part = video(video_file(folder / "NExTVideo", str(names[row["video"]])))
        full = {**row, "candidates": options, "answer": lettered(options)[right]}
        items.append(choice_item(f"{row['video']} {row['qid']}", kind, part, full, str(path)))
    return Task("nextqa", items, choices)


NEXTQA = Benchmark("nextqa", "NExT-QA (multiple choice)", "video", PAGE, [QUESTIONS, NAMES, VIDEOS], load, VIDEO)
