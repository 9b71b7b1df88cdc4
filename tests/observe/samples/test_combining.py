"""Which calls bring samples together, and which only look like it: said by the rules, and seen in the values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.observe.samples.axis import SampleAxis
from lswag_fast.observe.samples.call import Call, Certainty, Mixed
from lswag_fast.observe.samples.rules import RULES

B, T, C = 4, 3, 6
SURE, LIKELY = Certainty.SURE, Certainty.LIKELY

Made = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]
Make = Callable[[Tensor], Made]

# What is called on x, whose samples lie along the given axis, and how certain it is that it mixes them.
MIXING: dict[str, tuple[Make, int, Certainty]] = {
    "sum": (lambda x: (torch.sum, (x, 0), {}), 0, SURE),
    "sum, axis kept": (lambda x: (Tensor.sum, (x,), {"dim": (0, 2), "keepdim": True}), 0, SURE),
    "mean over all": (lambda x: (Tensor.mean, (x,), {}), 0, SURE),
    "biased variance over all": (lambda x: (Tensor.var, (x, False), {}), 0, SURE),
    "norm": (lambda x: (torch.norm, (x,), {}), 0, SURE),
    "vector norm": (lambda x: (torch.linalg.vector_norm, (x,), {"dim": 1}), 1, SURE),
    "largest": (lambda x: (torch.max, (x, 0), {}), 0, SURE),
    "quantile": (lambda x: (torch.quantile, (x, 0.5), {"dim": 0}), 0, SURE),
    "softmax": (lambda x: (F.softmax, (x,), {"dim": 1}), 1, SURE),
    "softmax of three axes without dim": (lambda x: (F.softmax, (x,), {"_stacklevel": 5}), 0, SURE),
    "cumsum": (lambda x: (torch.cumsum, (x, -3), {}), 0, SURE),
    "cummax": (lambda x: (torch.cummax, (x, 0), {}), 0, SURE),
    "normalize": (lambda x: (F.normalize, (x,), {}), 1, SURE),
    "layer_norm": (lambda x: (F.layer_norm, (x, x.shape[1:]), {}), 1, SURE),
    "group_norm": (lambda x: (F.group_norm, (x, 3), {}), 2, SURE),
    "group_norm of samples as channels": (lambda x: (F.group_norm, (x, 2), {}), 1, SURE),
    "instance_norm": (lambda x: (F.instance_norm, (x,), {}), 2, SURE),
    "local_response_norm": (lambda x: (F.local_response_norm, (x, 2), {}), 1, SURE),
    "sort": (lambda x: (torch.sort, (x,), {}), 2, SURE),
    "topk": (lambda x: (torch.topk, (x, 2, 0), {}), 0, SURE),
    "fft": (lambda x: (torch.fft.fft, (x,), {"dim": 0}), 0, SURE),
    "fftn": (lambda x: (torch.fft.fftn, (x,), {}), 1, SURE),
    "baddbmm": (lambda x: (torch.baddbmm, (torch.ones(2, C, C), x.clone().mT, x), {}), 1, LIKELY),
    "gather": (lambda x: (torch.gather, (x, 0, x.argsort(0)), {}), 0, SURE),
    "roll of all elements": (lambda x: (torch.roll, (x, 1), {}), 0, SURE),
    "flip": (lambda x: (torch.flip, (x, (1,)), {}), 1, SURE),
    "product": (lambda x: (torch.matmul, (torch.ones(5, B), x), {}), 1, LIKELY),
    "product of all pairs": (lambda x: (torch.matmul, (x, x.clone().transpose(1, 2)), {}), 1, LIKELY),
    "einsum": (lambda x: (torch.einsum, ("btc,bsc->ts", x, x), {}), 0, LIKELY),
    "attention": (lambda x: (F.scaled_dot_product_attention, (x, x, x), {}), 1, LIKELY),
    "attention over time": (lambda x: (F.multi_head_attention_forward, _HEADS(x), {}), 0, LIKELY),
    "a recurrent layer": (lambda x: (torch.gru, _layer(x, batch_first=True), {}), 1, SURE),
}  # fmt: skip

# The same calls, with the samples elsewhere.
APART: dict[str, tuple[Make, int]] = {
    "sum": (lambda x: (torch.sum, (x, (1, 2)), {}), 0),
    "norm": (lambda x: (torch.norm, (x,), {"dim": 1}), 0),
    "the larger of two": (lambda x: (torch.max, (x, x.clone()), {}), 0),
    "softmax": (lambda x: (F.softmax, (x,), {"dim": -1}), 1),
    "cumsum": (lambda x: (torch.cumsum, (x, 1), {}), 0),
    "layer_norm": (lambda x: (F.layer_norm, (x, x.shape[2:]), {}), 1),
    "group_norm": (lambda x: (F.group_norm, (x, 3), {}), 0),
    "group_norm of samples as channels": (lambda x: (F.group_norm, (x, B), {}), 1),
    "instance_norm": (lambda x: (F.instance_norm, (x,), {}), 1),
    "sort": (lambda x: (torch.sort, (x,), {}), 1),
    "topk": (lambda x: (torch.topk, (x, 2), {"dim": 1}), 0),
    "fft": (lambda x: (torch.fft.fft, (x,), {}), 1),
    "fftn": (lambda x: (torch.fft.fftn, (x,), {"dim": (1, 2)}), 0),
    "baddbmm": (lambda x: (torch.baddbmm, (torch.ones(1, T, T), x, x.clone().mT), {}), 0),
    "roll": (lambda x: (torch.roll, (x, 1, 2), {}), 1),
    "flip": (lambda x: (torch.flip, (x, (0, 2)), {}), 1),
    "product": (lambda x: (torch.matmul, (x, torch.ones(C, 2)), {}), 1),
    "product of a batch": (lambda x: (torch.matmul, (x, x.clone().transpose(1, 2)), {}), 0),
    "einsum": (lambda x: (torch.einsum, ("btc,bsc->bts", x, x), {}), 0),
    "attention": (lambda x: (F.scaled_dot_product_attention, (x, x, x), {}), 0),
    "attention to what comes from no sample": (
        lambda x: (F.scaled_dot_product_attention, (x, *[torch.ones(2, 5, C)] * 2), {}), 1
    ),
    "a recurrent layer": (lambda x: (torch.gru, _layer(x, batch_first=False), {}), 1),
}  # fmt: skip


def _HEADS(x: Tensor) -> tuple[Any, ...]:  # noqa: N802 - a table's entry
    """The arguments of attention with two heads on x (T, N, E)."""
    layer = torch.nn.MultiheadAttention(C, 2)
    out = layer.out_proj
    return (x, x, x, C, 2, layer.in_proj_weight, layer.in_proj_bias, None, None, False, 0.0, out.weight, out.bias)


def _layer(x: Tensor, batch_first: bool) -> tuple[Any, ...]:
    layer = torch.nn.GRU(C, C)
    weights = [weight for _, weight in layer.named_parameters()]
    return (x, torch.zeros(1, x.shape[0 if batch_first else 1], C), weights, True, 1, 0.0, False, False, batch_first)


def arranged(axis: int) -> Tensor:
    """A batch (B, T, C), or with the samples along axis 1 (2, B, C) or 2 (2, C, B)."""
    torch.manual_seed(0)
    return torch.randn([(B, T, C), (2, B, C), (2, C, B)][axis])


def answer(make: Make, axis: int) -> tuple[Any, Tensor]:
    """What the rule says of the call on a batch with samples along `axis`, and the output."""
    x = arranged(axis)
    func, args, kwargs = make(x)
    out = func(*args, **kwargs)
    out = out if isinstance(out, Tensor) else out[0]
    known = [(tensor, SampleAxis(axis)) for tensor in args if tensor is x]
    known += [(tensor, _place_of(tensor, axis)) for tensor in args[1:] if _is_made_of(tensor, x)]
    return RULES[func](Call(args, kwargs, out, known, B)), out


def _is_made_of(value: Any, x: Tensor) -> bool:
    return isinstance(value, Tensor) and value is not x and value.is_floating_point() and value.numel() == x.numel()


def _place_of(tensor: Tensor, axis: int) -> SampleAxis:
    """Of a copy of x, or of one with its last axes swapped."""
    return SampleAxis(axis if tensor.shape[axis] == B else 2)


@pytest.mark.parametrize("name", MIXING)
def test_a_call_that_brings_samples_together_is_said_to(name: str) -> None:
    make, axis, certainty = MIXING[name]
    found, _ = answer(make, axis)
    assert isinstance(found, Mixed)
    assert found.certainty is certainty


MOVING = ("roll of all elements", "flip", "sort", "gather")


@pytest.mark.parametrize("name", [name for name in MIXING if name not in MOVING])
def test_and_it_does(name: str) -> None:
    """Its output does not hold the values that the samples give one by one, in whatever order."""
    make, axis, _ = MIXING[name]
    x = arranged(axis)
    whole = _output(make, x)
    alone = torch.cat([_output_or_none(make, x.narrow(axis, b, 1), whole) for b in range(B)])
    assert whole.numel() != alone.numel() or not torch.allclose(whole.flatten().sort()[0], alone.sort()[0], atol=1e-5)


def _output(make: Make, x: Tensor) -> Tensor:
    torch.manual_seed(2)
    func, args, kwargs = make(x)
    out = func(*args, **kwargs)
    out = out if isinstance(out, Tensor) else out[0]
    return out.abs() if out.is_complex() else out


def _output_or_none(make: Make, x: Tensor, like: Tensor) -> Tensor:
    """The elements of a sample's own output; none where the call does not run on it."""
    try:
        return _output(make, x).flatten()
    except (RuntimeError, ValueError):
        return like.new_empty(0)


@pytest.mark.parametrize("name", APART)
def test_a_call_along_other_axes_keeps_the_samples_apart(name: str) -> None:
    make, axis = APART[name]
    found, out = answer(make, axis)
    assert isinstance(found, SampleAxis)
    assert out.shape[found.axis] == B
