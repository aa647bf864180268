"""What may be said with a single request, and how it changes the checkpoint's own settings."""

import difflib
from dataclasses import dataclass
from typing import Any, TypedDict

from vl3.config import GenerationConfig, ProcessorConfig, PruneConfig, decode, encode
from vl3.errors import UserError
from vl3.generate.sampling import Constraint


class Options(TypedDict, total=False):
    """Keyword options of `ask`, `chat`, `stream` and `batch`; what is left out keeps the checkpoint's setting."""

    fps: float
    """Frames a second of a video."""
    max_frames: int
    """Most frames of a video."""
    num_frames: int
    """Exactly so many frames, evenly spread."""
    sampling: str
    """"authors" or "transformers": which frames are taken."""
    start_s: float
    """Begin of the part of a video to look at, in seconds."""
    end_s: float
    """Its end."""
    max_tokens: int
    """Most visual tokens of the request, before pruning."""
    prune: str
    """"published", "off", "grey=2", "keep=0.5" or "budget=4000"."""
    max_new_tokens: int
    temperature: float
    top_p: float
    top_k: int
    min_p: float
    repetition_penalty: float
    seed: int
    stop: list[str]
    stop_token_ids: list[int]
    logprobs: int
    """How many of the likeliest tokens are told at each step, beside the one drawn."""
    constraint: Constraint | None
    """What the answer may say; one object for one request."""


_GENERATION = set(GenerationConfig.__dataclass_fields__)
_SAMPLING = {"fps", "max_frames", "num_frames", "start_s", "end_s"}


@dataclass(frozen=True)
class Settings:
    """The settings of one request, checked."""

    processing: ProcessorConfig
    generation: GenerationConfig
    constraint: Constraint | None = None


def settings(defaults: ProcessorConfig, options: Options) -> Settings:
    """Applies the options. UserError for an unknown or absurd one."""
    processing, generation = encode(defaults), {}
    for key, value in options.items():
        if key == "constraint":
            continue
        if key in _GENERATION:
            generation[key] = value
        elif key in _SAMPLING:
            processing["sampling"][key] = value
        elif key == "sampling":
            processing["sampling"]["policy"] = value
        elif key == "prune":
            processing["prune"] = encode(PruneConfig.parse(str(value)))
        elif key == "max_tokens":
            processing[key] = value
        else:
            close = difflib.get_close_matches(key, Options.__annotations__, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f": use {', '.join(Options.__annotations__)}"
            raise UserError(f"options: unknown key {key!r}{hint}")
    if processing["resize"] == "transformers" and "max_tokens" in options:
        _limit_pixels(processing)
    return Settings(
        decode(ProcessorConfig, processing, "options"),
        decode(GenerationConfig, generation, "options"),
        options.get("constraint"),
    )


def limited(config: ProcessorConfig, max_tokens: int, max_frames: int) -> ProcessorConfig:
    """The config with no more visual tokens in a request (by the `transformers` rule: in an image or a clip) and frames
    in a video than that."""
    plain = encode(config)
    plain["max_tokens"] = min(config.max_tokens, max_tokens)
    plain["min_tokens"] = min(config.min_tokens, max_tokens)
    sampling = plain["sampling"]
    sampling["max_frames"] = min(config.sampling.max_frames, max_frames)
    if config.sampling.num_frames is not None:
        sampling["num_frames"] = min(config.sampling.num_frames, max_frames)
    if config.resize == "transformers":
        _limit_pixels(plain)
    return decode(ProcessorConfig, plain, "options")


def _limit_pixels(processing: dict[str, Any]) -> None:
    """In the `transformers` resize rule a budget of tokens is a limit on pixels; a checkpoint's lower limit stands."""
    for kind in ("image", "video"):
        pixels = processing["max_tokens"] * (processing["patch_size"] * processing[f"{kind}_merge_size"]) ** 2
        processing[f"{kind}_max_pixels"] = min(processing[f"{kind}_max_pixels"], pixels)
        processing[f"{kind}_min_pixels"] = min(processing[f"{kind}_min_pixels"], pixels)
