"""Video-MME: multiple-choice questions about short, medium and long videos. https://arxiv.org/abs/2405.21075

Prompts: VideoLLaMA3's (evaluation/benchmarks/videomme.py). With subtitles, those that are shown at the times of the
frames that the model sees. Score: the right letter.
"""

import re
from pathlib import Path

from vl3.config import SamplingConfig
from vl3.eval.benchmark import VIDEO, Benchmark, Need
from vl3.eval.files import check_row, first_folder, parquet_rows, text_lines, video_file
from vl3.eval.measures import choices
from vl3.eval.task import Item, Task, asked, video
from vl3.generate import Options
from vl3.media import probe

PAGE = "https://huggingface.co/datasets/lmms-eval/Video-MME"
QUESTIONS = Need("videomme/test-*.parquet or test-*.parquet", "questions and answers", PAGE)
VIDEOS = Need("data/*.mp4 or videos/*.mp4", "videos", f"{PAGE}/tree/main (videos_chunked_*.zip)")
SUBTITLES = Need("subtitle/*.srt or subtitles/*.srt", "subtitles", f"{PAGE}/tree/main (subtitle.zip)")
FORM = {**dict.fromkeys(("videoID", "question_id", "question", "answer", "duration"), str), "options": list}

HEAD = (
    "Select the best answer to the following multiple-choice question based on the video. "
    "Respond with only the letter (A, B, C, or D) of the correct option.\n"
)
TAIL = (
    "Answer with the option's letter from the given choices directly and only give the best option. The best answer is:"
)


def benchmark(name: str, title: str, subtitled: bool) -> Benchmark:
    """With or without subtitles."""

    def load(folder: Path, options: Options) -> Task:
        items = []
        for row in parquet_rows(QUESTIONS.found(folder), folder):
            check_row(row, FORM, PAGE)
            path = video_file(first_folder(folder, "data", "videos"), row["videoID"])
            listed = "".join(f"{option}\n" for option in row["options"])
            prompt = f"{HEAD}{row['question']}\n{listed}{TAIL}"
            if subtitled:
                srt = first_folder(folder, "subtitle", "subtitles") / f"{row['videoID']}.srt"
                prompt = f"This video's subtitles are listed below:\n{shown_text(path, srt, options)}\n{prompt}"
            letters = {text[0]: text[2:].strip().rstrip(".") for text in map(str, row["options"])}
            words = asked([video(path)], prompt)
            items.append(
                Item(row["question_id"], row["duration"], words, row["answer"], row["videoID"], choices=letters)
            )
        return Task(name, items, choices)

    needs = [QUESTIONS, VIDEOS, SUBTITLES] if subtitled else [QUESTIONS, VIDEOS]
    return Benchmark(name, title, "video", PAGE, needs, load, VIDEO, dataset="lmms-eval/Video-MME")


def shown_text(path: str, srt: Path, options: Options) -> str:
    """The subtitles on screen at the frames that the model will see, one for each frame; empty if there are none."""
    if not srt.exists() or not Path(path).exists():
        return ""
    sampling = SamplingConfig(fps=options.get("fps", 1.0), max_frames=options.get("max_frames", 180))
    subtitles = read_srt(srt)
    texts = (
        next((text for begin, end, text in subtitles if begin < time_s < end), "")
        for time_s in probe(path, sampling, kind="video").times_s
    )
    return "\n".join(text for text in texts if text.strip())


_TIMES = re.compile(r"(\d+):(\d+):(\d+)[,.](\d+)\s*-->\s*(\d+):(\d+):(\d+)[,.](\d+)")


def read_srt(path: Path) -> list[tuple[float, float, str]]:
    """(begin, end, text) of each subtitle of a SubRip file, seconds; markup left out, lines joined by spaces."""
    found: list[tuple[float, float, str]] = []
    lines: list[str] = []
    for line in [*text_lines(path), "0:0:0,0 --> 0:0:0,0"]:
        match = _TIMES.search(line)
        if match is None:
            lines.append(line)
            continue
        if found:  # the last line before the times is the subtitle's number
            body = lines[:-1] if lines and lines[-1].strip().isdigit() else lines
            found[-1] = (*found[-1][:2], re.sub(r"<[^>]*>|\{[^}]*\}", "", " ".join(body)).strip())
        h, m, s, ms, h2, m2, s2, ms2 = (int(part) for part in match.groups())
        found.append((3600 * h + 60 * m + s + ms / 1000, 3600 * h2 + 60 * m2 + s2 + ms2 / 1000, ""))
        lines = []
    return found[:-1]


VIDEOMME = benchmark("videomme", "Video-MME (without subtitles)", subtitled=False)
VIDEOMME_SUBTITLES = benchmark("videomme_subtitles", "Video-MME (with subtitles)", subtitled=True)
