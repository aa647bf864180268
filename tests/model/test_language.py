"""The decoder: packing, caching and splicing change nothing about a sequence."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model.test_vision import random_visual
from tests.tiny import tiny_config, tiny_model
from vl3.config import RopeScaling
from vl3.model.attention import causal_attention
from vl3.model.rope import token_rope

MODEL = tiny_model()


def embeddings(lengths: list[int], seed: int = 0) -> torch.Tensor:
    return torch.randn(sum(lengths), 64, generator=torch.Generator().manual_seed(seed))


@given(lengths=st.lists(st.integers(1, 17), min_size=1, max_size=5))
@settings(max_examples=25, deadline=None)
@torch.no_grad()
def test_packed_sequences_equal_each_alone(lengths: list[int]) -> None:
    x = embeddings(lengths)
    packed = MODEL.language(x, lengths)
    alone = torch.cat([MODEL.language(part, [part.shape[0]]) for part in x.split(lengths)])
    torch.testing.assert_close(packed, alone, atol=1e-5, rtol=0)


@given(cuts=st.lists(st.lists(st.integers(1, 9), min_size=2, max_size=4), min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
@torch.no_grad()
def test_any_chunks_through_the_cache_equal_one_pass(cuts: list[list[int]]) -> None:
    """Sequences of several chunks each, chunk k of all of them packed into one forward pass."""
    sequences = [embeddings([sum(chunks)], seed) for seed, chunks in enumerate(cuts)]
    caches = [MODEL.new_cache(capacity=1) for _ in cuts]
    outputs: list[list[torch.Tensor]] = [[] for _ in cuts]
    for k in range(max(map(len, cuts))):
        members = [i for i, chunks in enumerate(cuts) if k < len(chunks)]
        pieces = [sequences[i].split(cuts[i])[k] for i in members]
        lengths = [piece.shape[0] for piece in pieces]
        hidden = MODEL.language(torch.cat(pieces), lengths, [caches[i] for i in members])
        for i, part in zip(members, hidden.split(lengths), strict=True):
            outputs[i].append(part)
    for x, parts in zip(sequences, outputs, strict=True):
        torch.testing.assert_close(torch.cat(parts), MODEL.language(x, [x.shape[0]]), atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_cache_may_be_cut_back_and_continued() -> None:
    x = embeddings([12])
    cache = MODEL.new_cache(4)
    MODEL.language(x, [12], [cache])
    cache.truncate(5)
    again = MODEL.language(x[5:], [7], [cache])
    torch.testing.assert_close(again, MODEL.language(x, [12])[5:], atol=1e-5, rtol=0)


def test_attention_equals_a_float64_softmax() -> None:
    lengths = [3, 1, 6]
    q, k, v = (torch.randn(10, heads, 8) for heads in (4, 2, 2))
    ours = causal_attention(q, k, v, lengths)
    start = 0
    for n in lengths:
        part = slice(start, start + n)
        keys, values = (x[part].double().repeat_interleave(2, dim=1) for x in (k, v))
        scores = torch.einsum("qhe,khe->hqk", q[part].double(), keys) / 8**0.5
        scores = scores.masked_fill(torch.ones(n, n).triu(1).bool(), float("-inf"))
        expected = torch.einsum("hqk,khe->qhe", scores.softmax(-1), values)
        torch.testing.assert_close(ours[part].double(), expected, atol=1e-5, rtol=0)
        start += n


def test_llama3_scaling_equals_the_published_rule() -> None:
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    scaling = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0}
    scaling |= {"high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    config = LlamaConfig(hidden_size=128, num_attention_heads=1, rope_parameters=scaling)
    positions = torch.tensor([0, 1, 100, 9000, 60000])
    cos, sin = LlamaRotaryEmbedding(config)(torch.zeros(1, 5, 1), positions[None])
    ours = token_rope(positions, 128, 5e5, RopeScaling())
    torch.testing.assert_close(ours[0], cos[0], atol=2e-3, rtol=0)  # at angle 60000 float32 itself is off by 4e-3
    torch.testing.assert_close(ours[1], sin[0], atol=2e-3, rtol=0)


@torch.no_grad()
def test_splicing_puts_each_token_in_its_place() -> None:
    visuals = [random_visual(1, 2, 3, 1, seed=1), random_visual(3, 2, 4, 2, seed=2, keep=0.5)]
    features = MODEL.see(visuals)
    ids = torch.tensor([7, *[260] * 6, 8, *[260] * (features.shape[0] - 6), 9])
    mask = ids == 260
    hidden = MODEL(ids, [len(ids)], visuals, mask)
    x = MODEL.language.embed_tokens(ids)
    x[1:7], x[8:-1] = features[:6], features[6:]
    torch.testing.assert_close(hidden, MODEL.language(x, [len(ids)]))


def test_a_count_mismatch_names_both_numbers() -> None:
    mask = torch.tensor([True, True, False])
    with pytest.raises(ValueError, match=r"2 placeholders .* 6 visual tokens"):
        MODEL(torch.zeros(3, dtype=torch.long), [3], [random_visual(1, 2, 3, 1)], mask)


def test_untied_and_llama_models_run() -> None:
    for config in (tiny_config(tie=False), tiny_config(family="llama")):
        model = tiny_model(config)
        assert model.logits(model(torch.arange(5), [2, 3])).shape == (5, 272)
        assert ("language.lm_head.weight" in model.state_dict()) != config.language.tie_embeddings


def test_checkpointing_changes_no_gradient() -> None:
    gradients = []
    for checkpointing in (False, True):
        model = tiny_model()
        model.vision.checkpointing = model.language.checkpointing = checkpointing
        visual = random_visual(2, 2, 4, 2)
        ids = torch.tensor([7, 260, 260, 260, 260, 9])
        model(ids, [6], [visual], ids == 260).square().sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    assert gradients[0]["vision.patch_embedding.weight"].abs().sum() > 0
    for name, gradient in gradients[0].items():
        assert torch.equal(gradient, gradients[1][name]), name
