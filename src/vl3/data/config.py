"""What is trained on, and how it is mixed and packed."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from vl3.config import configclass


@configclass
class SourceConfig:
    """One file, or folder of files, of annotations."""

    path: str
    """.json, .jsonl, .parquet or .tar, or a folder of .parquet or .tar files; or `hf:OWNER/NAME`, a dataset of the
    Hugging Face hub (`hf:FOLDER`: one on the disk)."""
    subset: str | None = None
    """Of a hub dataset: its configuration."""
    split: str = "train"
    """Of a hub dataset."""
    streaming: bool = False
    """Read a hub dataset as it comes instead of downloading it first: in the order of its files, never shuffled."""
    num_samples: int | None = None
    """Of a streamed dataset that does not say how many samples its split has."""
    name: str | None = None
    """What logs call it; by default the file's name without its ending."""
    weight: float | None = None
    """Share of the mixture, relative to other sources; by default the number of its samples, so that all are seen alike
    often."""
    root: str | None = None
    """Folder that relative media paths start from; by default that of the annotation file."""
    form: Literal["auto", "authors", "messages"] = "auto"
    """`authors`: `conversations` (or a `stream`); `messages`: OpenAI-style; `auto` tells by the keys of each sample."""
    image_merge_size: int | None = None
    """Overrides the recipe's, for this source."""
    video_merge_size: int | None = None
    """The same for video."""
    fps: float | None = None
    """The same."""
    max_frames: int | None = None
    """The same."""
    max_tokens: int | None = None
    """The same: most visual tokens of a sample."""
    system: str | None = None
    """A system message put before every sample that has none."""

    def __post_init__(self) -> None:
        if self.weight is not None and self.weight <= 0:
            raise ValueError(f"weight must be positive, got {self.weight:g}; leave the source out instead")


def _sources(given: Any) -> Any:
    """A path stands for a source with that path, and one source for a list of one."""
    items = given if isinstance(given, list | tuple) else [given]
    return [{"path": item} if isinstance(item, str) else item for item in items]


@configclass
class DataConfig:
    """The whole training set and how a step is made of it."""

    sources: Annotated[tuple[SourceConfig, ...], BeforeValidator(_sources)]
    """What is mixed: sources, or just paths."""
    samples_per_step: int = 128
    """Samples of one optimiser step, over all ranks."""
    pack_tokens: int = 16384
    """Most tokens of one pack; also the longest sample."""
    seed: int = 0
    """Of the order of samples."""
    shuffle: bool = True
    """Whether each pass over a source has an order of its own."""
    num_workers: int = 2
    """Processes that decode and prepare samples; 0 does it in the training process."""
    prefetch: int = 4
    """Samples that each worker prepares ahead: bounds memory."""
    decode_timeout_s: float = 120.0
    """Longest time for one image or video."""
    failure_budget: float = 0.01
    """Share of the samples seen so far that may fail before the run stops (ten failures are always allowed)."""
    quarantine: str | None = None
    """A .jsonl file that failed samples are named in; the trainer puts it into the run's folder by default."""

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError("sources must name at least one file")
        if self.samples_per_step < 1 or self.pack_tokens < 1 or self.num_workers < 0 or self.prefetch < 1:
            raise ValueError("samples_per_step, pack_tokens and prefetch must be at least 1, num_workers at least 0")
        if not 0 <= self.failure_budget <= 1:
            raise ValueError(f"failure_budget is a share in [0, 1], got {self.failure_budget:g}")
