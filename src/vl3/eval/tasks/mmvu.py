"""MMVU (validation): expert knowledge in videos of four fields of study. https://arxiv.org/abs/2501.12380

Prompts: the benchmark's own, direct or step by step, as VideoLLaMA3 (evaluation/benchmarks/mmvu.py). Score: the right
letter; open answers word for word, or by a judge, as the benchmark's authors do.
"""

from pathlib import Path

from vl3.eval.benchmark import VIDEO, Benchmark, Need
from vl3.eval.files import check_row, json_rows
from vl3.eval.judge import right_or_wrong
from vl3.eval.measures import choices, short
from vl3.eval.task import Item, Score, Task, Verdict, asked, video
from vl3.generate import Options

PAGE = "https://huggingface.co/datasets/yale-nlp/MMVU"
QUESTIONS = Need("validation.json", "questions and answers", PAGE)
VIDEOS = Need("videos/*/*.mp4", "videos", f"{PAGE}/tree/main/videos")

DIRECT_CHOICE = (
    "Do not generate any intermediate reasoning process. Answer directly with the option letter from the given choices."
    "\n"
)
DIRECT_OPEN = "Do not generate any intermediate reasoning process. Directly output the final short answer.\n"
STEPS_CHOICE = (
    "Answer the given multiple-choice question step by step. Begin by explaining your reasoning process clearly. "
    "Conclude by stating the final answer using the following format: 'Therefore, the final answer is: $LETTER' "
    "(without quotes), where $LETTER is one of the options. Think step by\nstep before answering."
)
STEPS_OPEN = (
    "Answer the given question step by step. Begin by explaining your reasoning process clearly. Conclude by stating "
    "the final answer using the following format: 'Therefore, the final answer is: 'Answer: $ANSWER' (without quotes), "
    "where $ANSWER is the final answer of the question. Think step by step\nbefore answering."
)
FORM = {"id": str, "video": str, "question_type": str, "question": str, "choices": dict, "answer": str}


def benchmark(name: str, title: str, choice_prompt: str, open_prompt: str, options: Options) -> Benchmark:
    """One way of asking."""

    def load(folder: Path, _options: Options) -> Task:
        items = []
        [path] = QUESTIONS.found(folder)
        for row in json_rows(path):
            check_row(row, FORM, str(path))
            file = folder / "videos" / Path(row["video"]).parent.name / Path(row["video"]).name
            is_choice = row["question_type"] == "multiple-choice"
            letters = {letter: str(text) for letter, text in row["choices"].items() if text} if is_choice else {}
            listed = "".join(f"{letter}: {text}\n" for letter, text in letters.items())
            prompt = f"\nQuestion: {row['question']}\n{listed}\n{choice_prompt if is_choice else open_prompt}"
            items.append(
                Item(
                    id=row["id"],
                    kind=row["question_type"],
                    messages=asked([video(str(file.absolute()))], prompt),
                    truth=str(row["answer"]),
                    cluster=f"{file.parent.name}/{file.name}",
                    choices=letters,
                    facts={"question": row["question"]},
                )
            )
        return Task(name, items, score, judged=judged)

    return Benchmark(
        name,
        title,
        "video",
        PAGE,
        [QUESTIONS, VIDEOS],
        load,
        options,
        dataset="yale-nlp/MMVU",
        judge="compares open answers",
    )


def score(item: Item, answer: str) -> Score:
    """By letter where there are options."""
    return choices(item, answer) if item.choices else short(item, answer)


def judged(item: Item, answer: str) -> Verdict | None:
    """Open answers that are not the truth word for word."""
    return None if item.choices or short(item, answer).score else right_or_wrong(item, answer)


MMVU = benchmark("mmvu", "MMVU (validation, direct)", DIRECT_CHOICE, DIRECT_OPEN, VIDEO)
MMVU_STEPS = benchmark(
    "mmvu_cot",
    "MMVU (validation, step by step)",
    STEPS_CHOICE,
    STEPS_OPEN,
    Options(**{**VIDEO, "max_new_tokens": 1024}),
)
