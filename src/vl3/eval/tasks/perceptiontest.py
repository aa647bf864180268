"""Perception Test: multiple-choice questions about acted videos. https://arxiv.org/abs/2305.13786

Prompt: VideoLLaMA3's (evaluation/benchmarks/perception_test.py). Score: the right letter, on the validation split; the
answers of the test split (`perceptiontest_test`) are logged for the benchmark's server.
"""

from pathlib import Path

from vl3.eval.benchmark import VIDEO, Benchmark, Need
from vl3.eval.files import check_row, json_rows, letter_at, video_file
from vl3.eval.measures import choices
from vl3.eval.task import Item, Task, asked, lettered, video
from vl3.eval.tasks.mvbench import OPTIONS_PROMPT
from vl3.generate import Options

PAGE = "https://github.com/google-deepmind/perception_test"
VIDEOS = Need("videos/*.mp4", "videos", f"{PAGE}#download-the-data-and-annotations")

FORM = {"id": int | str, "question": str, "options": list}


def benchmark(name: str, title: str, split: str) -> Benchmark:
    """One split."""
    questions = Need(f"mc_question_{split}.json", "questions", f"{PAGE}#download-the-data-and-annotations")

    def load(folder: Path, _options: Options) -> Task:
        [path] = questions.found(folder)
        items = []
        for row in json_rows(path):
            check_row(row, {"metadata": dict, "mc_question": list}, str(path))
            check_row(row["metadata"], {"video_id": str}, f"{path}: metadata")
            name_ = row["metadata"]["video_id"]
            for question in row["mc_question"]:
                check_row(question, FORM, f"{path}: mc_question")
                letters = lettered(question["options"])
                listed = "".join(f"({letter}) {text}\n" for letter, text in letters.items())
                words = asked(
                    [video(video_file(folder / "videos", name_))],
                    OPTIONS_PROMPT.format(question=question["question"], options=listed),
                )
                truth: str | list[str] = (
                    letter_at(letters, question["answer_id"], str(path)) if "answer_id" in question else []
                )
                kind = str(question.get("area", "question"))
                items.append(Item(f"{name_} {question['id']}", kind, words, truth, name_, choices=letters))
        return Task(name, items, choices)

    return Benchmark(name, title, "video", PAGE, [questions, VIDEOS], load, VIDEO)


PERCEPTIONTEST = benchmark("perceptiontest", "Perception Test (validation)", "valid")
PERCEPTIONTEST_TEST = benchmark("perceptiontest_test", "Perception Test (test, answers for the server)", "test")
