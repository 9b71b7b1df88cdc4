"""The genes of the blocks of an AutoFormer network: drawn, redrawn, and taken from two parents."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, TypeAlias

from lswag_fast.spaces.autoformer.choices import Choices

Blocks: TypeAlias = dict[str, list[Any]]
"""By field, a value for each block."""


def drawn_blocks(choices: Choices, count: int, rng: random.Random) -> Blocks:
    """Draw so many blocks; the width of an attention uniformly from those that its heads can share."""
    blocks = {
        field: [rng.choice(getattr(choices, field)) for _ in range(count)] for field in ("mlp_ratio", "num_heads")
    }
    if choices.qkv_dim:
        blocks["qkv_dim"] = [rng.choice(choices.widths(heads)) for heads in blocks["num_heads"]]
    return blocks


def resized_blocks(choices: Choices, blocks: Mapping[str, list[Any]], depth: int, rng: random.Random) -> Blocks:
    """Return the first blocks, or all of them and random ones at the end."""
    further = drawn_blocks(choices, depth - len(blocks["num_heads"]), rng)
    return {field: (blocks[field] + further[field])[:depth] for field in further}


def mutated_blocks(choices: Choices, blocks: Mapping[str, list[Any]], m_prob: float, rng: random.Random) -> Blocks:
    """Redraw each gene with probability `m_prob`, and a width too where the heads that were redrawn cannot share it."""
    mutated = {
        field: [rng.choice(getattr(choices, field)) if rng.random() < m_prob else gene for gene in blocks[field]]
        for field in ("mlp_ratio", "num_heads")
    }
    if choices.qkv_dim:
        mutated["qkv_dim"] = [
            rng.choice(choices.widths(heads)) if width % heads or rng.random() < m_prob else width
            for width, heads in zip(blocks["qkv_dim"], mutated["num_heads"], strict=True)
        ]
    return mutated


def crossed_blocks(a: Mapping[str, list[Any]], b: Mapping[str, list[Any]], depth: int, rng: random.Random) -> Blocks:
    """Take each gene of a block from one of two parents, heads and their width together.

    Blocks that only the deeper parent has come from that parent.
    """
    if "qkv_dim" not in a:
        heads = _crossed(a["num_heads"], b["num_heads"], depth, rng)
        return {"num_heads": heads, "mlp_ratio": _crossed(a["mlp_ratio"], b["mlp_ratio"], depth, rng)}
    of_a, of_b = (list(zip(parent["num_heads"], parent["qkv_dim"], strict=True)) for parent in (a, b))
    num_heads, widths = zip(*_crossed(of_a, of_b, depth, rng), strict=True)
    ratios = _crossed(a["mlp_ratio"], b["mlp_ratio"], depth, rng)
    return {"num_heads": list(num_heads), "mlp_ratio": ratios, "qkv_dim": list(widths)}


def _crossed(a: list[Any], b: list[Any], depth: int, rng: random.Random) -> list[Any]:
    crossed = [rng.choice(pair) for pair in zip(a, b, strict=False)]
    deeper = a if len(a) > len(b) else b
    return (crossed + deeper[len(crossed) :])[:depth]
