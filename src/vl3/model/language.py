"""The decoder: Qwen2/Qwen2.5 (arXiv 2412.15115) and the Llama family, which differ in biases and rotary scaling only.

Sequences are packed back to back without padding; each continues from its own cache when caches are given.

Shapes: T tokens of all sequences, D hidden_size, H query heads, J key/value heads, E head_dim, V vocabulary.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vl3.config import LanguageConfig
from vl3.model.attention import branch_mask, cached_attention, causal_attention
from vl3.model.cache import KVCache
from vl3.model.rope import Rope, rotate, token_rope


class LanguageModel(nn.Module):
    """Embeddings -> hidden states -> logits."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.config = config
        self.checkpointing = False
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.num_layers))
        self.norm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.lm_head: nn.Module | None = None
        if not config.tie_embeddings:
            self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    def forward(
        self,
        x_TD: Tensor,
        lengths: list[int],
        caches: list[KVCache] | None = None,
        branches: Sequence[Sequence[int]] | None = None,
    ) -> Tensor:
        """Embeddings [T, D] of packed sequences -> final normed hidden states [T, D].

        Positions of a sequence count from the length of its cache (0 without one). branches: for each sequence the
        lengths of its trunk and of the branches that all go on from its end, each as if it were alone; empty for none.
        """
        assert sum(lengths) == x_TD.shape[0], f"lengths {lengths} for {x_TD.shape[0]} tokens"
        assert caches is None or branches is None, "a sequence that branches has no cache"
        starts = [0] * len(lengths) if caches is None else [cache.length for cache in caches]
        positions = [torch.arange(a, a + n, device=x_TD.device) for a, n in zip(starts, lengths, strict=True)]
        masks: list[Tensor | None] = [None] * len(lengths)
        for index, branching in enumerate(branches or []):
            if branching:
                assert sum(branching) == lengths[index], f"branches {branching} of {lengths[index]} tokens"
                runs = [(0, branching[0]), *((branching[0], n) for n in branching[1:])]
                positions[index] = torch.cat([torch.arange(a, a + n, device=x_TD.device) for a, n in runs])
                masks[index] = branch_mask(branching, x_TD.device)
        config = self.config
        cos, sin = token_rope(torch.cat(positions), config.head_dim, config.rope_theta, config.rope_scaling)
        rope = cos.to(x_TD.dtype), sin.to(x_TD.dtype)  # as published: the turn itself is in the model's dtype
        for cache, n in zip(caches or [], lengths, strict=caches is not None):
            cache.reserve(cache.length + n)
        for index, layer in enumerate(self.layers):
            if self.checkpointing and torch.is_grad_enabled():
                x_TD = checkpoint(layer, x_TD, rope, lengths, caches, index, masks, use_reentrant=False)
            else:
                x_TD = layer(x_TD, rope, lengths, caches, index, masks)
        for cache, n in zip(caches or [], lengths, strict=caches is not None):
            cache.advance(n)
        return self.norm(x_TD)

    def logits(self, hidden_nD: Tensor) -> Tensor:
        """Scores over the vocabulary [n, V] for the hidden states that need them."""
        return F.linear(hidden_nD, self.embed_tokens.weight) if self.lm_head is None else self.lm_head(hidden_nD)


class DecoderLayer(nn.Module):
    """Pre-norm block: grouped-query attention, then a gated MLP."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.self_attn = CausalAttention(config)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.mlp = GatedMLP(config)

    def forward(
        self,
        x_TD: Tensor,
        rope: Rope,
        lengths: list[int],
        caches: list[KVCache] | None,
        layer: int,
        masks: list[Tensor | None],
    ) -> Tensor:
        x_TD = x_TD + self.self_attn(self.input_layernorm(x_TD), rope, lengths, caches, layer, masks)
        return x_TD + self.mlp(self.post_attention_layernorm(x_TD))


class CausalAttention(nn.Module):
    """Causal grouped-query attention with rotary positions."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        queries, keys = config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
        self.q_proj = nn.Linear(config.hidden_size, queries, bias=config.qkv_bias)
        self.k_proj = nn.Linear(config.hidden_size, keys, bias=config.qkv_bias)
        self.v_proj = nn.Linear(config.hidden_size, keys, bias=config.qkv_bias)
        self.o_proj = nn.Linear(queries, config.hidden_size, bias=False)
        self.qkv_proj: nn.Module | None = None
        self._widths = [queries, keys, keys]

    def fuse(self, qkv_proj: nn.Module) -> None:
        """Puts one layer in place of the three: [T, D] -> queries, keys and values side by side."""
        del self.q_proj, self.k_proj, self.v_proj
        self.qkv_proj = qkv_proj

    def forward(
        self,
        x_TD: Tensor,
        rope: Rope,
        lengths: list[int],
        caches: list[KVCache] | None,
        layer: int,
        masks: list[Tensor | None],
    ) -> Tensor:
        q_THE, k_TJE, v_TJE = (x.unflatten(-1, (-1, self.head_dim)) for x in self._project(x_TD))
        q_THE, k_TJE = rotate(q_THE, rope), rotate(k_TJE, rope)
        if caches is None:
            out_THE = causal_attention(q_THE, k_TJE, v_TJE, lengths, masks)
        else:
            out_THE = cached_attention(q_THE, k_TJE, v_TJE, lengths, caches, layer)
        return self.o_proj(out_THE.flatten(1))

    def _project(self, x_TD: Tensor) -> tuple[Tensor, ...]:
        if self.qkv_proj is not None:
            return self.qkv_proj(x_TD).split(self._widths, dim=-1)
        return self.q_proj(x_TD), self.k_proj(x_TD), self.v_proj(x_TD)


class GatedMLP(nn.Module):
    """SwiGLU (arXiv 2002.05202)."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)
        self.gate_up_proj: nn.Module | None = None

    def fuse(self, gate_up_proj: nn.Module) -> None:
        """Puts one layer in place of the first two: [T, D] -> gates and values side by side."""
        del self.gate_proj, self.up_proj
        self.gate_up_proj = gate_up_proj

    def forward(self, x_TD: Tensor) -> Tensor:
        if self.gate_up_proj is not None:
            gate, up = self.gate_up_proj(x_TD).chunk(2, dim=-1)
        else:
            gate, up = self.gate_proj(x_TD), self.up_proj(x_TD)
        return self.down_proj(F.silu(gate) * up)
