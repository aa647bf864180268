"""Reading a prompt and writing an answer with packed weights: against transformers in bfloat16, with the same random
weights, and against the rate at which the machine reads memory.

python benchmarks/decode_quantised.py --layers 28
"""

import argparse
import statistics
from typing import Any

import torch
from common import both_models, in_turns, packed, progress, ratio, say, shapes_of_2b

from vl3.config import GenerationConfig, ModelConfig
from vl3.generate.engine import Engine, Sequence
from vl3.model import VideoLLaMA3
from vl3.processing import IGNORE, Inputs
from vl3.weights.packing import Quantize, weight_bytes

WAYS: dict[str, Quantize | None] = {"bfloat16": None, "int8": "int8", "int4": "int4"}
MEMORY = torch.ones(1 << 28)


def main() -> None:
    """Prints ratios of times, and shares of the memory bandwidth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ways", nargs="+", default=["int8", "int4"], choices=["int8", "int4"])
    parser.add_argument("--prompt", type=int, default=512, help="tokens")
    parser.add_argument("--answer", type=int, default=16, help="tokens")
    parser.add_argument("--layers", type=int, default=4, help="of the decoder's 28; the same for all")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="tiny shapes, to try the script")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    progress("building the models")
    config = shapes_of_2b(1, args.layers, tiny=args.quick)
    plain, theirs = both_models(config, torch.bfloat16)
    models: dict[str, VideoLLaMA3] = {"bfloat16": plain}
    models |= {way: packed(plain, way) for way in args.ways}
    ids = torch.randint(0, 280 if args.quick else 150_000, (args.prompt,))
    readers = {name: Reader(model, ids, args.answer) for name, model in models.items()}
    peer = Peer(theirs, ids, args.answer)

    prefill = in_turns(
        {"transformers": peer.read, **{name: reader.read for name, reader in readers.items()}}, args.runs
    )
    # every timed answer goes on from a prompt that was read beforehand
    asked = {"transformers": iter([peer.read() for _ in range(args.runs + 1)])}
    asked |= {name: iter([reader.read() for _ in range(args.runs + 1)]) for name, reader in readers.items()}
    sides = {"transformers": lambda: peer.write(next(asked["transformers"]))}
    sides |= {name: lambda name=name: readers[name].write(next(asked[name])) for name in readers}  # type: ignore[misc]
    sides["bandwidth"] = read_memory
    decode = in_turns(sides, args.runs)
    result: dict[str, Any] = {"what": f"prompt {args.prompt}, answer {args.answer}, {args.layers} layers"}
    bandwidth = MEMORY.numel() * MEMORY.element_size() / statistics.median(decode["bandwidth"])
    for name in models:
        per_token = statistics.median(decode[name]) / (args.answer - 1)
        result[f"prefill, {name}: times faster than transformers bfloat16"] = ratio(prefill, ours=name)
        result[f"decode, {name}: times faster than transformers bfloat16"] = ratio(decode, ours=name)
        result[f"share of the memory bandwidth, {name}"] = bytes_per_token(config, name) / per_token / bandwidth
    say(result, args.json)


def bytes_per_token(config: ModelConfig, name: str) -> int:
    """What a step must read of the weights: the decoder's layers and the head, each once."""
    whole = weight_bytes(config, WAYS[name], torch.bfloat16, "language.")
    # beside a packed head there is the table in which rows are looked up
    table = config.language.vocab_size * (config.language.hidden_size + 4)
    return whole if WAYS[name] is None else whole - table


def read_memory() -> None:
    """Reads more than any cache holds."""
    MEMORY.sum()


class Reader:
    """Our side: the engine."""

    def __init__(self, model: VideoLLaMA3, ids: torch.Tensor, num_tokens: int) -> None:
        self.engine = Engine(model, [])
        self.inputs = Inputs(ids, torch.zeros_like(ids, dtype=torch.bool), [], torch.full_like(ids, IGNORE))
        self.config = GenerationConfig(max_new_tokens=num_tokens)

    def read(self) -> Sequence:
        """A prompt, and the first token of its answer."""
        sequence = self.engine.sequence(self.inputs, self.config)
        self.engine.prefill(sequence)
        return sequence

    def write(self, sequence: Sequence) -> None:
        """The other tokens."""
        while sequence.finish_reason is None:
            self.engine.step([sequence])


class Peer:
    """The same in transformers."""

    def __init__(self, model: Any, ids: torch.Tensor, num_tokens: int) -> None:
        self.model, self.ids, self.num_tokens = model, ids, num_tokens

    @torch.inference_mode()
    def read(self) -> Any:
        """A prompt, and the scores of the first token."""
        return self.model(input_ids=self.ids[None], use_cache=True, logits_to_keep=1)

    @torch.inference_mode()
    def write(self, out: Any) -> None:
        """The other tokens."""
        for _ in range(self.num_tokens - 1):
            newest = out.logits[0, -1].argmax().view(1, 1)
            out = self.model(input_ids=newest, past_key_values=out.past_key_values, use_cache=True, logits_to_keep=1)


if __name__ == "__main__":
    main()
