"""Parameters and multiply-accumulates of an AutoFormer network in closed form.

With E the embedding width, a the attention width, h that of one of its heads, f the hidden width of the MLP, T tokens,
P = T - 1 patches, g the patches along one side, p the patch side and K classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lswag_fast.spaces.autoformer.model import Geometry
from lswag_fast.spaces.layers import IN_CHANNELS

TABLES_PER_BLOCK = 4
"""Vertical and horizontal, for keys and for values."""


def hidden_dim(embed_dim: int, mlp_ratio: float) -> int:
    """Return the hidden width of the MLP, rounded down as the published code does."""
    return int(embed_dim * mlp_ratio)


def attention_params(geometry: Geometry, embed_dim: int, attention: int, head_dim: int) -> int:
    """Return the parameters of q, k, v and projection but for the last bias, 4 a E + 3 a, and of the relative tables.

    Both arguments enter linearly: sums over the blocks of a and of h give the parameters of all blocks.
    """
    return attention * (4 * embed_dim + 3) + TABLES_PER_BLOCK * geometry.table_rows * head_dim


def n_params(geometry: Geometry, embed_dim: int, depth: int, attention: int, hidden: int) -> int:
    """Return the number of parameters; `attention` are those of `attention_params`, `hidden` the sum of f over blocks.

    A block has, beside its attention, 2 f E + f for the MLP, and 6 E for the two norms and the biases of width E.
    Outside: patch projection, class token, positions, final norm, head.
    """
    blocks = attention + hidden * (2 * embed_dim + 1) + depth * 6 * embed_dim
    patch = embed_dim * (IN_CHANNELS * geometry.patch_size**2 + 1)
    tokens = embed_dim * (1 + geometry.n_tokens)
    head = (embed_dim + 1) * geometry.num_classes
    return blocks + patch + tokens + 2 * embed_dim + head


def macs(geometry: Geometry, embed_dim: int, attention: int, hidden: int) -> int:
    """Return the multiply-accumulates of one image; `attention` and `hidden` are sums of a and f over the blocks.

    Counted: patch projection P E 3 p^2; per block q-k-v and projection 4 T E a, attention products (q k and attention
    times v) 2 T^2 a, relative positions of keys and values 2 T (2 g + 1) a, MLP 2 T E f; head E K. Not counted: norms,
    softmax, GELU, biases and other additions. The published code's own figure differs: it counts norms, two further
    tokens and the relative products in another way.
    """
    n_tokens = geometry.n_tokens
    per_attention_width = n_tokens * (4 * embed_dim + 2 * n_tokens + 2 * (2 * geometry.grid + 1))
    patch = geometry.n_patches * embed_dim * IN_CHANNELS * geometry.patch_size**2
    mlp = 2 * n_tokens * embed_dim * hidden
    return patch + attention * per_attention_width + mlp + embed_dim * geometry.num_classes


def n_params_values(
    geometry: Geometry,
    embed_dims: Sequence[int],
    depths: Sequence[int],
    attentions: Sequence[tuple[int, int]],
    mlp_ratios: Sequence[float],
) -> tuple[int, ...]:
    """Return every parameter count of the space, ascending; the blocks enter only through the sums of their choices.

    `attentions` are pairs (a, h).
    """
    values = set()
    for embed_dim in embed_dims:
        of_attention = [attention_params(geometry, embed_dim, width, head_dim) for width, head_dim in attentions]
        widths = [hidden_dim(embed_dim, ratio) for ratio in mlp_ratios]
        for depth in depths:
            hidden_sums = _sums(widths, depth)
            for attention in _sums(of_attention, depth):
                values |= {n_params(geometry, embed_dim, depth, attention, hidden) for hidden in hidden_sums}
    return tuple(sorted(values))


def _sums(choices: Iterable[int], n_terms: int) -> set[int]:
    """Return all sums of `n_terms` values of `choices`."""
    choices = tuple(choices)
    sums = {0}
    for _ in range(n_terms):
        sums = {total + choice for total in sums for choice in choices}
    return sums
