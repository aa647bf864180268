"""When a model that watches a stream would first speak: one forward pass over the whole clip.

After each frame the model chooses between watching on (`Time`) and speaking (`<|stream_end|>`). While it watches, the
prompt is the same whatever it would say later, so all choices up to the first decision to speak come from one pass.
"""

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from vl3.chat import Message, media_of
from vl3.eval.log import Reply, prompt_text
from vl3.eval.task import Item
from vl3.generate import Assistant, Options
from vl3.model.videollama3 import splice
from vl3.processing import Inputs, load_visuals, times_of
from vl3.processing.processor import IGNORE


def watching(messages: Sequence[Message]) -> tuple[list[Message], float]:
    """(a stream sample's turns before the first frame, then its whole clip without a word; when it broke off)."""
    first = next(place for place, message in enumerate(messages) if message["role"] == "stream")
    parts = [message["content"][0] for message in messages if message["role"] == "stream"]
    whole = {**parts[0], "end_s": parts[-1]["end_s"]}
    return [*messages[:first], {"role": "stream", "content": [whole]}], parts[0]["end_s"]


def first_word(assistant: Assistant, item: Item, options: Options) -> Reply:
    """The time at which the model would first speak, in seconds: when the next frame comes, or the clip's end."""
    start = time.perf_counter()
    config = assistant.settings(options).processing
    visuals, infos = load_visuals(media_of(item.messages), config, assistant.decoder)
    processor = assistant.processor.with_config(config)
    inputs = processor.inputs(item.messages, visuals, times_of(infos), add_generation_prompt=False)
    [times] = [info.times_s for info in infos]
    moments = [*times[1:], item.messages[-1]["content"][0]["end_s"]]
    speaks = decisions(assistant, inputs)
    assert len(speaks) == len(times), "one decision after each frame"
    spoken = next((moment for moment, speak in zip(moments, speaks, strict=True) if speak), moments[-1])
    tokens = int(inputs.visual_mask.sum())
    prompt = prompt_text(item.messages, [times], add_generation_prompt=False)
    seconds = time.perf_counter() - start
    return Reply(f"{spoken:.1f}", prompt, visual_tokens=tokens, seconds=seconds, frames_s=[times])


@torch.inference_mode()
def decisions(assistant: Assistant, inputs: Inputs) -> list[bool]:
    """After each frame, whether speaking is likelier than watching on."""
    model = assistant.checkpoint.model
    supervised = inputs.labels != IGNORE
    begins = supervised & ~torch.cat([supervised[:1], supervised[:-1]])
    places = begins.nonzero()[:, 0]
    watch, speak = (_first_id(assistant, text) for text in ("Time", "<|stream_end|>"))
    device = model.device
    x_TD: Tensor = model.language.embed_tokens(inputs.input_ids.to(device))
    features = model.see([visual.to(device) for visual in inputs.visuals])
    x_TD = splice(x_TD, inputs.visual_mask.to(device), features)
    hidden_TD = model.language(x_TD, [inputs.num_tokens], [model.new_cache(inputs.num_tokens)])
    logits_NV = model.logits(hidden_TD[(places - 1).to(device)])
    return [bool(said) for said in logits_NV[:, speak] > logits_NV[:, watch]]


def _first_id(assistant: Assistant, text: str) -> int:
    return int(assistant.checkpoint.tokenizer.encode(text, add_special_tokens=False).ids[0])
