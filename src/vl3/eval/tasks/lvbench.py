"""LVBench: multiple-choice questions about videos of an hour. https://arxiv.org/abs/2406.08035

Prompt: VideoLLaMA3's (evaluation/benchmarks/lvbench.py); the options are part of the published question. Score: the
right letter.
"""

import re
from pathlib import Path

from vl3.eval.benchmark import VIDEO, Benchmark, Need
from vl3.eval.files import check_row, first_folder, jsonl_rows, video_file
from vl3.eval.measures import choices
from vl3.eval.task import Item, Task, asked, video
from vl3.generate import Options

PAGE = "https://huggingface.co/datasets/zai-org/LVBench"
QUESTIONS = Need("video_info.meta.jsonl", "questions and answers", PAGE)
VIDEOS = Need(
    "video/*.mp4 or videos/*.mp4", "videos", "https://www.youtube.com (by `key`; see https://lvbench.github.io)"
)
_OPTION = re.compile(r"^\(([A-D])\)\s*(.*)$", re.M)
FORM = {"uid": str | int, "question": str, "answer": str, "question_type": list}


def load(folder: Path, _options: Options) -> Task:
    """Kinds: the capabilities; a question that asks for several counts under their names joined."""
    items = []
    [path] = QUESTIONS.found(folder)
    for row in jsonl_rows(path):
        check_row(row, {"key": str, "qa": list}, str(path))
        file = video_file(first_folder(folder, "video", "videos"), row["key"])
        for question in row["qa"]:
            check_row(question, FORM, f"{path}: qa of {row['key']}")
            kind = " + ".join(map(str, question["question_type"]))
            prompt = f"{question['question']}\nAnswer with the option's letter from the given choices directly."
            letters = dict(_OPTION.findall(question["question"])) or dict.fromkeys("ABCD", "")
            words = asked([video(file)], prompt)
            items.append(Item(str(question["uid"]), kind, words, question["answer"], row["key"], choices=letters))
    return Task("lvbench", items, choices)


LVBENCH = Benchmark("lvbench", "LVBench", "video", PAGE, [QUESTIONS, VIDEOS], load, VIDEO)
