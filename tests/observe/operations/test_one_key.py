"""Attention over one key is its value, and everything else is left to torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.observe.operations.one_key import attend_to_one_key

Q, K, V = torch.randn(2, 3, 5, 4), torch.randn(2, 3, 1, 4), torch.randn(2, 3, 1, 6)


@pytest.mark.parametrize(
    "arguments",
    [
        {"query": Q, "key": K, "value": V},
        {"query": Q, "key": K, "value": V, "scale": 3.0},
        {"query": Q, "key": K, "value": V, "attn_mask": torch.ones(5, 1, dtype=torch.bool)},
        {"query": Q, "key": K, "value": V, "attn_mask": torch.randn(5, 1)},
        {"query": Q[0], "key": K[0], "value": V[0]},
    ],
)
def test_it_is_what_torch_computes(arguments: dict[str, Tensor]) -> None:
    found = attend_to_one_key((), arguments)
    torch.testing.assert_close(found, F.scaled_dot_product_attention(**arguments))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("args", "more"),
    [
        ((Q, Q, Q), {}),
        ((Q, K, V), {"dropout_p": 0.1}),
        ((Q, K, V), {"attn_mask": torch.zeros(5, 1, dtype=torch.bool)}),
        ((Q, K, V, torch.full((5, 1), -torch.inf)), {}),
        ((Q, K, V), {"enable_gqa": True}),
    ],
)
def test_other_calls_are_not_its(args: tuple[Any, ...], more: dict[str, Any]) -> None:
    assert attend_to_one_key(args, more) is None
