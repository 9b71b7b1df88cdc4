"""The tables of the calls of the torch API that the observer knows.

`OPERATIONS`: calls on a weight that give a statistic. `COMPOSITES`: calls that are observed by observing the calls
inside them. `UNOBSERVED`: calls on a weight that give none. `ACTIVATIONS`: activation functions. To observe one more
operation, write its `ObservedOperation` and list it in `_OBSERVED`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from lswag_fast.observe.operations.activations import ACTIVATIONS, is_activation
from lswag_fast.observe.operations.attention import ATTENTION, observe_attention
from lswag_fast.observe.operations.batch_norm import BATCH_NORMS, has_statistics, in_train_mode
from lswag_fast.observe.operations.convolution import CONV1D, CONV2D, CONV3D
from lswag_fast.observe.operations.linear import LINEAR
from lswag_fast.observe.operations.lookup import EMBEDDINGS, LOOKUP, one_hot
from lswag_fast.observe.operations.macs import MacCounter
from lswag_fast.observe.operations.matrices.grouped_linear import GROUPED_LINEAR
from lswag_fast.observe.operations.matrices.matrix_products import MATRIX_PRODUCTS
from lswag_fast.observe.operations.matrices.routed import GROUPED_PRODUCTS
from lswag_fast.observe.operations.operation import BoundCall, Composite, ObservedOperation
from lswag_fast.observe.operations.recurrent import RECURRENT
from lswag_fast.observe.operations.transposed import CONV_TRANSPOSE1D, CONV_TRANSPOSE2D, CONV_TRANSPOSE3D

__all__ = [
    "ACTIVATIONS",
    "BATCH_NORMS",
    "COMPOSITES",
    "LINEAR",
    "LOOKUP",
    "OPERATIONS",
    "UNOBSERVED",
    "BoundCall",
    "MacCounter",
    "ObservedOperation",
    "has_statistics",
    "in_train_mode",
    "is_activation",
    "one_hot",
    "unobserved_reason",
]

_OBSERVED = (
    LINEAR,
    GROUPED_LINEAR,
    LOOKUP,
    CONV1D,
    CONV2D,
    CONV3D,
    CONV_TRANSPOSE1D,
    CONV_TRANSPOSE2D,
    CONV_TRANSPOSE3D,
)

OPERATIONS: dict[Callable[..., Any], ObservedOperation] = {
    function: operation for operation in _OBSERVED for function in operation.functions
}
"""The observed functions of torch, each with what the observer needs to know of it."""

COMPOSITES: dict[Callable[..., Any], Composite] = {
    ATTENTION: observe_attention,
    **EMBEDDINGS,
    **MATRIX_PRODUCTS,
    **GROUPED_PRODUCTS,
    **RECURRENT,
}
"""Functions of torch that are observed by observing the calls inside them, each with what runs it; see `Composite`."""

UNOBSERVED: dict[Callable[..., Any], str] = {
    F.embedding: "a look-up that bounds the rows' norm or scales their gradients by frequency",
    F.embedding_bag: "a look-up in bags of several sizes, or of their largest values",
    **dict.fromkeys(
        (torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu), "a recurrent layer on sequences packed into one"
    ),
}  # fmt: skip
"""Functions that take a weight and give no statistic, with what they are."""


def unobserved_reason(function: Callable[..., Any]) -> str:
    """Why a weight that `function` receives has no exact statistic."""
    what = UNOBSERVED.get(function, "not a linear or convolution call")
    return f"used by {function.__name__}, which is {what}"
