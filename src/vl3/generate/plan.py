"""What a request would take, before a model is loaded: frames, tokens, memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from vl3.chat import Message, Slot, media_of, render
from vl3.config import ProcessorConfig
from vl3.errors import UserError
from vl3.generate.budget import Budget, decoder_bytes
from vl3.generate.devices import pick_device, pick_dtype
from vl3.generate.memory import Memory, Portions, Seen, memory_of
from vl3.generate.options import Options, limited, settings
from vl3.media import Decoder, MediaInfo
from vl3.processing import load_visuals, media_sizes, probe_media, times_of
from vl3.processing.prune import most_kept
from vl3.weights import Quantize
from vl3.weights.footprint import Footprint, footprint_of


@dataclass(frozen=True)
class Plan:
    """What one request would take."""

    footprint: Footprint
    infos: list[MediaInfo]
    """What would be chosen of each medium."""
    seen: list[Seen]
    """What the model would see of it."""
    exact: bool
    """Whether the tokens after pruning are counted; else they are the most that there can be."""
    text_tokens: int
    """Tokens of the prompt that are not visual."""
    max_new_tokens: int
    memory: Memory
    base: int
    """What Python, torch and the other packages take."""
    decoder: int
    """The process that decodes; 0 without media."""

    @property
    def process(self) -> int:
        """The peak of everything together."""
        return self.base + self.memory.peak + self.decoder

    @property
    def prompt_tokens(self) -> int:
        """All tokens of the prompt."""
        return self.text_tokens + sum(one.kept for one in self.seen)


def footprint(
    model: str | Path,
    device: str = "auto",
    dtype: str = "auto",
    quantize: Quantize | None = None,
    revision: str | None = None,
) -> Footprint:
    """What `vl3.load` with these arguments would load. UserError for a device that is not a CPU."""
    chosen = pick_device(device)
    if chosen != "cpu":
        raise UserError(f"memory is predicted for a CPU only, not for {chosen}: add --device cpu")
    return footprint_of(model, pick_dtype(dtype, chosen), quantize, revision)


def plan(
    model: Footprint,
    messages: Sequence[Message],
    options: Options,
    decoder: Decoder,
    read: bool = False,
    budget: Budget | None = None,
) -> Plan:
    """Looks at the media's headers; read: also at their pixels, so that pruning is known. UserError as for asking."""
    chosen = settings(model.processor, options)
    config = chosen.processing
    if budget is not None:
        config = limited(config, budget.max_tokens, budget.max_frames)
    if read:
        visuals, infos = load_visuals(media_of(messages), config, decoder)
        seen = [
            Seen(visual.grid, visual.merge, visual.num_tokens, len(set(visual.frame_digests))) for visual in visuals
        ]
        per_frame = [visual.tokens_per_frame for visual in visuals]
    else:
        infos = probe_media(media_of(messages), config, decoder)
        seen = [_seen(info, size, config) for info, size in zip(infos, media_sizes(infos, config), strict=True)]
        per_frame = [[one.kept] + [0] * (one.grid[0] - 1) for one in seen]
    text_tokens = count_text(messages, infos, model.tokenizer)
    longest = model.config.language.max_positions
    prompt_tokens = text_tokens + sum(map(sum, per_frame))
    max_new_tokens = max(1, min(chosen.generation.max_new_tokens, longest - prompt_tokens))
    memory = memory_of(
        model.config,
        weights=model.weights - (0 if seen or model.loading else model.vision_weights),  # files are mapped, not read
        loading=model.loading,
        width=model.dtype.itemsize,
        seen=seen,
        prompt_tokens=prompt_tokens,
        max_new_tokens=max_new_tokens,
        unread=0 if model.loading else model.weights - model.vision_weights,
        head=0 if model.loading else model.head_weights,
        portions=Portions() if budget is None else budget.portions,
    )
    decoding = max((decoder_bytes(info.height, info.width) for info in infos), default=0)
    return Plan(model, infos, seen, read, text_tokens, max_new_tokens, memory, model.base, decoding)


def count_text(messages: Sequence[Message], infos: Sequence[MediaInfo], tokenizer: Tokenizer) -> int:
    """Tokens of the prompt's text, times of frames included."""
    pieces = render(messages, times_of(infos))
    texts = [piece.text for piece in pieces if not isinstance(piece, Slot)]
    return sum(len(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts)


def _seen(info: MediaInfo, size: tuple[int, int], config: ProcessorConfig) -> Seen:
    is_video = info.kind == "video"
    merge = config.video_merge_size if is_video else config.image_merge_size
    t, (h, w) = len(info.times_s), (side // config.patch_size for side in size)
    return Seen((t, h, w), merge, most_kept(t, h * w // merge**2, config.prune), t)
