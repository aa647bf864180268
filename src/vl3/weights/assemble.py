"""A fresh model from a vision tower and a language model: where training from scratch starts (paper section 3.1).

SigLIP's learned position embedding and pooling head are dropped, since 2D RoPE takes their place; the projector is
new; the special tokens are added to the language model's vocabulary.
"""

from dataclasses import replace
from pathlib import Path

import torch
from tokenizers import Tokenizer

from vl3.config import Count, LanguageConfig, Layers, ModelConfig, ProcessorConfig, VisionConfig, configclass
from vl3.errors import UserError
from vl3.model import VideoLLaMA3
from vl3.model.language import LanguageModel
from vl3.model.projector import Projector
from vl3.model.vision import VisionEncoder
from vl3.weights.files import Tensors, locate, open_tensors
from vl3.weights.gguf_language import GgufLanguage
from vl3.weights.load import Checkpoint, fill, read_tensors
from vl3.weights.names import Layout
from vl3.weights.package import PREFIX, file_of, gguf_of
from vl3.weights.read_config import language_config, read_config_file, vision_config
from vl3.weights.save import save_checkpoint
from vl3.weights.stem import Words, stem_encoder, stem_processor
from vl3.weights.tokenizer import load_tokenizer, token_id, with_special_tokens
from vl3.weights.vocabulary import grown, padded_size


@configclass
class NewEncoder:
    """A vision encoder to be trained from scratch on a pretrained convolutional stem."""

    class_names: str
    """A file with the names of the stem's classes, a line each, synonyms separated by commas."""
    width: Count = 384
    """hidden_size; heads are 64 wide."""
    layers: Layers = 4
    """Transformer blocks."""


SPECIAL_TOKENS = ["<|im_start|>", "<|im_end|>", "<image>", "<|stream_start|>", "<|stream_end|>"]
"""What prompts are made of; those that the language model knows keep their ids."""

_DROPPED = ("head.", "embeddings.position_embedding.", "text_model.", "logit_")


def assemble(
    vision: str | Path,
    language: str | Path,
    destination: str | Path,
    *,
    layout: Layout = "vl3",
    dtype: torch.dtype | None = None,
    seed: int = 0,
    overwrite: bool = False,
    new_encoder: NewEncoder | None = None,
) -> Checkpoint:
    """Builds and saves a model from a SigLIP tower or a VL3-SigLIP-NaViT encoder, and a Qwen2 or Llama language model.

    With `new_encoder`, vision is an EfficientNet-Lite's .pth file (or `package:NAME`), on which a new encoder is put.
    Both are folders or hub ids; the language model may also be a Llama model in a .gguf file, or `package:NAME`, the
    .gguf file of an installed package. dtype None keeps the language model's, which is float32 for a .gguf file. The
    projector, and a new encoder, are initialised from `seed`.
    """
    decoder, decoder_config, words = _language_model(language, dtype)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if new_encoder is None:
            encoder, encoder_config = _vision_tower(locate(vision), dtype)
            projector = Projector(encoder_config.hidden_size, decoder_config.hidden_size)
            processor = ProcessorConfig(patch_size=encoder_config.patch_size)
        else:
            known = Words(words, decoder.embed_tokens.weight.detach())
            encoder, projector = _new_encoder(str(vision), new_encoder, known)
            encoder_config, processor = encoder.config, stem_processor()
    dtype = dtype or decoder.embed_tokens.weight.dtype
    tokenizer = with_special_tokens(words, SPECIAL_TOKENS)
    rows = padded_size(decoder_config.vocab_size, tokenizer)
    decoder_config = replace(decoder_config, vocab_size=rows)
    placeholder = token_id(tokenizer, "<image>")
    config = ModelConfig(
        vision=encoder_config, language=decoder_config, image_token_id=placeholder, video_token_id=placeholder
    )
    with torch.device("meta"):
        model = VideoLLaMA3(config)
    parts = {"vision": encoder, "projector": projector, "language": decoder}
    tensors = {
        f"{part}.{name}": tensor for part, module in parts.items() for name, tensor in module.state_dict().items()
    }
    fill(model, {name: tensor.to(dtype) for name, tensor in grown(tensors, rows).items()})
    checkpoint = Checkpoint(
        model=model.eval(),
        config=config,
        processor=processor,
        tokenizer=tokenizer,
        layout=layout,
        path=Path(destination),
        eos_token_ids=(token_id(tokenizer, "<|im_end|>"),),
    )
    save_checkpoint(checkpoint, destination, layout, overwrite=overwrite)
    return checkpoint


def _new_encoder(vision: str, wanted: NewEncoder, words: Words) -> tuple[VisionEncoder, Projector]:
    package = vision.removeprefix(PREFIX)
    path = file_of(package, ".pth") if vision.startswith(PREFIX) else Path(vision).expanduser()
    try:
        names = Path(wanted.class_names).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{wanted.class_names}: the class names cannot be read: {error}") from error
    return stem_encoder(path, wanted.width, wanted.layers, names, words)


def _vision_tower(folder: Path, dtype: torch.dtype | None) -> tuple[VisionEncoder, VisionConfig]:
    data = read_config_file(folder)
    kind = data.get("model_type")
    if kind not in ("siglip", "siglip_vision_model", "videollama3_vision_encoder"):
        raise UserError(
            f"{folder / 'config.json'}: {kind!r} is no vision tower; give a SigLIP or VL3-SigLIP-NaViT folder"
        )
    config = vision_config(data.get("vision_config") or data, str(folder / "config.json"))
    with torch.device("meta"):
        encoder = VisionEncoder(config)
    with open_tensors(folder) as tensors:
        layout = "siglip" if any(name.startswith("vision_model.") for name in tensors) else "encoder"
        siglip_only = tuple(prefix + name for name in _DROPPED for prefix in ("", "vision_model."))
        kept = tensors if kind == "videollama3_vision_encoder" else tensors.without(siglip_only)
        fill(encoder, read_tensors(encoder, kept, layout, dtype, str(folder), prefix="vision."))
    return encoder, config


def _language_model(language: str | Path, dtype: torch.dtype | None) -> tuple[LanguageModel, LanguageConfig, Tokenizer]:
    gguf = _gguf(str(language))
    if gguf is not None:
        model = GgufLanguage(gguf)
        return _filled(model.config, model, "gguf", dtype, str(gguf)), model.config, model.tokenizer()
    folder = locate(language)
    config = language_config(read_config_file(folder), str(folder / "config.json"))
    with open_tensors(folder) as tensors:
        return _filled(config, tensors, "causal_lm", dtype, str(folder)), config, load_tokenizer(folder)


def _gguf(language: str) -> Path | None:
    """The .gguf file that a language model is named by, None for a folder or hub id."""
    if language.startswith(PREFIX):
        return gguf_of(language.removeprefix(PREFIX))
    return Path(language).expanduser() if language.endswith(".gguf") else None


def _filled(
    config: LanguageConfig, tensors: Tensors, layout: str, dtype: torch.dtype | None, where: str
) -> LanguageModel:
    with torch.device("meta"):
        decoder = LanguageModel(config)
    fill(decoder, read_tensors(decoder, tensors, layout, dtype, where, prefix="language."))
    return decoder
