"""Eight requests, about texts, a picture and a clip, side by side and one after another; and a second question about a
clip that was asked about before.

python benchmarks/concurrent_requests.py
python benchmarks/concurrent_requests.py --layers 4   # random weights of the 2B's shapes
"""

import argparse
import dataclasses
import statistics
from pathlib import Path
from typing import Any

import torch
from common import in_turns, progress, ratio, say, shapes_of_2b

from vl3.chat import Message, question
from vl3.config import ProcessorConfig
from vl3.generate import Assistant, Options, Service, ServiceConfig, load
from vl3.media import Decoder, FetchLimits
from vl3.model import VideoLLaMA3
from vl3.weights import Checkpoint
from vl3.weights.demo import byte_tokenizer
from vl3.weights.tokenizer import token_id

ASSETS = Path(__file__).parents[1] / "assets"
CACHE = 1 << 30


def main() -> None:
    """Prints ratios of times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--layers", type=int, help="use random weights of the 2B's shapes, with so many decoder layers")
    parser.add_argument("--quantize", choices=["int8", "int4"], help="of --model")
    parser.add_argument("--answer", type=int, default=32, help="tokens of each answer")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="tiny shapes, to try the script")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    progress("building the model")
    if args.quick or args.layers:
        assistant = random_assistant(args.layers or 1, args.quick)
    else:
        assistant = load(args.model, dtype="float32", quantize=args.quantize)
    options: Options = {"max_new_tokens": args.answer, "num_frames": 8}
    answers: dict[str, list[str]] = {}

    def one_after_another() -> None:
        answers["alone"] = [assistant.chat(messages, **options).text for messages in requests()]

    def side_by_side() -> None:
        with Service(assistant, ServiceConfig(max_running=8)) as service:
            tickets = [service.submit(messages, **options) for messages in requests()]
            answers["together"] = [ticket.answer.text for ticket in tickets]

    seconds = in_turns({"one after another": one_after_another, "side by side": side_by_side}, args.runs)
    same = sum(a == b for a, b in zip(answers["alone"], answers["together"], strict=True))
    result: dict[str, Any] = {
        "what": "random weights" if args.quick or args.layers else args.model,
        "eight requests, times faster side by side": ratio(seconds, "one after another", "side by side"),
        "same answers": f"{same} of 8",
        "second question, times sooner": second_question(assistant, options, args.runs),
    }
    assistant.close()
    say(result, args.json)


def requests() -> list[list[Message]]:
    """About texts, a picture and a clip."""
    picture, clip = str(ASSETS / "city.jpg"), str(ASSETS / "city.mp4")
    return [
        question([], "What is a city?", None),
        question([picture], "What is in the picture?", None),
        question([clip], "What happens in the clip?", None),
        question([], "Name three animals and where they live.", None),
        question([picture], "Is it day or night?", None),
        question([clip], "How does the clip begin, and how does it end?", None),
        question([picture, clip], "What do they have in common?", None),
        question([], "Write a sentence about the sea.", None),
    ]


def second_question(assistant: Assistant, options: Options, runs: int) -> dict[str, float]:
    """Seconds from the media being read to the first token, of the first question by that of the second."""
    clip, ratios = str(ASSETS / "city.mp4"), []
    for run in range(runs):
        progress(f"second question: run {run} of {runs}")
        with Service(assistant, ServiceConfig(prefix_bytes=CACHE, vision_bytes=CACHE)) as service:
            waited = []
            for text in ("What happens in the clip?", "Which colours are there?"):
                answer = service.submit(question([clip], text, None), **options).answer
                waited.append(answer.timings_s["prefill"])
            ratios.append(waited[0] / waited[1])
    progress("")
    return {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}


def random_assistant(layers: int, tiny: bool) -> Assistant:
    """A model of random weights that reads and writes bytes."""
    tokenizer = byte_tokenizer()
    image = token_id(tokenizer, "<|image_pad|>")
    config = dataclasses.replace(shapes_of_2b(2, layers, tiny=tiny), image_token_id=image, video_token_id=image)
    torch.manual_seed(0)
    checkpoint = Checkpoint(
        model=VideoLLaMA3(config).eval(),
        config=config,
        processor=ProcessorConfig(max_tokens=2048),
        tokenizer=tokenizer,
        layout="vl3",
        path=ASSETS,
        eos_token_ids=(),
    )
    return Assistant(checkpoint, Decoder(120, FetchLimits()))


if __name__ == "__main__":
    main()
