"""What a run will need, worked out from shapes before anything is loaded: memory of each device, and time."""

from dataclasses import dataclass

import torch

from vl3.config import ModelConfig
from vl3.model import VideoLLaMA3
from vl3.train.config import PartConfig, TrainConfig
from vl3.train.loss import CHUNK_VALUES
from vl3.weights import load_processor

GB = 1e9


@dataclass(frozen=True)
class Plan:
    """Predicted needs; memory in bytes for each device."""

    weights: float
    """Weights, with their float32 masters where they are trained."""
    gradients: float
    """float32 gradients of trained weights."""
    optimizer: float
    """AdamW's two float32 means of trained weights."""
    gathered: float
    """Whole blocks, embedding and head while they are used (several devices)."""
    activations: float
    """Of one full pack, an estimate."""
    flops: float
    """Floating-point operations of one step on all devices, for packs that are full."""
    steps: int

    @property
    def memory(self) -> float:
        """All of it."""
        return self.weights + self.gradients + self.optimizer + self.gathered + self.activations

    def text(self) -> str:
        """A table for people."""
        names = ("weights", "gradients", "optimizer", "gathered", "activations", "memory")
        values = (self.weights, self.gradients, self.optimizer, self.gathered, self.activations, self.memory)
        rows = [f"{name:12} {value / GB:8.2f} GB" for name, value in zip(names, values, strict=True)]
        hours = self.steps * self.flops / 4e14 / 3600
        return "\n".join(
            [
                *rows,
                f"{'steps':12} {self.steps:8d}",
                f"{'work':12} {self.flops / 1e15:8.2f} PFLOP a step at most: every sample as long as a pack",
                f"{'time':12} {hours:8.1f} device hours at most, at 400 TFLOP/s",
            ]
        )


def predict(config: TrainConfig, devices: int = 1) -> Plan:
    """Needs of a recipe on `devices` devices. Reads only the configuration of the starting checkpoint."""
    return predict_for(load_processor(config.init_from)[2], config, devices)


def predict_for(shape: ModelConfig, config: TrainConfig, devices: int) -> Plan:
    """The same for a known model shape."""
    with torch.device("meta"):
        model = VideoLLaMA3(shape)
    sizes = {
        "vision": _count(model.vision),
        "projector": _count(model.projector),
        "language": _count(model.language),
    }
    half = 2 if config.precision == "bf16" else 4
    weights = trained = 0.0
    for name, part in config.parts.items():
        learns = part.lr > 0 and part.lora is None
        weights += sizes[name] * (4 if learns else part.bits / 8 if part.bits else half)
        trained += sizes[name] if learns else _adapter_size(model.get_submodule(name), part)
    adapters = trained - sum(sizes[n] for n, p in config.parts.items() if p.lr > 0 and p.lora is None)
    language = shape.language
    block = _count(model.language.layers[0])
    root = language.vocab_size * language.hidden_size * (1 if language.tie_embeddings else 2)
    return Plan(
        weights=(weights + 4 * adapters) / devices,
        gradients=4 * trained / devices,
        optimizer=8 * trained / devices,
        gathered=0.0 if devices == 1 else half * (2 * block + root),
        activations=_activations(shape, config, half),
        flops=_flops(sizes, shape, config),
        steps=config.steps,
    )


def _count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _adapter_size(module: torch.nn.Module, part: PartConfig) -> float:
    if part.lora is None:
        return 0.0
    layers = [m for n, m in module.named_modules() if n.rpartition(".")[2] in part.lora.layers]
    return float(
        sum(part.lora.rank * (m.in_features + m.out_features) for m in layers if isinstance(m, torch.nn.Linear))
    )


def _activations(shape: ModelConfig, config: TrainConfig, half: int) -> float:
    """One pack: inputs of every block that are kept, the widest block's inner values, and a chunk of logits."""
    tokens, language, vision = config.data.pack_tokens, shape.language, shape.vision
    merge = max(config.processor.image_merge_size, config.processor.video_merge_size)
    patches = min(tokens, config.processor.max_tokens) * merge**2
    inner = tokens * (4 * language.hidden_size + 3 * language.intermediate_size) * half
    kept = language.num_layers * tokens * language.hidden_size * 4
    vision_inner = patches * (6 * vision.hidden_size + 2 * vision.intermediate_size) * half
    vision_kept = vision.num_layers * patches * vision.hidden_size * 4 if config.vision.lr > 0 else 0
    if not config.checkpointing:
        kept, inner = kept + language.num_layers * inner, 0
        vision_kept, vision_inner = (vision_kept and vision.num_layers * vision_inner), vision_inner
    return float(kept + vision_kept + max(inner, vision_inner) + 4 * CHUNK_VALUES["cuda"])


def _flops(sizes: dict[str, int], shape: ModelConfig, config: TrainConfig) -> float:
    """2 a weight and token forwards, 4 backwards, and 2 more where activations are recomputed."""
    tokens = config.data.samples_per_step * config.data.pack_tokens
    merge = max(config.processor.image_merge_size, config.processor.video_merge_size)
    patches = config.data.samples_per_step * min(config.data.pack_tokens, config.processor.max_tokens) * merge**2
    learns = 6 + 2 * config.checkpointing
    embedding = shape.language.vocab_size * shape.language.hidden_size
    of_vision = learns if config.vision.lr else 2
    return float((sizes["language"] - embedding) * tokens * learns + sizes["vision"] * patches * of_vision)
