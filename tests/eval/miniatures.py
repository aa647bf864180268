# ruff: noqa: E501 (published texts in one piece)
"""Published benchmarks in miniature: folders, file names and columns of the real ones, two or three questions each."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
from PIL import Image

from tests.media.clips import write_clip


def png(colour: str, size: int = 32) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(buffer, "PNG")
    return buffer.getvalue()


def picture(colour: str) -> dict[str, Any]:
    """A picture as the `datasets` library stores it."""
    return {"bytes": png(colour), "path": f"{colour}.png"}


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(rows), path)


def write_json(path: Path, data: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data), encoding="utf-8")


def write_video(path: Path, seconds: int = 3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_clip(path, [250 * number for number in range(4 * seconds)], size=(32, 64))


# ----------------------------------------------------------------------------------------------------------- images


def chartqa(folder: Path) -> None:
    write_parquet(
        folder / "data/test-00000-of-00001.parquet",
        [
            {"type": "human_test", "question": "How many?", "answer": "14", "image": picture("red")},
            {"type": "augmented_test", "question": "What is the value?", "answer": "0.57", "image": picture("blue")},
            {"type": "human_test", "question": "Which is larger?", "answer": "Yes", "image": picture("red")},
        ],
    )


def docvqa(folder: Path, subset: str = "DocVQA", split: str = "validation") -> None:
    public = split == "validation"
    rows = [
        {
            "questionId": "49153",
            "question": "What is the 'actual' value per 1000?",
            "question_types": ["figure/diagram"],
            "image": picture("white"),
            "docId": 14465,
            "answers": ["0.28", "0.28 $"] if public else None,
            "data_split": "val",
        },
        {
            "questionId": "24580",
            "question": "What is the name of the university?",
            "question_types": ["form"],
            "image": picture("grey"),
            "docId": 7000,
            "answers": ["university of california", "University of California"] if public else None,
            "data_split": "val",
        },
    ]
    schema = None if public else pa.list_(pa.string())
    path = folder / subset / f"{split}-00000-of-00002.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows)
    if schema is not None:
        table = table.set_column(table.column_names.index("answers"), "answers", pa.array([None, None], schema))
    parquet.write_table(table, path)


def ocrbench(folder: Path) -> None:
    rows = [
        {"dataset": "IIIT5K", "question": "what is written in the image?", "question_type": "Regular Text Recognition",
         "answer": ["CENTRE"], "image": picture("red")},
        {"dataset": "HME100k", "question": "Please write out the expression of the formula in the image using LaTeX "
         "format.", "question_type": "Handwritten Mathematical Expression Recognition",
         "answer": ["x ^ { 2 } + 1"], "image": picture("blue")},
    ]  # fmt: skip
    write_parquet(folder / "data/test-00000-of-00001.parquet", rows)


def mathvista(folder: Path) -> None:
    common = {"unit": None, "image": "images/1.jpg", "metadata": {"task": "figure question answering", "skills": ["x"]}}
    rows = [
        {**common, "pid": "1", "question": "When?", "decoded_image": picture("red"), "choices": None, "precision": 1.0,
         "answer": "1.2", "question_type": "free_form", "answer_type": "float",
         "query": "Hint: Please answer the question requiring a floating-point number with one decimal place and provide "
         "the final value, e.g., 1.2, 1.3, 1.4, at the end.\nQuestion: When?"},
        {**common, "pid": "2", "question": "Which?", "decoded_image": picture("blue"), "choices": ["145°", "35°"],
         "precision": None, "answer": "145°", "question_type": "multi_choice", "answer_type": "text",
         "query": "Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, D, at the "
         "end.\nQuestion: Which?\nChoices:\n(A) 145°\n(B) 35°"},
    ]  # fmt: skip
    write_parquet(folder / "data/testmini-00000-of-00001-725687bf7a18d64b.parquet", rows)


def mathvision(folder: Path, split: str = "test") -> None:
    common = {"image": "images/1.jpg", "solution": None, "level": 2}
    rows = [
        {**common, "id": "4", "question": "How many dots? <image1>", "options": [], "decoded_image": picture("red"),
         "answer": "\\frac{3}{4}", "subject": "counting"},
        {**common, "id": "5", "question": "Which piece? <image1>", "options": ["A", "B", "C", "D", "E"],
         "decoded_image": picture("blue"), "answer": "D", "subject": "combinatorial geometry"},
    ]  # fmt: skip
    write_parquet(folder / f"data/{split}-00000-of-00001-3532b8d3f1b4047a.parquet", rows)


def mathverse(folder: Path) -> None:
    hint = "lease first conduct reasoning, and then answer the question and provide the correct option letter, e.g., A, B, C, D, at the end."
    asked = "Find x.\nChoices:\nA:145°\nB:35°"
    rows = [
        {"sample_index": "1", "problem_index": "1", "problem_version": "Text Dominant", "question": "Find x.",
         "image": "images_version_1-4/image_1.png", "answer": "B", "question_type": "multi-choice",
         "metadata": {"split": "testmini", "source": "GeoQA", "subject": "Plane Geometry", "subfield": "Angle"},
         "query_wo": "", "query_cot": f"P{hint}\nQuestion: {asked}", "question_for_eval": asked},
        {"sample_index": "2", "problem_index": "1", "problem_version": "Vision Only", "question": "",
         "image": "images_version_6/image_1.png", "answer": "35", "question_type": "free-form", "metadata": {},
         "query_wo": "", "query_cot": "Please first conduct reasoning.", "question_for_eval": "Find x."},
        {"sample_index": "3", "problem_index": "2", "problem_version": "Vision Only", "question": "",
         "image": "images_version_6/image_2.png", "answer": "B", "question_type": "multi-choice", "metadata": {},
         "query_wo": "", "query_cot": f"According to the question shown in the image, p{hint}", "question_for_eval": asked},
    ]  # fmt: skip
    write_json(folder / "testmini.json", rows)
    for row in rows:
        path = folder / "images" / row["image"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png("green"))


def ai2d(folder: Path) -> None:
    rows = [
        {"question": "which of these is a predator?", "options": ["grass", "fox", "sun"], "answer": "1",
         "image": picture("red")},
        {"question": "what comes first?", "options": ["egg", "larva"], "answer": "0", "image": picture("blue")},
    ]  # fmt: skip
    write_parquet(folder / "data/test-00000-of-00001.parquet", rows)


def mmmu(folder: Path) -> None:
    common = {"explanation": "", "img_type": "['Diagrams']", "topic_difficulty": "Easy", "subfield": "x"}
    rows = [
        {**common, "id": "validation_Accounting_1", "question": "<image 1> Which is due?",
         "options": "['$6', '$7', '$8']", "image_1": picture("red"), "image_2": None, "answer": "B",
         "question_type": "multiple-choice"},
        {**common, "id": "validation_Accounting_2", "question": "What follows from <image 1> and <image 2>?",
         "options": "[]", "image_1": picture("red"), "image_2": picture("blue"), "answer": "['8.4', '8.40']",
         "question_type": "open"},
    ]  # fmt: skip
    write_parquet(folder / "Accounting/validation-00000-of-00001.parquet", rows)


def mmmu_pro(folder: Path) -> None:
    write_parquet(
        folder / "standard (10 options)/test-00000-of-00002.parquet",
        [{"id": "test_History_1", "question": "Who is in <image 1>?", "options": str([f"king {i}" for i in range(10)]),
          "explanation": "", "image_1": picture("red"), "answer": "J", "subject": "History"}],
    )  # fmt: skip
    write_parquet(
        folder / "vision/test-00000-of-00004.parquet",
        [{"id": "test_History_1", "image": picture("blue"), "options": str([f"king {i}" for i in range(10)]),
          "answer": "J", "subject": "History"}],
    )  # fmt: skip


def realworldqa(folder: Path) -> None:
    rows = [
        {"question": "In which direction is the sun?\n\nA. Left\nB. Right\nC. Behind\nPlease answer directly with only the "
         "letter of the correct option and nothing else.", "answer": "B", "image": picture("red")},
        {"question": "How many cars?\nPlease answer directly with a single word or number.", "answer": "2",
         "image": picture("blue")},
    ]  # fmt: skip
    write_parquet(folder / "data/test-00000-of-00002.parquet", rows)


def blink(folder: Path) -> None:
    for task, second in (("Jigsaw", picture("blue")), ("Counting", None)):
        row = {
            "idx": f"val_{task}_1",
            "sub_task": task,
            "question": "Which?",
            "image_1": picture("red"),
            "image_2": second,
            "image_3": None,
            "image_4": None,
            "choices": ["the first", "the second"],
            "answer": "(B)",
            "prompt": "Which?\nSelect from the following choices.\n(A) the first\n(B) the second",
            "explanation": "",
        }
        write_parquet(folder / task / "val-00000-of-00001.parquet", [row])


def gqa(folder: Path) -> None:
    write_parquet(
        folder / "testdev_balanced_instructions/testdev-00000-of-00001.parquet",
        [{"id": "201307251", "imageId": "n161313", "question": "Is it overcast?", "answer": "no",
          "fullAnswer": "No, it is clear.", "isBalanced": True, "types": {"structural": "verify", "semantic": "attr"}},
         {"id": "201640614", "imageId": "n161313", "question": "Who is wearing the dress?", "answer": "woman",
          "fullAnswer": "The woman.", "isBalanced": True, "types": {"structural": "query", "semantic": "rel"}}],
    )  # fmt: skip
    images = [{"id": "n161313", "image": picture("red")}]
    write_parquet(folder / "testdev_balanced_images/testdev-00000-of-00001.parquet", images)


def mme(folder: Path) -> None:
    rows = [
        {"question_id": f"{kind}/0020.png", "image": picture("red"), "answer": answer, "category": kind,
         "question": f"Is this {answer}? Please answer yes or no."}
        for kind in ("code_reasoning", "existence") for answer in ("Yes", "No")
    ]  # fmt: skip
    write_parquet(folder / "data/test-00000-of-00004-a25dbe3b44c4fda6.parquet", rows)


# ----------------------------------------------------------------------------------------------------------- videos


SRT = """1
00:00:00,000 --> 00:00:01,500
<font color="white">Good
morning.</font>

2
00:00:01,800 --> 00:00:02,600
Goodbye.
"""


def videomme(folder: Path) -> None:
    common = {"video_id": "001", "domain": "Knowledge", "sub_category": "Law", "url": "", "videoID": "fFjv93ACGo8"}
    options = ["A. Apples.", "B. Candles.", "C. Berries.", "D. The three kinds are of the same number."]
    rows = [
        {**common, "duration": "short", "question_id": "001-1", "task_type": "Counting Problem", "question": "Which?",
         "options": options, "answer": "C"},
        {**common, "duration": "long", "question_id": "001-2", "task_type": "OCR Problems", "question": "What?",
         "options": options, "answer": "B"},
    ]  # fmt: skip
    write_parquet(folder / "videomme/test-00000-of-00001.parquet", rows)
    write_video(folder / "data/fFjv93ACGo8.mp4")
    (folder / "subtitle").mkdir()
    (folder / "subtitle/fFjv93ACGo8.srt").write_text(SRT, encoding="utf-8")


def mmvu(folder: Path) -> None:
    url = "https://huggingface.co/datasets/yale-nlp/MMVU/resolve/main/videos/Art/0.mp4"
    common = {"video": url, "youtube_url": "", "metadata": {"subject": "Art", "textbook": "", "rationale": ""}}
    rows = [
        {**common, "id": "validation_0", "question_type": "multiple-choice", "question": "Which movement?",
         "choices": {"A": "Pop Art", "B": "Cubism", "C": "Fauvism", "D": "Dada", "E": "Futurism"}, "answer": "A"},
        {**common, "id": "validation_1", "question_type": "open-ended", "question": "Which law?",
         "choices": {"A": "", "B": "", "C": "", "D": "", "E": ""}, "answer": "Hooke's law"},
    ]  # fmt: skip
    write_json(folder / "validation.json", rows)
    write_video(folder / "videos/Art/0.mp4")


def mvbench(folder: Path) -> None:
    from vl3.eval.tasks.mvbench import FOLDERS

    for kind, below in FOLDERS.items():
        row = {"video": f"{kind}.mp4", "question": "What happened?", "candidates": ["Sat.", "Stood.", "Ran."],
               "answer": "Stood."}  # fmt: skip
        if kind == "episodic_reasoning":
            row |= {"video": "castle_s01", "start": 0.0, "end": 2.0}
            for number in range(1, 10):
                path = folder / "video" / below / row["video"] / f"{number:05d}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (32, 32), "red").save(path)
        else:
            write_video(folder / "video" / below / row["video"])
            row |= {"start": 0.5, "end": 2.5}
        write_json(folder / "json" / f"{kind}.json", [row])


def egoschema(folder: Path) -> None:
    rows = [
        {"q_uid": uid, "google_drive_id": "x", "question": "What is the overall goal?",
         **{f"option {i}": f"C does thing {i}." for i in range(5)}}
        for uid in ("0074f737", "00aa7247")
    ]  # fmt: skip
    write_json(folder / "questions.json", rows)
    write_json(folder / "subset_answers.json", {"0074f737": 3})
    for row in rows:
        write_video(folder / f"good_clips_git/{row['q_uid']}.mp4")


def perceptiontest(folder: Path, split: str = "valid") -> None:
    question = {"id": 0, "question": "What moved?", "options": ["ball", "cup", "nothing"], "area": "physics",
                "reasoning": "descriptive", "tag": ["motion"]}  # fmt: skip
    if split == "valid":
        question |= {"answer_id": 1}
    questions = [question, {**question, "id": 1, "question": "And then?"}]
    data = {"video_10": {"metadata": {"video_id": "video_10", "split": split}, "mc_question": questions}}
    write_json(folder / f"mc_question_{split}.json", data)
    write_video(folder / "videos/video_10.mp4")


def activitynetqa(folder: Path) -> None:
    questions = [
        {"video_name": "1QIUV7WYKXg", "question": "is the athlete wearing trousers", "question_id": "1QIUV7WYKXg_3"},
        {"video_name": "1QIUV7WYKXg", "question": "what is he holding", "question_id": "1QIUV7WYKXg_4"},
    ]
    answers = [
        {"answer": "yes", "type": 3, "question_id": "1QIUV7WYKXg_3"},
        {"answer": "javelin", "type": 5, "question_id": "1QIUV7WYKXg_4"},
    ]
    write_json(folder / "test_q.json", questions)
    write_json(folder / "test_a.json", answers)
    write_video(folder / "all_test/v_1QIUV7WYKXg.mp4")


def mlvu(folder: Path) -> None:
    from vl3.eval.tasks.mlvu import KINDS

    for kind in KINDS:
        row = {"video": f"{kind}.mp4", "duration": 480.0, "question": "What colour?", "question_type": kind[2:],
               "candidates": ["yellow", "red", "white", "blue"], "answer": "yellow"}  # fmt: skip
        write_json(folder / f"json/{kind}.json", [row])
        write_video(folder / f"video/{kind}/{kind}.mp4")


def longvideobench(folder: Path) -> None:
    common = {"video_id": "86CxyhFV9MI", "question_wo_referring_query": "", "position": [1], "topic_category": "KH",
              "question_category": "T2E", "level": "L2-Relation", "video_path": "86CxyhFV9MI.mp4", "duration_group": 15,
              "starting_timestamp_for_subtitles": 10.0, "duration": 3.0, "view_count": 1,
              "candidates": ["a cat", "a dog", "a cow"], "correct_choice": 1}  # fmt: skip
    rows = [
        {**common, "id": "86CxyhFV9MI_0", "question": "Who speaks?", "subtitle_path": "86CxyhFV9MI_en.json"},
        {**common, "id": "86CxyhFV9MI_1", "question": "Who barks?", "subtitle_path": "86CxyhFV9MI_1_en.json"},
    ]
    write_json(folder / "lvb_val.json", rows)
    lines = [{"timestamp": [10.2, 11.4], "text": "Hello."}, {"timestamp": [11.9, None], "text": "Woof."}]
    write_json(folder / "subtitles/86CxyhFV9MI_en.json", lines)
    clock = [{"start": "00:00:10.200", "end": "00:00:11.400", "line": "Hello."}]
    write_json(folder / "subtitles/86CxyhFV9MI_1_en.json", clock)
    write_video(folder / "videos/86CxyhFV9MI.mp4")


def lvbench(folder: Path) -> None:
    text = "What year appears?\n(A) 1636\n(B) 1366\n(C) 1363\n(D) 1633"
    row = {"key": "Cm73ma6Ibcs", "type": "cartoon", "video_info": {"duration_minutes": 0.05, "fps": 4.0},
           "qa": [{"uid": "0", "question": text, "answer": "D", "question_type": ["key information retrieval"],
                   "time_reference": "00:01-00:02"},
                  {"uid": "1", "question": text, "answer": "A", "question_type": ["reasoning", "entity recognition"],
                   "time_reference": "00:01-00:02"}]}  # fmt: skip
    (folder / "video_info.meta.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    write_video(folder / "video/Cm73ma6Ibcs.mp4")


def tempcompass(folder: Path) -> None:
    rows = {
        "multi-choice": {
            "question": "What is happening?\nA. sitting\nB. running\nC. swimming\nD. jumping", "answer": "B. running"},
        "yes_no": {"question": "Is the man running?", "answer": "yes"},
        "caption_matching": {
            "question": "Which description is a more suitable match for the video?\n"
            "Option 1: The man is sitting.\nOption 2: The man is running.", "answer": "Option 2: The man is running."},
        "captioning": {
            "question": "Generate a caption that describes the information.\nInformation A: sitting\n"
            "Information B: running\nGenerated Caption:", "answer": "B. running",
            "mc_question": "What is happening?\nA. sitting\nB. running", "mc_answer": "B. running"},
    }  # fmt: skip
    for form, row in rows.items():
        full = {"video_id": "1034105543", "dim": "action", **row}
        write_parquet(folder / form / "test-00000-of-00001.parquet", [full])
    write_video(folder / "videos/1034105543.mp4")


def nextqa(folder: Path) -> None:
    names = [
        "video",
        "frame_count",
        "width",
        "height",
        "question",
        "answer",
        "qid",
        "type",
        *(f"a{i}" for i in range(5)),
    ]
    rows = [
        ["4010069381", 369, 640, 480, "how do the two man play, in tune", 0, 6, "CH", "roll the handle", "tap", "strum",
         "hit", "pat"],
        ["4010069381", 369, 640, 480, "what does he do after", 4, 7, "TN", "sit", "stand", "sing", "leave", "bow"],
    ]  # fmt: skip
    with (folder / "test.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *rows])
    write_json(folder / "map_vid_vidorID.json", {"4010069381": "1164/4010069381"})
    write_video(folder / "NExTVideo/1164/4010069381.mp4")


def charades_sta(folder: Path) -> None:
    lines = ["3MSZA 24.3 30.4##person turn a light on.", "3MSZA 0.0 1.5##person closes the door."]
    (folder / "charades_sta_test.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_video(folder / "Charades_v1/3MSZA.mp4")


MINIATURES: dict[str, Callable[[Path], None]] = {
    "ai2d": ai2d,
    "blink": blink,
    "chartqa": chartqa,
    "docvqa": docvqa,
    "docvqa_test": lambda folder: docvqa(folder, split="test"),
    "gqa": gqa,
    "infovqa": lambda folder: docvqa(folder, "InfographicVQA"),
    "infovqa_test": lambda folder: docvqa(folder, "InfographicVQA", "test"),
    "mathverse": mathverse,
    "mathvision": mathvision,
    "mathvision_mini": lambda folder: mathvision(folder, "testmini"),
    "mathvista": mathvista,
    "mme": mme,
    "mmmu": mmmu,
    "mmmu_pro": mmmu_pro,
    "ocrbench": ocrbench,
    "realworldqa": realworldqa,
    "activitynetqa": activitynetqa,
    "charades_sta": charades_sta,
    "egoschema": egoschema,
    "longvideobench": longvideobench,
    "lvbench": lvbench,
    "mlvu": mlvu,
    "mmvu": mmvu,
    "mmvu_cot": mmvu,
    "mvbench": mvbench,
    "nextqa": nextqa,
    "perceptiontest": perceptiontest,
    "perceptiontest_test": lambda folder: perceptiontest(folder, "test"),
    "tempcompass": tempcompass,
    "videomme": videomme,
    "videomme_subtitles": videomme,
}
