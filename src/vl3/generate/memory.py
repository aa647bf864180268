"""How much memory an answer takes, from shapes alone: nothing is loaded, decoded or computed.

The numbers count the tensors that live side by side at the worst moment of each phase, as the code of `vl3.model` makes
them; tests hold them to the measured peak of fresh processes.

Shapes: N patches in one pass of the encoder, n tokens in one pass of the decoder, L tokens of a sequence, D widths.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vl3.config import LanguageConfig, ModelConfig, StemConfig, VisionConfig
from vl3.generate.engine import PREFILL_CHUNK
from vl3.generate.sight import VISION_CHUNK
from vl3.model.stem import STRIDES

RUNTIME, VISION_RUNTIME = 24 << 20, 8 << 20
"""Threads, kernels that are made at first use, a tokenizer, small tensors: measured, the same for all models; and what
of it only comes with pictures."""
HOLES = 1.05
"""What a pass of the encoder takes, in relation to its tensors; measured."""
MOST_RETAINED = 16 << 20
"""Of what a pass has freed, the allocator gives as much only to the next one of the same kind."""
FLOAT = 4
"""Bytes of a float32."""


@dataclass(frozen=True)
class Seen:
    """An image or a clip as the model takes it."""

    grid: tuple[int, int, int]
    """(t, h, w): frames, and rows and columns of patches in each."""
    merge: int
    kept: int
    """Tokens after pruning, or the most that there can be."""
    different: int
    """Frames that are not equal to an earlier one bit by bit, or the most that there can be."""

    @property
    def patches(self) -> int:
        """Of all frames."""
        t, h, w = self.grid
        return t * h * w

    @property
    def tokens(self) -> int:
        """Before pruning."""
        return self.patches // self.merge**2


@dataclass(frozen=True)
class Portions:
    """How much passes through the model at a time."""

    vision: int = VISION_CHUNK
    """Patches, but at least one frame."""
    prefill: int = PREFILL_CHUNK
    """Tokens of a prompt."""


@dataclass(frozen=True)
class Memory:
    """Bytes, by what they are for."""

    weights: int
    loading: int
    """Beside the weights while they are read."""
    pixels: int
    """8-bit patches, kept while the request runs."""
    reading: int
    """Beside them while media are decoded and cut into patches."""
    vision: int
    """A pass of the encoder."""
    later_vision: int
    """One that comes after the decoder has begun to read."""
    unread: int
    """Of the weights, those of the decoder that are not in memory before that: files are mapped."""
    head: int
    """Of those, the ones that are not in memory before a first token is chosen."""
    tokens: int
    """Visual tokens."""
    cache: int
    """Keys and values of prompt and longest answer."""
    seen_cache: int
    """Those of them that are there when the last frames are encoded."""
    prefill: int
    """A pass of the decoder."""

    @property
    def peak(self) -> int:
        """At the worst moment."""
        held = self.pixels + self.tokens
        retained = min(self.vision, self.prefill, MOST_RETAINED) // 2
        later = self.later_vision and self.seen_cache + self.later_vision - self.head
        looking = max(self.vision - self.unread, later)
        reading = self.cache + self.prefill - self.head
        writing = self.cache
        phases = (self.loading, self.pixels + self.reading, held + retained + max(looking, reading, writing))
        return self.weights + max(phases) + RUNTIME + (VISION_RUNTIME if self.vision else 0)


def memory_of(
    config: ModelConfig,
    weights: int,
    loading: int,
    width: int,
    seen: Sequence[Seen],
    prompt_tokens: int,
    max_new_tokens: int,
    portions: Portions = Portions(),
    unread: int = 0,
    head: int = 0,
) -> Memory:
    """What one request takes. weights, loading: bytes; width: bytes of a number that the model computes with; unread:
    bytes of the weights that come into memory when the decoder first runs; head: of those, the ones that do so only
    when it first chooses a token."""
    vision, language = config.vision, config.language
    per_token = cache_bytes(language, width)
    # of a stretch of the prompt only a part is visual tokens: what is said of frames' times lies between them
    stretch = portions.prefill * sum(one.kept for one in seen) // max(1, prompt_tokens)
    last = min((_frames_in_pass(one, portions, stretch) * one.kept // one.grid[0] for one in seen[-1:]), default=0)
    passes = [_vision_pass(vision, one, width, _frames_in_pass(one, portions, stretch)) for one in seen]
    later = [_share_left(one, _frames_in_pass(one, portions, stretch)) for one in seen]
    later[1:] = [1.0] * len(later[1:])
    sizes = [one.patches * vision.patch_dim for one in seen]
    return Memory(
        weights=weights,
        loading=loading,
        pixels=sum(sizes),
        reading=max(sizes, default=0),
        vision=max(passes, default=0),
        later_vision=max((int(size * share) for size, share in zip(passes, later, strict=True)), default=0),
        unread=unread,
        head=head,
        tokens=sum(one.kept for one in seen) * language.hidden_size * width,
        cache=(prompt_tokens + max_new_tokens) * per_token,
        seen_cache=max(0, prompt_tokens - last) * per_token,
        prefill=prefill_pass(language, min(portions.prefill, prompt_tokens), prompt_tokens, width),
    )


def cache_bytes(config: LanguageConfig, width: int) -> int:
    """Keys and values of one token."""
    return 2 * config.num_layers * config.num_kv_heads * config.head_dim * width


def _vision_pass(config: VisionConfig, seen: Seen, width: int, num_frames: int) -> int:
    """The most that the encoder holds at a time while it encodes some of a clip's frames."""
    num_patches = num_frames * seen.grid[1] * seen.grid[2]
    pixels = config.patch_dim * (1 + FLOAT)  # as 8 bits, and normalised
    rope = 2 * config.head_dim * FLOAT
    d, inner = config.hidden_size, config.intermediate_size
    # x and its norm; q, k, v; the turned q; and in float32 while k is turned: k, k cos, k', k' sin, their sum
    turning = 6 * d * width + (5 if width < FLOAT else 4) * d * FLOAT
    attending = 9 * d * width  # x, its norm, q, k, v, turned q and k, what comes out, in two orders
    mlp = 2 * (d + inner) * width
    first = _stem_pass(config.stem, config.patch_size) if config.stem else config.patch_dim * width
    per_patch = pixels + max(rope + max(turning, attending, mlp), first + d * width)
    return int(HOLES * num_patches * per_patch)


def _frames_in_pass(seen: Seen, portions: Portions, stretch: int) -> int:
    """Those of which the next stretch of the prompt wants tokens, so many, as far as they fit into a portion."""
    t, h, w = seen.grid
    wanted = -(-stretch * t // max(1, seen.kept))
    return min(seen.different, wanted, max(1, portions.vision // (h * w)))


def _share_left(seen: Seen, num_frames: int) -> float:
    """How large the passes after the first one are, in relation to it."""
    return min(1.0, (seen.different - num_frames) / num_frames)


def prefill_pass(config: LanguageConfig, num_tokens: int, total: int, width: int) -> int:
    """The most that the decoder holds at a time while it reads the last `num_tokens` of `total`."""
    d, queries = config.hidden_size, config.num_heads * config.head_dim
    # x and its norm; q and its turned form with what turning makes; k and v
    turning = (2 * d + 5 * queries + 2 * config.num_kv_heads * config.head_dim) * width
    mlp = (2 * d + 3 * config.intermediate_size) * width
    repeated = 2 * queries * total * width  # keys and values for every query head
    masks = num_tokens * total * (1 + width) if total > num_tokens else 0
    attending = num_tokens * (2 * d + 3 * queries) * width + repeated + masks
    scores = config.vocab_size * FLOAT * 3
    return max(num_tokens * max(turning, mlp), attending) + scores


def _stem_pass(config: StemConfig, patch_size: int) -> int:
    """The convolutional stem, in bytes for each patch: float32 pixels, then the widest block of the trunk."""
    pixels = patch_size**2
    held = 3 * pixels * FLOAT * 2  # the picture, and the same in channels-last order
    stride, channels, widest = 2, config.first_channels, config.first_channels * pixels // 4 * 2
    for group, (width, repeats) in enumerate(zip(config.channels, config.repeats, strict=True)):
        for block in range(repeats):
            places = pixels // stride**2
            inner = channels * (6 if group else 1)
            stride *= STRIDES[group] if block == 0 else 1
            after = pixels // stride**2
            widest = max(widest, channels * places + inner * (2 * places), channels * places + inner * (places + after))
            channels = width
    return held + widest * FLOAT
