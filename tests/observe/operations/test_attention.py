"""The copy of torch's attention bound to another `linear`, and where the samples are inside it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast.observe.operations.attention import ATTENTION, attention_candidates, attention_with
from lswag_fast.observe.samples.axis import AxisCandidates, SampleAxis
from support.observing import observed

T, B, E = 5, 3, 4


def arguments(attention: nn.MultiheadAttention, query: Tensor, memory: Tensor) -> tuple[Any, ...]:
    """The positional arguments of `F.multi_head_attention_forward`."""
    a = attention
    return (
        query, memory, memory, a.embed_dim, a.num_heads, a.in_proj_weight, a.in_proj_bias, a.bias_k, a.bias_v,
        a.add_zero_attn, a.dropout, a.out_proj.weight, a.out_proj.bias,
    )  # fmt: skip


@pytest.mark.parametrize("memory_length", [T, 7])
def test_the_copy_computes_the_same_and_calls_the_given_linear(memory_length: int) -> None:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(E, 2, add_bias_kv=True)
    query = torch.randn(T, B, E)
    memory = query if memory_length == T else torch.randn(memory_length, B, E)
    seen: list[Tensor] = []

    def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        seen.append(x)
        return F.linear(x, weight, bias)

    given = arguments(attention, query, memory)
    outputs, expected = attention_with(linear)(*given), ATTENTION(*given)
    assert torch.equal(outputs[0], expected[0])
    assert torch.equal(outputs[1], expected[1])
    assert [tuple(x.shape) for x in seen] == [
        (T, B, E), *([] if memory_length == T else [(memory_length, B, E)]), (T * B, E)
    ]  # fmt: skip
    assert vars(F)["linear"] is F.linear


@pytest.mark.parametrize(
    ("x", "query", "options"),
    [
        ((T, B, E), (T, B, E), [SampleAxis(1)]),
        ((7, B, E), (T, B, E), [SampleAxis(1)]),
        ((T * B, E), (T, B, E), [SampleAxis(0, T, 1)]),
        ((B, B, E), (B, B, E), [SampleAxis(1)]),
        ((B * B, E), (B, B, E), [SampleAxis(0, B, 1)]),
        ((T, 2 * B, E), (T, 2 * B, E), [SampleAxis(1, 1, 2), SampleAxis(1, 2, 1)]),
        ((T * 2 * B, E), (T, 2 * B, E), [SampleAxis(0, T, 2), SampleAxis(0, 2 * T, 1)]),
        ((T, B + 1, E), (T, B + 1, E), []),
        ((T, E), (T, E), []),
    ],
)
def test_places_inside_attention_by_size(x, query, options) -> None:
    assert attention_candidates(torch.zeros(x), torch.zeros(query), B) == AxisCandidates(tuple(options), certain=False)


@pytest.mark.parametrize(
    ("x", "known", "expected"),
    [
        ((T, 2 * B, E), SampleAxis(1, 2, 1), SampleAxis(1, 2, 1)),
        ((T * 2 * B, E), SampleAxis(1, 2, 1), SampleAxis(0, 2 * T, 1)),
        ((T * 2 * B, E), SampleAxis(0), None),  # attention over the samples
    ],
)
def test_places_inside_attention_by_what_is_known_of_the_query(x, known, expected) -> None:
    found = attention_candidates(torch.zeros(x), torch.zeros(T, 2 * B, E), B, known)
    assert found == AxisCandidates(() if expected is None else (expected,), certain=expected is not None)


def test_rows_of_the_out_projection_are_time_major() -> None:
    """(T*B, E): row t*B + b belongs to sample b."""
    (sample_axis,) = attention_candidates(torch.zeros(T * B, E), torch.zeros(T, B, E), B).options
    rows = torch.arange(T * B).reshape(T, B)
    assert torch.equal(sample_axis.rows_of(1, B).nonzero().flatten(), rows[:, 1])


def test_the_packed_weight_of_a_cross_attention_comes_in_two_pieces() -> None:
    class Cross(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attn = nn.MultiheadAttention(E, 2)

        def forward(self, x: Tensor, memory: Tensor) -> Tensor:
            memory = memory.transpose(0, 1)
            return self.attn(x.transpose(0, 1), memory, memory)[0].transpose(0, 1)

    observation, _ = observed(Cross(), (torch.randn(B, T, E), torch.randn(B, 7, E)), B)
    assert [(w.name, tuple(w.view.shape)) for w in observation.weights] == [
        ("attn.in_proj_weight", (E, E)),
        ("attn.in_proj_weight", (2 * E, E)),
        ("attn.out_proj.weight", (E, E)),
    ]
