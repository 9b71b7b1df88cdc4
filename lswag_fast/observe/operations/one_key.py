"""Attention over a single key: the softmax of one number is 1, so that the output is the value, whatever the query.

torch's fused kernels compute the gradient of query and key as a difference that is zero in theory and a rounding error
in practice. The inverse of its standard deviation would dominate a score, and nothing about the weights that made
query and key tells it from a good gradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.observe.weights import MATRIX_DIMS

ATTEND = F.scaled_dot_product_attention
_NAMES = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")


def attend_to_one_key(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor | None:
    """Compute `F.scaled_dot_product_attention` with its arguments; None where there is more than one key.

    Example:
        >>> query, key, value = torch.randn(2, 5, 3), torch.randn(2, 1, 3), torch.randn(2, 1, 4)
        >>> torch.equal(attend_to_one_key((query, key, value), {}), value.expand(2, 5, 4))
        True
    """
    given: dict[str, Any] = dict(zip(_NAMES, args, strict=False)) | dict(kwargs)
    query, key, value, mask = given["query"], given["key"], given["value"], given.get("attn_mask")
    if key.dim() < MATRIX_DIMS or key.shape[-2] != 1 or given.get("dropout_p") or given.get("enable_gqa"):
        return None
    if mask is not None and not bool((mask if mask.dtype == torch.bool else mask.isfinite()).all()):
        return None  # a query that may look at nothing
    per_query: Tensor = value + value.new_zeros(*query.shape[:-1], 1)
    return per_query
