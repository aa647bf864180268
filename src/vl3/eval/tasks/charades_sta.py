"""Charades-STA (test): when does a described event happen? https://arxiv.org/abs/1705.02101

Prompt: a question and VideoLLaMA3's ending (evaluation/benchmarks/charades_sta.py; their questions vary in wording and
are not published). Score: temporal IoU; also recall at IoU 0.3, 0.5 and 0.7. The mean is mIoU.
"""

import re
from pathlib import Path

from vl3.errors import UserError
from vl3.eval.benchmark import VIDEO, Benchmark, Need
from vl3.eval.files import first_folder, text_lines, video_file
from vl3.eval.measures import grounding
from vl3.eval.task import Item, Task, asked, video
from vl3.generate import Options

PAGE = "https://github.com/jiyanggao/TALL"
EVENTS = Need("charades_sta_test.txt", "events and their times", PAGE)
VIDEOS = Need(
    "Charades_v1/*.mp4 or Charades_v1_480/*.mp4",
    "videos",
    "https://prior.allenai.org/projects/charades (Charades_v1.zip)",
)
_LINE = re.compile(r"(\S+) ([\d.]+) ([\d.]+)##(.+)")


def load(folder: Path, _options: Options) -> Task:
    """One kind."""
    [path] = EVENTS.found(folder)
    videos = first_folder(folder, "Charades_v1", "Charades_v1_480")
    items = []
    for number, line in enumerate(text_lines(path), 1):
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise UserError(f"{path}:{number}: not of the form `VIDEO BEGIN END##event`")
        name, begin, end, event = match.groups()
        prompt = (
            f'When does "{event.strip().rstrip(".")}" happen in the video? '
            "Please output the start and end timestamps in seconds."
        )
        words = asked([video(video_file(videos, name))], prompt)
        items.append(Item(f"{number}", "event", words, f"{begin} {end}", name))
    return Task("charades_sta", items, grounding)


CHARADES_STA = Benchmark("charades_sta", "Charades-STA (test)", "video", PAGE, [EVENTS, VIDEOS], load, VIDEO)
