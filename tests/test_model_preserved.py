"""Property: whatever network, option and failure, model and process are afterwards bit for bit what they were."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import lswag_fast
from lswag_fast import LswagError
from networks import NETWORKS, Network
from support.snapshot import assert_unchanged, snapshot


class InjectedError(Exception):
    """Raised on purpose somewhere inside a score."""


PLACES = ("nowhere", "forward", "loss", "backward")

OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "layers": st.sampled_from([(0, 10), (5, 10), (10, 10), (1, 2)]),
        "combine": st.sampled_from(["layerwise", "product", "log"]),
        "variance": st.sampled_from(["sample", "microbatch:2", "microbatch:3"]),
        "gradient": st.sampled_from(["abs", "signed"]),
        "pattern_samples": st.sampled_from(["auto", 1, 4, 50]),
        "row_fraction": st.sampled_from([0.3, 1.0]),
        "chunk_size": st.integers(1, 9),
        "seed": st.integers(0, 2**64 - 1),
        "nonfinite": st.sampled_from(["raise", "propagate"]),
    },
)


def inject(model: nn.Module, place: str, at: int) -> None:
    """Make the module number `at` fail in its forward, or in the backward of its output."""
    modules = [module for module in model.modules() if not list(module.children())] or [model]
    module = modules[at % len(modules)]

    def in_forward(*_: Any) -> None:
        raise InjectedError

    def in_backward(_module: nn.Module, _args: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.requires_grad:
            output.register_hook(in_forward)

    if place in ("forward", "backward"):
        module.register_forward_hook(in_forward if place == "forward" else in_backward)


def loss_of(net: Network, fails: bool) -> Any:
    def loss_fn(outputs: Any, targets: Tensor) -> Tensor:
        if fails:
            raise InjectedError
        if net.loss_fn is not None:
            return net.loss_fn(outputs, targets)
        return F.cross_entropy(getattr(outputs, "logits", outputs), targets, reduction="none")

    return loss_fn


def with_gradients(model: nn.Module, some: int) -> None:
    """Give every `some`-th parameter a gradient, as in the middle of a training run."""
    for place, parameter in enumerate(model.parameters()):
        if some and place % some == 0:
            parameter.grad = torch.full_like(parameter, 0.25)


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    net=st.sampled_from(list(NETWORKS.values())),
    options=OPTIONS,
    place=st.sampled_from(PLACES),
    at=st.integers(0, 30),
    train=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    gradients=st.integers(0, 3),
)
def test_the_model_is_bit_for_bit_as_before(
    net: Network, options: dict[str, Any], place: str, at: int, train: bool, dtype: torch.dtype, gradients: int
) -> None:
    model, batch = net.build(dtype)
    model.train(train)
    with_gradients(model, gradients)
    inject(model, place, at)
    before, inputs = snapshot(model), snapshot_of(batch)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            lswag_fast.score(model, batch, loss_fn=loss_of(net, place == "loss"), **options)
    except (LswagError, InjectedError):
        pass  # refusals of networks and options are as good a case as any
    assert_unchanged(model, before)
    assert snapshot_of(batch) == inputs


def snapshot_of(value: Any) -> Any:
    """The bits of every tensor of a batch."""
    if isinstance(value, Tensor):
        return value.data_ptr(), value.shape, value.contiguous().flatten().view(torch.uint8).numpy().tobytes()
    items = value.values() if isinstance(value, dict) else value
    return [snapshot_of(item) for item in items]
