"""EgoSchema: three minutes of first-person video, five options. https://arxiv.org/abs/2308.09126

Prompt: VideoLLaMA3's (evaluation/benchmarks/egoschema.py). Score: the right letter, on the 500 questions whose answers
are public (kind `subset`); the others are logged for the benchmark's server.
"""

from pathlib import Path

from vl3.config import read_json
from vl3.errors import UserError
from vl3.eval.benchmark import VIDEO, Benchmark, Need
from vl3.eval.files import check_row, first_folder, json_rows, letter_at, video_file
from vl3.eval.measures import choices
from vl3.eval.task import Item, Task, asked, lettered, video
from vl3.generate import Options

PAGE = "https://github.com/egoschema/EgoSchema"
QUESTIONS = Need("questions.json", "questions", PAGE)
ANSWERS = Need("subset_answers.json", "answers of 500 questions", PAGE)
VIDEOS = Need("good_clips_git/*.mp4 or videos/*.mp4", "videos", "https://huggingface.co/datasets/lmms-eval/egoschema")
FORM = {"q_uid": str, "question": str, **{f"option {number}": str for number in range(5)}}


def load(folder: Path, _options: Options) -> Task:
    """Kinds: subset (500, with public answers) and rest."""
    answers = read_json(ANSWERS.found(folder)[0])
    if not isinstance(answers, dict):
        raise UserError(f"{ANSWERS.found(folder)[0]}: must hold one object")
    items = []
    for row in json_rows(QUESTIONS.found(folder)[0]):
        check_row(row, FORM, str(QUESTIONS.found(folder)[0]))
        uid = row["q_uid"]
        letters = lettered([row[f"option {i}"] for i in range(5)])
        listed = "\n".join(f"({letter}) {text}" for letter, text in letters.items())
        prompt = (
            "Select the best answer to the following multiple-choice question based on the video.\n"
            f"{row['question']}\nOptions:\n{listed}\n"
            "Answer with the option's letter from the given choices directly and only give the best option. "
            "The best answer is: "
        )
        path = video_file(first_folder(folder, "good_clips_git", "videos"), uid)
        truth: str | list[str] = letter_at(letters, answers[uid], "subset_answers.json") if uid in answers else []
        kind = "subset" if truth else "rest"
        items.append(Item(uid, kind, asked([video(path)], prompt), truth, uid, choices=letters))
    return Task("egoschema", items, choices)


EGOSCHEMA = Benchmark("egoschema", "EgoSchema", "video", PAGE, [QUESTIONS, ANSWERS, VIDEOS], load, VIDEO)
