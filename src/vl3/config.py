"""What can be configured: frozen dataclasses, read from and written to plain dictionaries, YAML and `key=value`.

Every field carries one sentence. Decoding is pydantic's: unknown keys and wrong types are errors that name the key.
"""

import dataclasses
import difflib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, dataclass_transform

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from vl3.errors import UserError

T = TypeVar("T")

Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
Layers = Annotated[int, Field(ge=1, le=1000)]
Positive = Annotated[float, Field(gt=0)]


@dataclass_transform(frozen_default=True, kw_only_default=True)
def configclass(cls: type[T]) -> type[T]:
    """A stdlib dataclass: keyword-only, immutable and, when decoded from data, strict about unknown keys; no NaN."""
    cls.__pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)  # type: ignore[attr-defined]
    return dataclasses.dataclass(frozen=True, kw_only=True)(cls)


# --------------------------------------------------------------------------------------------- the model's shape


@configclass
class StemConfig:
    """A convolutional network in place of the patch embedding: EfficientNet-Lite0 (arXiv 1905.11946) by default."""

    first_channels: Count = 32
    """Channels after the first convolution."""
    channels: tuple[Count, Count, Count, Count, Count, Count, Count] = (16, 24, 40, 80, 112, 192, 320)
    """Channels of the seven groups of blocks."""
    repeats: tuple[Count, Count, Count, Count, Count, Count, Count] = (1, 2, 2, 3, 3, 4, 1)
    """Blocks in each group."""
    head_channels: Count = 1280
    """Width of the classifier's hidden layer."""
    num_classes: Count = 1000
    """Classes that the network was trained to tell apart; their probabilities are part of a patch's feature."""


@configclass
class VisionConfig:
    """The vision encoder: a ViT with 2D RoPE instead of position embeddings (paper, section 3.1; SigLIP so400m)."""

    hidden_size: Count = 1152
    """Width of a patch's feature."""
    num_layers: Layers = 27
    """Number of transformer blocks."""
    num_heads: Count = 16
    """Attention heads; hidden_size / num_heads must be a multiple of 4 for 2D RoPE."""
    intermediate_size: Count = 4304
    """Width of the MLP's hidden layer."""
    patch_size: Count = 14
    """Side of a square patch, in pixels."""
    num_channels: Count = 3
    """Colour channels of the input."""
    layer_norm_eps: Positive = 1e-6
    """Epsilon of every LayerNorm."""
    hidden_act: Literal["gelu_pytorch_tanh", "gelu"] = "gelu_pytorch_tanh"
    """Activation of the MLP."""
    rope_theta: Positive = 10000.0
    """Base of the 2D rotary embedding's frequencies."""
    stem: StemConfig | None = None
    """A convolutional stem in place of the patch embedding; patch_size must then be 16 or 32."""

    def __post_init__(self) -> None:
        if self.stem is not None and self.patch_size not in (16, 32):
            raise ValueError(f"a convolutional stem makes patches of 16 or 32 pixels, not {self.patch_size}")
        if self.hidden_size % self.num_heads or (self.hidden_size // self.num_heads) % 4:
            raise ValueError(
                f"hidden_size {self.hidden_size} / num_heads {self.num_heads} must be a whole multiple of 4 "
                "(2D RoPE turns pairs of two axes)"
            )

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_heads

    @property
    def patch_dim(self) -> int:
        """Values in one patch, ordered (channel, y, x)."""
        return self.num_channels * self.patch_size**2


@configclass
class RopeScaling:
    """Llama 3.1's stretching of rotary frequencies to longer contexts (arXiv 2407.21783)."""

    factor: Positive = 8.0
    """How many times longer the context becomes."""
    low_freq_factor: Positive = 1.0
    """Wavelengths above original_max_positions / low_freq_factor are stretched fully."""
    high_freq_factor: Positive = 4.0
    """Wavelengths below original_max_positions / high_freq_factor are left alone."""
    original_max_positions: Count = 8192
    """Context length before stretching."""


@configclass
class LanguageConfig:
    """The decoder: Qwen2/Qwen2.5 (biases on q, k, v) or Llama family (no biases)."""

    family: Literal["qwen2", "llama"] = "qwen2"
    """Which published architecture the weights follow; decides the names and config of an export."""
    vocab_size: Count = 151936
    """Rows of the embedding, padding rows included."""
    hidden_size: Count = 1536
    """Width of a token's hidden state."""
    num_layers: Layers = 28
    """Number of decoder blocks."""
    num_heads: Count = 12
    """Query heads."""
    num_kv_heads: Count = 2
    """Key/value heads, each shared by num_heads / num_kv_heads query heads."""
    head_dim: Count = 128
    """Width of one attention head."""
    intermediate_size: Count = 8960
    """Width of the gated MLP."""
    rope_theta: Positive = 1e6
    """Base of the rotary embedding's frequencies."""
    rope_scaling: RopeScaling | None = None
    """Llama 3 frequency stretching, where the checkpoint has it."""
    rms_norm_eps: Positive = 1e-6
    """Epsilon of every RMSNorm."""
    qkv_bias: bool = True
    """Whether q, k and v projections have biases (Qwen2 does, Llama does not)."""
    tie_embeddings: bool = True
    """Whether the output head is the embedding matrix."""
    max_positions: Count = 32768
    """Longest sequence that the model was made for."""

    def __post_init__(self) -> None:
        if self.num_heads % self.num_kv_heads:
            raise ValueError(f"num_heads {self.num_heads} must be a multiple of num_kv_heads {self.num_kv_heads}")


@configclass
class ModelConfig:
    """The whole model. The defaults are VideoLLaMA3-2B."""

    vision: VisionConfig = VisionConfig()
    """The vision encoder."""
    language: LanguageConfig = LanguageConfig()
    """The decoder."""
    image_token_id: int = 151665
    """Placeholder in `input_ids` that a visual token of an image replaces."""
    video_token_id: int = 151665
    """The same for video frames; the authors use one token for both, `transformers` two."""


# -------------------------------------------------------------------------------------------- media -> model inputs


@configclass
class SamplingConfig:
    """Which frames of a video are looked at."""

    policy: Literal["authors", "transformers"] = "authors"
    """`authors`: every 1/fps seconds, thinned evenly above max_frames; `transformers`: evenly spaced frame indices."""
    fps: float = 1.0
    """Frames a second; ignored when num_frames is given."""
    max_frames: int = 180
    """Most frames of one clip."""
    num_frames: int | None = None
    """Exactly this many frames, evenly spread (fewer if the clip has fewer)."""
    start_s: float | None = None
    """Look only from this presentation time on, in seconds."""
    end_s: float | None = None
    """Look only up to (not including) this presentation time, in seconds."""

    def __post_init__(self) -> None:
        if not 0 < self.fps <= 1000:
            raise ValueError(f"fps must lie in (0, 1000], got {self.fps:g}")
        if self.max_frames < 1 or (self.num_frames is not None and self.num_frames < 1):
            raise ValueError("max_frames and num_frames must be at least 1")
        if self.start_s is not None and self.start_s < 0:
            raise ValueError(f"start_s must not be negative, got {self.start_s:g}")
        if self.end_s is not None and self.end_s <= (self.start_s or 0.0):
            raise ValueError(f"end_s ({self.end_s:g}) must come after start_s ({self.start_s or 0:g})")


@configclass
class PruneConfig:
    """DiffFP, the differential frame pruner: which video tokens count as changed (paper section 3.2)."""

    mode: Literal["published", "grey", "keep", "budget", "off"] = "published"
    """`published`: the authors' rule; `grey`: changed by more than `value` grey levels; `keep`: the most changed share
    `value`; `budget`: the `value` most changed tokens; `off`: keep all."""
    value: float = 0.1
    """The mode's number: threshold, 8-bit grey levels, share in (0, 1], or tokens per clip."""

    def __post_init__(self) -> None:
        if self.mode == "keep" and not 0 < self.value <= 1:
            raise ValueError(f"prune keep= takes a share in (0, 1], got {self.value:g}")
        if self.value < 0 or (self.mode == "budget" and not 1 <= self.value < 1e9):
            raise ValueError(f"prune {self.mode}= takes a positive number, got {self.value:g}")

    @classmethod
    def parse(cls, text: str) -> "PruneConfig":
        """Reads `off`, `published`, `grey=2`, `keep=0.5` or `budget=4000`, as the command line takes it."""
        mode, _, value = text.partition("=")
        number = {"published": "0.1", "off": "0"}.get(mode, value)
        plain = mode in ("published", "off")
        if mode not in ("published", "grey", "keep", "budget", "off") or not number or (plain and value):
            raise UserError(f"prune {text!r}: use off, published, grey=LEVELS, keep=SHARE or budget=TOKENS")
        return decode(cls, {"mode": mode, "value": number}, f"--prune {text}")


@configclass
class ProcessorConfig:
    """How frames become patches."""

    patch_size: Count = 14
    """Side of a patch in pixels; the vision encoder's."""
    image_mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """Subtracted from each channel of pixels in 0..1."""
    image_std: tuple[Positive, Positive, Positive] = (0.5, 0.5, 0.5)
    """Divides each channel."""
    image_merge_size: Count = 1
    """Side of the window of patches that becomes one token, for images."""
    video_merge_size: Count = 2
    """The same for video frames."""
    resize: Literal["authors", "transformers"] = "authors"
    """`authors`: one token budget for the request; `transformers`: pixel limits for each image or clip."""
    min_tokens: Count = 16
    """authors: least visual tokens of an image or frame."""
    max_tokens: Count = 16384
    """authors: most visual tokens of the whole request, before pruning."""
    image_min_pixels: Count = 56 * 56
    """transformers: least pixels of an image."""
    image_max_pixels: Count = 28 * 28 * 1280
    """transformers: most pixels of an image."""
    video_min_pixels: Count = 128 * 28 * 28
    """transformers: least pixels of a video frame."""
    video_max_pixels: Count = 28 * 28 * 768
    """transformers: most pixels of a clip, divided by its number of frames."""
    prune: PruneConfig = PruneConfig()
    """The differential frame pruner."""
    sampling: SamplingConfig = SamplingConfig()
    """Which frames of a video are used."""


# ------------------------------------------------------------------------------------------------------ generation


@configclass
class GenerationConfig:
    """How an answer is decoded. Temperature 0 is greedy and is the default."""

    max_new_tokens: int = 512
    """Most tokens of an answer."""
    temperature: float = 0.0
    """0 takes the likeliest token; higher values sample more freely."""
    top_p: float = 1.0
    """Sample from the smallest set of tokens with this probability together."""
    top_k: int = 0
    """Sample from the k likeliest tokens; 0 is no limit."""
    min_p: float = 0.0
    """Drop tokens less likely than this share of the likeliest one's probability."""
    repetition_penalty: float = 1.0
    """Above 1 makes tokens that already occurred less likely (arXiv 1909.05858)."""
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    """Makes sampling repeatable, whatever else is in the batch."""
    stop: tuple[str, ...] = ()
    """Strings that end the answer and are not part of it."""
    stop_token_ids: tuple[int, ...] = ()
    """Tokens that end the answer, besides the model's own end-of-turn token."""
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    """How many of the likeliest tokens are told at each step, beside the one drawn; None tells nothing."""

    def __post_init__(self) -> None:
        checks = {
            "max_new_tokens must be at least 1": self.max_new_tokens >= 1,
            "top_p must lie in (0, 1]": 0 < self.top_p <= 1,
            "top_k must not be negative": self.top_k >= 0,
            "min_p must lie in [0, 1]": 0 <= self.min_p <= 1,
            "temperature must be 0 or lie in [0.001, 1000]": self.temperature == 0 or 1e-3 <= self.temperature <= 1e3,
            "repetition_penalty must lie in [0.01, 100]": 0.01 <= self.repetition_penalty <= 100,
            "stop strings must not be empty": all(self.stop),
        }
        for message, holds in checks.items():
            if not holds:
                raise ValueError(message)


# ----------------------------------------------------------------------------------------------- reading and writing


def decode(cls: type[T], data: Any, where: str) -> T:
    """Turns plain data (as from JSON or YAML) into the config class `cls`.

    Raises UserError naming `where`, the key and the cure for an unknown key, a wrong type or an absurd value.
    """
    try:
        return TypeAdapter(cls).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "unexpected_keyword_argument":
            close = difflib.get_close_matches(str(first["loc"][-1]), _all_fields(cls), n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise UserError(f"{where}: unknown key {key!r}{hint}") from error
        subject = f"{key}: " if key else ""
        raise UserError(f"{where}: {subject}{first['msg'].removeprefix('Value error, ')}") from error


def encode(config: Any) -> dict[str, Any]:
    """The plain-data form of a config: what `decode` reads."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    return plain


def override(config: T, assignments: list[str], where: str = "command line") -> T:
    """Returns `config` with `key.sub=value` assignments applied; values are read as YAML."""
    data = encode(config)
    for text in assignments:
        path, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"{where}: {text!r} is not of the form key=value")
        *parents, leaf = path.split(".")
        node = data
        for parent in parents:
            if node.get(parent) is None:
                node[parent] = {}
            node = node[parent]
            if not isinstance(node, dict):
                raise UserError(f"{where}: {path!r} names no option")
        try:
            node[leaf] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UserError(f"{where}: {text!r}: not a YAML value") from error
    return decode(type(config), data, where)


class _Loader(yaml.SafeLoader):
    """Refuses keys that come twice, of which PyYAML would take the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in names:
                    raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} comes twice", key.start_mark)
                names.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: str | Path) -> Any:
    """The content of a YAML file. UserError when it is missing, does not parse, or says a key twice."""
    try:
        return yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML: {error}") from error


def read_json(path: str | Path) -> Any:
    """The content of a JSON file. UserError when it is missing or does not parse."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:  # not only broken syntax: numbers of 5000 digits, endless nesting
        raise UserError(f"{path}: not valid JSON: {error}") from error


def _all_fields(cls: Any) -> set[str]:
    """Names of the fields of a config class and of the config classes inside it."""
    names: set[str] = set()
    for field in dataclasses.fields(cls):
        names.add(field.name)
        if dataclasses.is_dataclass(field.type):
            names |= _all_fields(field.type)
    return names
