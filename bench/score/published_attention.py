"""Attention with relative positions in the form of the published AutoFormer code: a vector for every pair of tokens.

`lswag_fast.spaces` computes the same function from row and column tables, without a (T, T, 64) tensor. This form is
here because it is what the published networks run: a training step of it spends more on the tables' gradients.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lswag_fast.spaces.autoformer.model import HEAD_DIM, Attention, RelativePosition2D


def pair_vectors(tables: RelativePosition2D, index: Tensor) -> Tensor:
    """The vector of each pair of tokens (T, T, 64): its row's plus its column's; the class token uses row 0."""
    grid = index.shape[-1]
    vertical = index[0].repeat_interleave(grid, dim=1)
    horizontal = index[1].repeat(1, grid)
    class_column = vertical.new_zeros(vertical.shape[0], 1)
    vertical = torch.cat([class_column, vertical], dim=1)
    horizontal = torch.cat([class_column, horizontal], dim=1)
    return tables.embeddings_table_v[vertical] + tables.embeddings_table_h[horizontal]


class PublishedAttention(nn.Module):
    """Wraps an `Attention` and its parameters; same function, published order of operations."""

    def __init__(self, inner: Attention) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        """Map x (B, T, E) to (B, T, E)."""
        inner = self.inner
        n_samples, n_tokens, _ = x.shape
        heads = inner.num_heads
        qkv = inner.qkv(x).reshape(n_samples, n_tokens, 3, heads, HEAD_DIM).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        logits = (q @ k.transpose(-2, -1)) * inner.scale
        by_query = q.permute(2, 0, 1, 3).reshape(n_tokens, n_samples * heads, HEAD_DIM)
        relative = by_query @ pair_vectors(inner.rel_pos_embed_k, index).transpose(1, 2)
        logits = logits + relative.transpose(0, 1).reshape(n_samples, heads, n_tokens, n_tokens) * inner.scale
        attention = logits.softmax(dim=-1)
        out = (attention @ v).transpose(1, 2).reshape(n_samples, n_tokens, -1)
        by_query = attention.permute(2, 0, 1, 3).reshape(n_tokens, n_samples * heads, n_tokens)
        relative = by_query @ pair_vectors(inner.rel_pos_embed_v, index)
        relative = relative.transpose(0, 1).reshape(n_samples, heads, n_tokens, HEAD_DIM)
        return inner.proj(out + relative.transpose(1, 2).reshape(n_samples, n_tokens, -1))


def with_published_attention(model: nn.Module) -> nn.Module:
    """Put the published form into every block of an AutoFormer network, in place; returns the network."""
    for block in model.blocks:
        block.attn = PublishedAttention(block.attn)
    return model
