"""MVBench: 20 tasks of temporal understanding, 200 questions each. https://arxiv.org/abs/2311.17005

Prompt and parts of videos: VideoLLaMA3's (evaluation/benchmarks/mvbench.py). Score: the right letter. Videos may lie as
the archives of the branch `main` unpack (`data0613.zip` has some of them), or as those of the branch `video` do, where
parts are already cut. Those of `fine_grained_pose` (NTU RGB+D) are in neither: their owner gives them out.
"""

from pathlib import Path

from vl3.errors import UserError
from vl3.eval.benchmark import VIDEO, Benchmark, Need
from vl3.eval.files import Row, check_row, json_rows, video_file
from vl3.eval.measures import choices
from vl3.eval.task import Item, Task, asked, lettered, video
from vl3.eval.tasks.blink import macro
from vl3.generate import Options
from vl3.media.source import FRAME_SUFFIXES, natural_key

PAGE = "https://huggingface.co/datasets/OpenGVLab/MVBench"
STAR, CLEVRER, PERCEPTION = "star/Charades_v1_480", "clevrer/video_validation", "perception/videos"
FOLDERS = {
    "action_sequence": STAR,
    "action_prediction": STAR,
    "action_antonym": "ssv2_video",
    "fine_grained_action": "Moments_in_Time_Raw/videos",
    "unexpected_action": "FunQA_test/test",
    "object_existence": CLEVRER,
    "object_interaction": STAR,
    "object_shuffle": PERCEPTION,
    "moving_direction": CLEVRER,
    "action_localization": "sta/sta_video",
    "scene_transition": "scene_qa/video",
    "action_count": PERCEPTION,
    "moving_count": CLEVRER,
    "moving_attribute": CLEVRER,
    "state_change": PERCEPTION,
    "fine_grained_pose": "nturgbd",
    "character_order": PERCEPTION,
    "egocentric_navigation": "vlnqa",
    "episodic_reasoning": "tvqa/frames_fps3_hq",
    "counterfactual_inference": CLEVRER,
}
RENAMED = {
    STAR: "star/Charades_segment",
    "sta/sta_video": "sta/sta_video_segment",
    "tvqa/frames_fps3_hq": "tvqa/video_fps3_hq_segment",
    "ssv2_video": "ssv2_video_mp4",
    "nturgbd": "nturgbd_convert",
}
"""Folders of the branch `video`; those called `_segment` hold the parts themselves."""
LATER = "data0613"
"""Folder of the videos that were published later."""
PARTS = {"action_sequence", "action_prediction", "object_interaction", "action_localization", "episodic_reasoning"}
"""Tasks whose questions are about a part of the video."""
FRAMES_FPS = 3
"""Rate at which the videos of episodic_reasoning are published, as folders of frames."""
FORM = {"video": str, "question": str, "candidates": list, "answer": str | int | float}
"""What a question with candidates must have."""
PART = {**FORM, "start": int | float, "end": int | float}
QUESTIONS = Need("json/*.json", "questions and answers, a file for each task", PAGE)
VIDEOS = Need("video/*", "videos", f"{PAGE}/tree/main/video")
OPTIONS_PROMPT = (
    "Question: {question}\nOptions:\n{options}"
    "Answer with the option's letter from the given choices directly and only give the best option."
)


def load(folder: Path, _options: Options) -> Task:
    """Kinds: the 20 tasks."""
    items = []
    for kind, below in FOLDERS.items():
        path = folder / "json" / f"{kind}.json"
        if not path.exists():
            raise UserError(f"{path}: not there; published at {PAGE}")
        for number, row in enumerate(json_rows(path)):
            check_row(row, PART if kind in PARTS else FORM, f"{path}: question {number}")
            items.append(
                choice_item(f"{kind} {number}", kind, _video(folder / "video", below, kind, row), row, str(path))
            )
    return Task("mvbench", items, choices)


def choice_item(id_: str, kind: str, part: Row, row: Row, where: str) -> Item:
    """A question with `candidates`, one of which is its `answer`."""
    letters = lettered(row["candidates"])
    truth = next((letter for letter, text in letters.items() if text == str(row["answer"])), None)
    if truth is None:
        raise UserError(f"{where}: {id_}: its answer {row['answer']!r} is none of its candidates")
    listed = "".join(f"({letter}) {text}\n" for letter, text in letters.items())
    words = asked([part], OPTIONS_PROMPT.format(question=row["question"], options=listed))
    return Item(id_, kind, words, truth, str(row["video"]), choices=letters)


def _video(videos: Path, below: str, kind: str, row: Row) -> Row:
    """The video of a question, or the part of it that is asked about."""
    path = _found(videos, below, row["video"])
    if kind not in PARTS or path.parent.name.endswith("_segment"):
        return video(str(path.absolute()))
    begin, end = _bounds(row["start"], row["end"])
    if not path.is_dir():
        return video(str(path.absolute()), begin, end)
    frames = sorted((file for file in path.iterdir() if file.suffix.lower() in FRAME_SUFFIXES), key=natural_key)
    first, last = max(int(begin * FRAMES_FPS) - 1, 0), int(end * FRAMES_FPS) - 1
    if not frames:
        return video(str(path.absolute()))
    part = frames[first : last + 1] or frames[-1:]
    seen = part[FRAMES_FPS // 2 :: FRAMES_FPS] or part  # the middle one of each second, as the authors take
    return {**video([str(frame.absolute()) for frame in seen]), "fps": 1}


def _found(videos: Path, below: str, name: str) -> Path:
    """Where a video is; where it belongs if it is nowhere. Its suffix may differ (.webm for .mp4)."""
    for folder in (videos / below, videos / LATER / below, videos / RENAMED.get(below, below)):
        if (folder / name).exists():
            return folder / name
        path = Path(video_file(folder, str(Path(name).with_suffix(""))))
        if path.exists():
            return path
    return videos / below / name


def _bounds(begin: float, end: float) -> tuple[float, float]:
    """Seconds as the authors read them: in order, not before 0, and never an empty part."""
    begin, end = sorted((max(begin, 0.0), max(end, 0.0)))
    return begin, end if end > begin else begin + 1


MVBENCH = Benchmark(
    "mvbench", "MVBench", "video", PAGE, [QUESTIONS, VIDEOS], load, VIDEO, dataset="OpenGVLab/MVBench", totals=macro
)
