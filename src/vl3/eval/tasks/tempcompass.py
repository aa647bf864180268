"""TempCompass: time in videos, asked in four forms. https://arxiv.org/abs/2403.00476

Prompts: VideoLLaMA3's (evaluation/benchmarks/tempcompass.py). Score: the right letter, yes or no, or the right
sentence; a generated caption counts if a judge picks the right option from it, and not at all without one.
"""

import re
from pathlib import Path

from vl3.eval.benchmark import VIDEO, Benchmark, Need
from vl3.eval.choices import choice
from vl3.eval.files import Row, check_row, parquet_rows, video_file
from vl3.eval.measures import choices, yes_no
from vl3.eval.parse import plain
from vl3.eval.task import Item, Score, Task, Verdict, asked, video
from vl3.eval.words import contains, normalised
from vl3.generate import Options

PAGE = "https://huggingface.co/datasets/lmms-eval/TempCompass"
FORMS = ("multi-choice", "yes_no", "caption_matching", "captioning")
QUESTIONS = [Need(f"{form}/test-*.parquet", f"questions and answers ({form})", PAGE) for form in FORMS]
VIDEOS = Need("videos/*.mp4", "videos", f"{PAGE}/tree/main (tempcompass_videos.zip)")
PROMPTS = {
    "multi-choice": (
        "Question: {}\nPlease answer with the option's letter from the given choices directly and only give the best "
        "option."
    ),
    "yes_no": "Question: {}\nPlease answer with 'yes' or 'no' directly.",
    "caption_matching": "Question: {}\nPlease directly give the best option:",
    "captioning": "Question: {}\nPlease answer with the caption directly.",
}
_OPTION = re.compile(r"^\s*(?:Option\s+|Sentence\s+|Caption\s+|Information\s+)?([A-F1-4])\s*[.:]\s*(.+?)\s*$", re.M)

FORM = {"video_id": str | int, "question": str, "answer": str, "dim": str}


def load(folder: Path, _options: Options) -> Task:
    """Kinds: form and aspect, such as `yes_no speed`."""
    items = []
    for form, need in zip(FORMS, QUESTIONS, strict=True):
        for number, row in enumerate(parquet_rows(need.found(folder), folder)):
            check_row(row, FORM, PAGE)
            items.append(_item(f"{form} {number}", form, row, folder))
    return Task("tempcompass", items, score, judged=judged)


def _item(id_: str, form: str, row: Row, folder: Path) -> Item:
    asked_for = row["question"].replace("Generated Caption:", "").strip() if form == "captioning" else row["question"]
    options = str(row.get("mc_question") or row["question"]) if form == "captioning" else row["question"]
    truth = str(row.get("mc_answer") or row["answer"] if form == "captioning" else row["answer"])
    letters = {} if form == "yes_no" else {_letter(mark): text for mark, text in _OPTION.findall(options)}
    mark = _OPTION.match(truth)
    return Item(
        id=id_,
        kind=form,
        messages=asked([video(video_file(folder / "videos", row["video_id"]))], PROMPTS[form].format(asked_for)),
        truth=_letter(mark[1]) if mark else truth.lower(),
        cluster=row["video_id"],
        label=f"{form} {row['dim']}",
        choices=letters,
        facts={"question": options} if form == "captioning" else {},
    )


def _letter(mark: str) -> str:
    return "ABCD"[int(mark) - 1] if mark.isdigit() else mark


def score(item: Item, answer: str) -> Score:
    """By form. A caption is no answer to compare: 0 by rules."""
    if item.kind == "yes_no":
        return yes_no(item, answer)
    if item.kind == "captioning":
        return Score(0.0, answer.strip() or None)
    if item.kind == "caption_matching":
        said = re.sub(r"\b(?:option|sentence|caption)\s*(?=[A-D1-4]\b)", "", plain(answer), flags=re.I)
        number = re.fullmatch(r"\W*([1-4])\b.*", said, re.S)
        if number:
            return Score(float(_letter(number[1]) in item.truths), _letter(number[1]))
        exact = [key for key, text in item.choices.items() if normalised(text) and contains(said, text)]
        letter = exact[0] if len(exact) == 1 else choice(said, item.choices)
        return Score(float(letter in item.truths), letter)
    return choices(item, answer)


PICK = """Here is a description of a video, and a question about the video with options. Choose the option that the \
description supports. If it supports none, or says too little, choose none.

Description: {answer}
Question: {question}

Say the letter of the option, or None; nothing else."""


def judged(item: Item, answer: str) -> Verdict | None:
    """Captions: which option follows from them."""
    if item.kind != "captioning":
        return None

    def verdict(said: str) -> Score | None:
        letter = None if re.match(r"\W*none\b", said, re.I) else choice(said, item.choices)
        return Score(float(letter in item.truths), answer.strip() or None) if said.strip() else None

    return Verdict(PICK.format(answer=answer.strip()[:4000], question=item.facts["question"]), verdict)


TEMPCOMPASS = Benchmark(
    "tempcompass",
    "TempCompass",
    "video",
    PAGE,
    [*QUESTIONS, VIDEOS],
    load,
    VIDEO,
    dataset="lmms-eval/TempCompass",
    judge="reads captions",
)
