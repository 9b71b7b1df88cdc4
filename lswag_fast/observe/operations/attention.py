"""Observing the linear calls inside `F.multi_head_attention_forward`.

The function is a composite: a function mode sees the outer call only. A copy of it is run whose global name
`linear` is the observer's. (Entering the mode again around the original would recurse for ever.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, cast

import torch.nn.functional as F
from torch import Tensor

from lswag_fast.observe.operations.operation import CallObserver
from lswag_fast.observe.samples.axis import AxisCandidates, Place, SampleAxis

Linear = Callable[..., Tensor]

ATTENTION = F.multi_head_attention_forward
_HELPERS = ("_in_projection", "_in_projection_packed")
"""Functions of torch.nn.functional that call `linear` on behalf of the attention function."""

_SEQUENCES_DIM = 3  # (T, N, E)


def _rebound(function: FunctionType, namespace: dict[str, Any]) -> FunctionType:
    copy = FunctionType(function.__code__, namespace, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def attention_with(linear: Linear) -> Callable[..., Any]:
    """`F.multi_head_attention_forward` with `linear` in place of `F.linear`."""
    namespace = dict(vars(F))
    namespace["linear"] = linear
    # A mode of the user's around the observer's, such as a default device, would ask for the original function.
    namespace["has_torch_function"] = lambda _: False
    for name in _HELPERS:
        namespace[name] = _rebound(cast(FunctionType, getattr(F, name)), namespace)
    return _rebound(cast(FunctionType, ATTENTION), namespace)


def observe_attention(observer: CallObserver, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Run an attention call with its linear calls observed; an entry of `COMPOSITES`."""
    query = args[0] if args else kwargs["query"]

    def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        known = observer.place_of(query)
        if isinstance(known, SampleAxis) and known.axis == 0 and query.dim() == _SEQUENCES_DIM:
            candidates = _across_samples(observer.place_of(x), x, known, query.shape[1])
        else:
            candidates = attention_candidates(x, query, observer.n_samples, known)
        return observer.inner_call(F.linear, (x, weight, bias), candidates)

    return attention_with(linear)(*args, **kwargs)


def _across_samples(place: Place | None, x: Tensor, of_query: SampleAxis, n_sequences: int) -> AxisCandidates:
    """Where the samples lie inside attention that takes them for time: as in its operands, then in rows (T*N, E)."""
    if x.dim() < _SEQUENCES_DIM:
        place = SampleAxis(0, of_query.outer, of_query.inner * n_sequences)
    return AxisCandidates(() if place is None else (place,), certain=place is not None)


def attention_candidates(x: Tensor, query: Tensor, n_samples: int, known: Place | None = None) -> AxisCandidates:
    """Where the samples lie in the input of a linear call inside attention on `query` (T, N, E).

    The in-projections see (T, N, E), the out-projection (T*N, E) with rows t-major. N is B, or a multiple of it
    (windows), whose order is open unless it is `known` of the query; an unbatched (T, E) query has no sample axis.
    """
    is_batched = query.dim() == 3 and query.shape[1] % n_samples == 0  # (T, N, E)
    if not is_batched or not (known is None or (isinstance(known, SampleAxis) and known.axis == 1)):
        return AxisCandidates((), certain=False)
    time, k = query.shape[0], query.shape[1] // n_samples
    orders = ((1, k), (k, 1)) if k > 1 else ((1, 1),)
    if isinstance(known, SampleAxis):
        orders = ((known.outer, known.inner),)
    in_projection = x.dim() == 3  # (T, N, E)
    options = tuple(SampleAxis(1, o, i) if in_projection else SampleAxis(0, time * o, i) for o, i in orders)
    return AxisCandidates(options, certain=known is not None)
