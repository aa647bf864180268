"""Reading a prompt and writing an answer: vl3's engine against transformers' model and cache, same weights.

python benchmarks/prefill_decode.py --dtype bfloat16
"""

import argparse
from typing import Any

import torch
from common import DTYPES, both_models, in_turns, ratio, say, shapes_of_2b

from vl3.config import GenerationConfig
from vl3.generate.engine import Engine, Sequence
from vl3.processing import IGNORE, Inputs


def main() -> None:
    """Prints the ratios of times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", choices=DTYPES, default="bfloat16")
    parser.add_argument("--prompt", type=int, default=512, help="tokens")
    parser.add_argument("--answer", type=int, default=16, help="tokens")
    parser.add_argument("--layers", type=int, default=4, help="of the decoder's 28; the same for both")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="tiny shapes, to try the script")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    config = shapes_of_2b(1, args.layers, tiny=args.quick)
    ours, theirs = both_models(config, DTYPES[args.dtype])
    engine = Engine(ours, [])
    ids = torch.randint(0, 280 if args.quick else 150_000, (args.prompt,))
    nothing = torch.zeros(args.prompt, dtype=torch.bool)
    inputs = Inputs(ids, nothing, [], torch.full_like(ids, IGNORE))

    def read_vl3() -> Sequence:
        sequence = engine.sequence(inputs, GenerationConfig(max_new_tokens=args.answer))
        engine.prefill(sequence)
        return sequence

    def write_vl3(sequence: Sequence) -> list[int]:
        while sequence.finish_reason is None:
            engine.step([sequence])
        return sequence.generated

    @torch.inference_mode()
    def read_transformers() -> Any:
        return theirs(input_ids=ids[None], use_cache=True, logits_to_keep=1)

    @torch.inference_mode()
    def write_transformers(out: Any) -> list[int]:
        tokens = [int(out.logits[0, -1].argmax())]
        while len(tokens) < args.answer:
            newest = torch.tensor([[tokens[-1]]])
            out = theirs(input_ids=newest, past_key_values=out.past_key_values, use_cache=True, logits_to_keep=1)
            tokens.append(int(out.logits[0, -1].argmax()))
        return tokens

    same = sum(a == b for a, b in zip(write_vl3(read_vl3()), write_transformers(read_transformers()), strict=True))
    prefill = in_turns({"transformers": read_transformers, "vl3": read_vl3}, args.runs)
    # every timed answer goes on from a prompt that was read beforehand
    prompts = {
        "transformers": iter([read_transformers() for _ in range(args.runs + 1)]),
        "vl3": iter([read_vl3() for _ in range(args.runs + 1)]),
    }
    sides = {
        "transformers": lambda: write_transformers(next(prompts["transformers"])),
        "vl3": lambda: write_vl3(next(prompts["vl3"])),
    }
    decode = in_turns(sides, args.runs)
    result = {
        "what": f"prompt {args.prompt}, answer {args.answer}, {args.layers} layers, {args.dtype}",
        "prefill, times faster than transformers": ratio(prefill),
        "decode, times faster than transformers": ratio(decode),
        "same greedy tokens": f"{same} of {args.answer}",
    }
    say(result, args.json)


if __name__ == "__main__":
    main()
