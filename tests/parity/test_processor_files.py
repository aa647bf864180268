"""What an export's processor files make of media and messages, by `transformers`' own classes, against our way in."""

import importlib.util
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoProcessor, AutoTokenizer
from transformers.models.video_llama_3.image_processing_pil_video_llama_3 import VideoLlama3ImageProcessorPil

from tests.media.clips import write_clip
from vl3.chat import media_of
from vl3.generate import Assistant, load
from vl3.model.visual import normalise
from vl3.processing import load_visuals, times_of
from vl3.weights import convert
from vl3.weights.demo import save_demo_model


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("export")
    save_demo_model(root / "vl3")
    convert(root / "vl3", root / "transformers", "transformers")
    return root / "transformers"


@pytest.fixture(scope="module")
def assistant(export: Path) -> Any:
    assistant = load(export)
    yield assistant
    assistant.close()


def pictures(folder: Path) -> list[Path]:
    """Of several modes and sizes."""
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (90, 130, 3), dtype=np.uint8))
    made = {"a.png": noise, "b.png": noise.convert("L"), "c.png": noise.quantize(32).resize((333, 57))}
    for name, picture in made.items():
        picture.save(folder / name)
    return [folder / name for name in made]


def test_images_from_files(export: Path, assistant: Assistant, tmp_path: Path) -> None:
    """Several pictures in one request, read by our decoder, equal the published image processor's to the last bit."""
    files = pictures(tmp_path)
    published = VideoLlama3ImageProcessorPil.from_pretrained(export)(
        [Image.open(file).convert("RGB") for file in files], return_tensors="pt"
    )
    messages = [{"role": "user", "content": [{"type": "image", "image": str(file)} for file in files]}]
    visuals, _ = load_visuals(media_of(messages), assistant.checkpoint.processor, assistant.decoder)
    assert [list(visual.grid) for visual in visuals] == published["image_grid_thw"].tolist()
    assert [visual.merge for visual in visuals] == published["image_merge_sizes"].tolist()
    ours = torch.cat([normalise(visual.patches, visual.mean, visual.std) for visual in visuals])
    torch.testing.assert_close(ours, published["pixel_values"], atol=1e-6, rtol=0)


def conversation(*content: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": [*content, {"type": "text", "text": "What is it?"}]},
    ]


def our_text(assistant: Assistant, messages: list[dict[str, Any]]) -> tuple[str, list[int]]:
    """(the prompt with each run of placeholders as one, token ids)."""
    visuals, infos = load_visuals(media_of(messages), assistant.processor.config, assistant.decoder)
    ids = assistant.processor.inputs(messages, visuals, times_of(infos)).input_ids.tolist()
    text = assistant.checkpoint.tokenizer.decode(ids, skip_special_tokens=False)
    return re.sub(r"(<\|(?:image|video)_pad\|>)+", r"\1", text), ids


def test_prompts_of_text_and_images(export: Path, assistant: Assistant, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(export)
    template = (export / "chat_template.jinja").read_text(encoding="utf-8")
    for count in (0, 1, 3):
        messages = conversation(*[{"type": "image", "image": str(file)} for file in pictures(tmp_path)[:count]])
        theirs = tokenizer.apply_chat_template(
            messages, chat_template=template, tokenize=False, add_generation_prompt=True
        )
        assert our_text(assistant, messages)[0] == theirs


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("torchvision", "torchcodec")),
    reason="transformers' video processor needs torchvision and torchcodec",
)
def test_token_ids_with_a_video(export: Path, assistant: Assistant, tmp_path: Path) -> None:
    """The whole of AutoProcessor: time tags, separators, and as many placeholders."""
    clip = tmp_path / "clip.mp4"
    write_clip(clip, range(125), time_base=Fraction(1, 25), size=(120, 160))
    image = str(pictures(tmp_path)[0])
    messages = conversation({"type": "image", "image": image}, {"type": "video", "video": str(clip)})
    theirs = AutoProcessor.from_pretrained(export).apply_chat_template(
        messages, tokenize=True, return_dict=True, return_tensors="pt", add_generation_prompt=True, fps=1
    )
    config = assistant.processor.config
    sampling = replace(config.sampling, policy="transformers")
    assistant.processor = assistant.processor.with_config(replace(config, sampling=sampling))
    assert our_text(assistant, messages)[1] == theirs["input_ids"][0].tolist()
