"""Our model against `transformers`' VideoLLaMA3: same weights, same numbers, both ways round."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import VideoLlama3ForConditionalGeneration

from tests.parity.conftest import published_model
from tests.tiny import tiny_config, tiny_model, tiny_tokenizer, token_id
from vl3.chat import Message
from vl3.config import GenerationConfig, ProcessorConfig, PruneConfig
from vl3.generate.engine import Engine
from vl3.model import VideoLLaMA3
from vl3.model.vision import encode_visuals
from vl3.model.visual import normalise
from vl3.processing import Inputs, Processor, make_visual
from vl3.weights import Checkpoint, load_checkpoint, save_checkpoint

Oracle = VideoLlama3ForConditionalGeneration
RNG = np.random.default_rng(0)


def picture(height: int, width: int) -> np.ndarray:
    return RNG.integers(0, 256, (1, height, width, 3), dtype=np.uint8)


def clip(t: int, height: int, width: int) -> np.ndarray:
    """Noise whose right half stands still."""
    frames = RNG.integers(0, 256, (t, height, width, 3), dtype=np.uint8)
    frames[:, :, width // 2 :] = frames[:1, :, width // 2 :]
    return frames


def say(*parts: str) -> list[Message]:
    content = [{"type": p, p: "x"} if p in ("image", "video") else {"type": "text", "text": p} for p in parts]
    return [{"role": "user", "content": content}]


REQUESTS: dict[str, tuple[list[Message], list[np.ndarray], list[list[float] | None]]] = {
    "text": (say("Hello there, how are you?"), [], []),
    "image": (say("image", "What is it?"), [picture(42, 70)], [None]),
    "images": (say("image", "image", "Same?"), [picture(28, 14), picture(70, 56)], [None, None]),
    "video": (say("video", "What happens?"), [clip(5, 56, 84)], [[0.0, 1.0, 2.0, 3.0, 4.0]]),
    "both": (say("image", "video", "Is it there?"), [picture(56, 28), clip(3, 28, 56)], [None, [0.5, 1.5, 2.5]]),
    "two clips": (say("video", "video", "?"), [clip(2, 28, 28), clip(4, 56, 28)], [[0.0, 1.0], [0.0, 0.5, 1.0, 1.5]]),
}


def inputs_of(name: str, checkpoint: Checkpoint, prune: str = "published") -> Inputs:
    messages, media, times = REQUESTS[name]
    config = ProcessorConfig(prune=PruneConfig.parse(prune))
    processor = Processor(config, checkpoint.tokenizer, checkpoint.config)
    visuals = [make_visual(frames, time is not None, config) for frames, time in zip(media, times, strict=True)]
    return processor.inputs(messages, visuals, times)


def media_arguments(batch: list[tuple[str, Inputs]]) -> dict[str, torch.Tensor]:
    """What `transformers` calls the images and videos of a batch."""
    arguments: dict[str, torch.Tensor] = {}
    for kind, suffix in (("image", ""), ("video", "_videos")):
        chosen = [
            visual
            for name, inputs in batch
            for visual, times in zip(inputs.visuals, REQUESTS[name][2], strict=True)
            if (times is None) == (kind == "image")
        ]
        if not chosen:
            continue
        arguments[f"pixel_values{suffix}"] = torch.cat([normalise(v.patches, v.mean, v.std) for v in chosen])
        arguments[f"{kind}_grid_thw"] = torch.tensor([v.grid for v in chosen])
        arguments[f"{kind}_merge_sizes"] = torch.tensor([v.merge for v in chosen])
        if kind == "video":
            arguments["video_compression_mask"] = torch.cat([v.keep.flatten() for v in chosen])
    return arguments


def published_logits(oracle: Oracle, batch: list[tuple[str, Inputs]]) -> list[torch.Tensor]:
    """Logits [T, V] of each request of a left-padded batch."""
    longest = max(inputs.num_tokens for _, inputs in batch)
    ids = torch.full((len(batch), longest), 1)
    attention = torch.zeros_like(ids)
    for row, (_, inputs) in enumerate(batch):
        ids[row, longest - inputs.num_tokens :] = inputs.input_ids
        attention[row, longest - inputs.num_tokens :] = 1
    positions = (attention.cumsum(-1) - 1).clamp(min=0)
    with torch.no_grad():
        out = oracle(input_ids=ids, attention_mask=attention, position_ids=positions, **media_arguments(batch))
    return [row[longest - inputs.num_tokens :] for row, (_, inputs) in zip(out.logits, batch, strict=True)]


def our_logits(model: VideoLLaMA3, batch: list[Inputs]) -> list[torch.Tensor]:
    lengths = [inputs.num_tokens for inputs in batch]
    with torch.no_grad():
        hidden = model(
            torch.cat([inputs.input_ids for inputs in batch]),
            lengths,
            [visual for inputs in batch for visual in inputs.visuals],
            torch.cat([inputs.visual_mask for inputs in batch]),
        )
        return list(model.logits(hidden).split(lengths))


@pytest.fixture(scope="session")
def loaded(published: tuple[Oracle, Path]) -> Checkpoint:
    return load_checkpoint(str(published[1]), dtype=torch.float32)


@pytest.mark.parametrize("prune", ["published", "off"])
@pytest.mark.parametrize("name", list(REQUESTS))
def test_logits_of_weights_that_transformers_saved(
    name: str, prune: str, published: tuple[Oracle, Path], loaded: Checkpoint
) -> None:
    inputs = inputs_of(name, loaded, prune)
    [expected] = published_logits(published[0], [(name, inputs)])
    [ours] = our_logits(loaded.model, [inputs])
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=0)


def test_pruning_really_dropped_tokens(loaded: Checkpoint) -> None:
    assert inputs_of("video", loaded).num_tokens < inputs_of("video", loaded, "off").num_tokens


def test_a_mixed_batch(published: tuple[Oracle, Path], loaded: Checkpoint) -> None:
    batch = [(name, inputs_of(name, loaded)) for name in REQUESTS]
    expected = published_logits(published[0], batch)
    for ours, theirs in zip(our_logits(loaded.model, [inputs for _, inputs in batch]), expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_vision_features_and_projector(published: tuple[Oracle, Path], loaded: Checkpoint) -> None:
    visuals = [*inputs_of("images", loaded).visuals, *inputs_of("video", loaded, "off").visuals]
    arguments = {
        "grid_thw": torch.tensor([visual.grid for visual in visuals]),
        "merge_sizes": torch.tensor([visual.merge for visual in visuals]),
    }
    pixels = torch.cat([normalise(v.patches, v.mean, v.std) for v in visuals])
    with torch.no_grad():
        expected = published[0].model.vision_model(pixel_values=pixels, **arguments).last_hidden_state
        ours = encode_visuals(loaded.model.vision, visuals)
        torch.testing.assert_close(ours, expected, atol=1e-4, rtol=0)
        projected = published[0].model.projector(expected)
        torch.testing.assert_close(loaded.model.see(visuals), projected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("prune", ["published", "off"])
@pytest.mark.parametrize("name", list(REQUESTS))
def test_greedy_answers_are_the_same_tokens(
    name: str, prune: str, published: tuple[Oracle, Path], loaded: Checkpoint
) -> None:
    inputs = inputs_of(name, loaded, prune)
    ours = greedy(loaded, [inputs], 24)[0]
    assert ours == published_greedy(published[0], name, inputs, 24)
    assert len(set(ours)) > 2, "a model that repeats itself proves little"


def published_greedy(oracle: Oracle, name: str, inputs: Inputs, max_new_tokens: int) -> list[int]:
    """The tokens of `transformers`' own generate, without the end mark."""
    with torch.no_grad():
        expected = oracle.generate(
            input_ids=inputs.input_ids[None],
            attention_mask=torch.ones(1, inputs.num_tokens, dtype=torch.long),
            **media_arguments([(name, inputs)]),
            max_new_tokens=max_new_tokens,
            do_sample=False,
        )
    return [token for token in expected[0, inputs.num_tokens :].tolist() if token != token_id("<|im_end|>")]


def greedy(checkpoint: Checkpoint, batch: list[Inputs], max_new_tokens: int) -> list[list[int]]:
    engine = Engine(checkpoint.model, checkpoint.eos_token_ids)
    running = [engine.sequence(inputs, GenerationConfig(max_new_tokens=max_new_tokens)) for inputs in batch]
    for sequence in running:
        engine.prefill(sequence)
    while any(sequence.finish_reason is None for sequence in running):
        engine.step(running)
    return [sequence.generated for sequence in running]


def test_a_request_gets_the_same_tokens_alone_and_in_any_batch(loaded: Checkpoint) -> None:
    requests = [inputs_of(name, loaded) for name in REQUESTS]
    alone = [greedy(loaded, [inputs], 32)[0] for inputs in requests]
    assert len({tuple(tokens) for tokens in alone}) == len(alone), "answers must differ for this to mean anything"
    assert greedy(loaded, requests, 32) == alone
    assert greedy(loaded, requests[::-1], 32) == alone[::-1]
    assert greedy(loaded, requests[1:4] * 2, 32) == alone[1:4] * 2


@pytest.mark.parametrize(("tie", "text"), [(True, "qwen2"), (False, "qwen2"), (False, "llama")])
def test_weights_that_we_saved_load_in_transformers(tie: bool, text: str, tmp_path: Path) -> None:
    config = tiny_config(tie, text)
    checkpoint = Checkpoint(
        model=tiny_model(config),
        config=config,
        processor=ProcessorConfig(resize="transformers"),
        tokenizer=tiny_tokenizer(),
        layout="vl3",
        path=tmp_path,
        eos_token_ids=(token_id("<|im_end|>"),),
    )
    save_checkpoint(checkpoint, tmp_path / "export", "transformers")
    oracle, report = Oracle.from_pretrained(tmp_path / "export", dtype=torch.float32, output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    oracle.generation_config.eos_token_id = token_id("<|im_end|>")
    agree(oracle.eval(), checkpoint)


@pytest.mark.parametrize(("tie", "text"), [(False, "qwen2"), (False, "llama")])
def test_untied_and_llama_weights_that_transformers_saved(tie: bool, text: str, tmp_path: Path) -> None:
    oracle = published_model(tie, text)
    oracle.save_pretrained(tmp_path)
    tiny_tokenizer().save(str(tmp_path / "tokenizer.json"))
    checkpoint = load_checkpoint(str(tmp_path), dtype=torch.float32)
    agree(oracle, checkpoint)


def agree(oracle: Oracle, checkpoint: Checkpoint) -> None:
    """Logits of a mixed batch, with and without pruning, visual tokens, and greedy answers."""
    for prune in ("published", "off"):
        batch = [(name, inputs_of(name, checkpoint, prune)) for name in REQUESTS]
        expected = published_logits(oracle, batch)
        for ours, theirs in zip(our_logits(checkpoint.model, [i for _, i in batch]), expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
    for name, inputs in batch:
        assert greedy(checkpoint, [inputs], 12)[0] == published_greedy(oracle, name, inputs, 12)
    visuals = batch[-1][1].visuals
    pixels = torch.cat([normalise(v.patches, v.mean, v.std) for v in visuals])
    with torch.no_grad():
        features = oracle.model.vision_model(
            pixel_values=pixels,
            grid_thw=torch.tensor([visual.grid for visual in visuals]),
            merge_sizes=torch.tensor([visual.merge for visual in visuals]),
        ).last_hidden_state
        torch.testing.assert_close(checkpoint.model.see(visuals), oracle.model.projector(features), atol=1e-4, rtol=0)
