"""ActivityNet-QA: open questions about videos of everyday activities. https://arxiv.org/abs/1906.02467

Prompt: VideoLLaMA3's (evaluation/benchmarks/activitynet_qa.py). Score: the same words (the dataset's own accuracy), or
a judge's verdict on every answer, as in the paper.
"""

from pathlib import Path

from vl3.errors import UserError
from vl3.eval.benchmark import VIDEO, Benchmark, Need
from vl3.eval.files import check_row, json_rows, video_file
from vl3.eval.judge import right_or_wrong
from vl3.eval.measures import short
from vl3.eval.task import Item, Task, asked, video
from vl3.generate import Options

PAGE = "https://github.com/MILVLG/activitynet-qa"
QUESTIONS = Need("test_q.json", "questions", f"{PAGE}/tree/master/dataset")
ANSWERS = Need("test_a.json", "answers", f"{PAGE}/tree/master/dataset")
VIDEOS = Need("all_test/v_*", "videos", "https://huggingface.co/datasets/lmms-eval/ActivityNetQA")
_NAMES = "motion spatial temporal yes_no colour object location number other".split()
TYPES = {str(number): name for number, name in enumerate(_NAMES)}
"""By `type` of an answer."""


def load(folder: Path, _options: Options) -> Task:
    """Kinds: the nine types of questions."""
    answers = {}
    for row in json_rows(ANSWERS.found(folder)[0]):
        check_row(row, {"question_id": str, "answer": str | int | float, "type": int | str}, "test_a.json")
        answers[row["question_id"]] = row
    items = []
    for row in json_rows(QUESTIONS.found(folder)[0]):
        check_row(row, {"video_name": str, "question": str, "question_id": str}, "test_q.json")
        if row["question_id"] not in answers:
            raise UserError(f"{folder}/test_a.json: has no answer to question {row['question_id']}")
        answer = answers[row["question_id"]]
        path = video_file(folder / "all_test", f"v_{row['video_name']}")
        prompt = f"Question: {row['question']}\nPlease watch the video and answer the question clearly and concisely.\n"
        items.append(
            Item(
                id=row["question_id"],
                kind=TYPES.get(str(answer["type"]), "other"),
                messages=asked([video(path)], prompt),
                truth=str(answer["answer"]),
                cluster=row["video_name"],
                facts={"question": row["question"]},
            )
        )
    return Task("activitynetqa", items, short, judged=right_or_wrong)


ACTIVITYNETQA = Benchmark(
    "activitynetqa",
    "ActivityNet-QA (test)",
    "video",
    PAGE,
    [QUESTIONS, ANSWERS, VIDEOS],
    load,
    VIDEO,
    judge="compares open answers",
)
