"""What a training run is: one frozen config, one YAML recipe."""

from pathlib import Path
from typing import Literal

from vl3.config import ProcessorConfig, configclass, decode, override, read_yaml
from vl3.data import DataConfig
from vl3.errors import UserError

Weighting = Literal["tokens", "square_root"]
"""What an answer of n tokens counts for in the loss: n, or the root of n."""


@configclass
class LoraConfig:
    """Low-rank adapters on a module's linear layers (arXiv 2106.09685), instead of training its weights."""

    rank: int = 16
    """Rank of the added matrices."""
    alpha: int = 32
    """Their output is scaled by alpha / rank."""
    dropout: float = 0.0
    """Share of the adapter's inputs that is zeroed while training."""
    layers: tuple[str, ...] = (
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "out_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
        "fc1",
        "fc2",
    )
    """Names of the linear layers that get adapters."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"rank must be at least 1, got {self.rank}")
        if not self.layers or {"lm_head", "embed_tokens"} & set(self.layers):
            raise ValueError("layers must name linear layers inside the blocks or the projector")


@configclass
class PartConfig:
    """How one of the three modules is trained."""

    lr: float = 0.0
    """Peak learning rate; 0 freezes the module."""
    weight_decay: float = 0.0
    """AdamW's decoupled weight decay, on matrices only (not on norms and biases)."""
    lora: LoraConfig | None = None
    """Train adapters at `lr` and keep the module's own weights as they are."""
    frozen: tuple[str, ...] = ()
    """Submodules that stay as they are while the rest of the module learns (`stem.trunk`)."""
    bits: Literal[4, 8] | None = None
    """Hold the linear layers' own weights in so many bits (bitsandbytes; CUDA); needs lora or lr = 0."""

    def __post_init__(self) -> None:
        if self.lr < 0 or self.weight_decay < 0:
            raise ValueError("lr and weight_decay must not be negative")
        if self.lora is not None and self.lr == 0:
            raise ValueError("lora needs a learning rate: set lr above 0")
        if self.bits is not None and self.lora is None and self.lr > 0:
            raise ValueError("weights in 4 or 8 bits cannot be trained: add lora, or set lr to 0")


@configclass
class AlignConfig:
    """Dense alignment of visual tokens with words: an addition to the paper's stages, for small models."""

    texts: str
    """A file of texts, one a line, that the tokens are told apart by; those of a step's own samples are added."""
    weight: float = 1.0
    """Of this loss, beside that of the answers."""
    answers: bool = False
    """Whether the answers are trained on too; without them the language model need not run."""
    background: float = 0.15
    """Weight of a token that shows nothing named, against one that does."""
    smoothing: float = 0.05
    """Label smoothing."""

    def __post_init__(self) -> None:
        if self.weight <= 0 or not 0 < self.background <= 1 or not 0 <= self.smoothing < 1:
            raise ValueError("weight must be positive, background lie in (0, 1] and smoothing in [0, 1)")


@configclass
class OptimConfig:
    """AdamW (arXiv 1711.05101) and its schedule."""

    betas: tuple[float, float] = (0.9, 0.999)
    """Decay rates of the running means of the gradient and of its square."""
    eps: float = 1e-8
    """Added to the denominator."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """`cosine` falls from the peak to min_ratio of it over the run; both begin with a linear warm-up."""
    warmup_ratio: float = 0.03
    """Share of the steps in which the learning rates rise to their peaks."""
    min_ratio: float = 0.0
    """What is left of the peak learning rates at the end of a cosine schedule."""
    clip: float | None = 1.0
    """Largest norm of all gradients together; None does not clip."""

    def __post_init__(self) -> None:
        if not 0 <= self.warmup_ratio < 1 or not 0 <= self.min_ratio <= 1:
            raise ValueError("warmup_ratio must lie in [0, 1) and min_ratio in [0, 1]")
        if self.clip is not None and self.clip <= 0:
            raise ValueError("clip must be positive, or null for none")


@configclass
class SaveConfig:
    """What is written, and when."""

    every_steps: int = 500
    """Steps between resumable checkpoints; one is also written at the end."""
    keep: int = 2
    """How many of the newest checkpoints stay."""
    layouts: tuple[Literal["transformers", "vl3", "authors"], ...] = ("vl3", "transformers")
    """Layouts of the finished weights; the first goes to `final`, others to `final-<layout>`."""
    dtype: Literal["auto", "bfloat16", "float32", "float16"] = "auto"
    """Type of the finished weights; `auto` is that of the weights the run started from."""
    merge_lora: bool = True
    """Add adapters to the weights at the end; otherwise only the adapter is saved, to `adapter`."""

    def __post_init__(self) -> None:
        if self.every_steps < 1 or self.keep < 1 or not self.layouts:
            raise ValueError("every_steps and keep must be at least 1, and layouts not empty")


@configclass
class HeldOutConfig:
    """What is measured on samples that are not trained on."""

    data: DataConfig
    """The held-out samples."""
    every_steps: int = 500
    """Steps between measurements; one is also made at the end."""
    max_packs: int = 16
    """Most packs whose loss is taken."""
    answers: int = 4
    """How many questions are answered by the model and logged beside the true answers."""
    max_new_tokens: int = 64
    """Most tokens of such an answer; the likeliest token is taken each time."""


@configclass
class TrainConfig:
    """A whole run."""

    init_from: str
    """Where the weights come from: a checkpoint (hub id or folder), or the output folder of an earlier stage."""
    output: str
    """The run's folder: checkpoints, logs and finished weights."""
    data: DataConfig
    """The samples and how they are packed."""
    held_out: HeldOutConfig | None = None
    """What is measured while training, if anything."""
    vision: PartConfig = PartConfig()
    """The vision encoder; frozen by default."""
    projector: PartConfig = PartConfig()
    """The projector; frozen by default."""
    language: PartConfig = PartConfig()
    """The language model; frozen by default."""
    align: AlignConfig | None = None
    """Dense alignment with the words of samples' `regions`, if any."""
    processor: ProcessorConfig = ProcessorConfig()
    """Resizing, merge sizes, pruning and frame sampling, in training and in the finished checkpoint. Its patch size,
    mean and standard deviation are those of the checkpoint."""
    optim: OptimConfig = OptimConfig()
    """Optimiser and schedule."""
    steps: int
    """Optimiser steps."""
    precision: Literal["bf16", "fp32"] = "bf16"
    """`bf16`: products in bfloat16; trained weights and their optimiser stay in float32, frozen ones are bfloat16."""
    weighting: Weighting = "tokens"
    """`tokens`: each supervised token counts as much as any other, as in the paper. `square_root`: an answer of n
    tokens counts as much as the root of n, so that long answers do not drown short ones (arXiv 2412.05271)."""
    checkpointing: bool = True
    """Recompute each block's activations in the backward pass: less memory, about a third more time."""
    seed: int = 0
    """Of everything random in training: new adapters and dropout."""
    device: str = "auto"
    """`auto` takes CUDA where there is one."""
    save: SaveConfig = SaveConfig()
    """Checkpoints and finished weights."""
    log_every_steps: int = 1
    """Steps between lines of the log."""
    tensorboard: bool = False
    """Also write TensorBoard events to `tensorboard` in the run's folder."""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.log_every_steps < 1:
            raise ValueError("steps and log_every_steps must be at least 1")
        if not any(part.lr for part in (self.vision, self.projector, self.language)):
            raise ValueError("nothing to train: give vision, projector or language a learning rate (lr)")

    @property
    def parts(self) -> dict[str, PartConfig]:
        """The three modules by name, in the order of the data's way through them."""
        return {"vision": self.vision, "projector": self.projector, "language": self.language}


def read_recipe(path: str | Path, assignments: list[str] | None = None) -> TrainConfig:
    """The config of a recipe with `key=value` overrides. UserError for a missing file, an unknown key, an absurd value.

    Values that a recipe leaves open (`???`) must be given as overrides.
    """
    data = read_yaml(path)
    if not isinstance(data, dict):
        raise UserError(f"{path}: a recipe is a mapping of keys to values")
    config = override(decode(TrainConfig, data, str(path)), assignments or [])
    open_values = {"init_from": config.init_from, "output": config.output}
    for key, value in open_values.items():
        if value == "???":
            raise UserError(f"{path}: {key} is left open by the recipe; add {key}=...")
    return config
