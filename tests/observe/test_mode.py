"""What the observing mode does to a forward pass: same outputs, no trace, writes and coupling noticed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast.errors import InputError, UnsupportedModelError
from lswag_fast.observe import CaptureOptions
from networks import NETWORKS, Network, select
from support.observing import mode_for, under_mode
from support.oracle import call

B = 4


@pytest.mark.parametrize("net", select(without=("refused", "random", "no_activation")), ids=lambda net: net.name)
def test_outputs_are_those_of_the_plain_model(net: Network) -> None:
    model, (inputs, targets) = net.build()
    _, found = under_mode(model, inputs, len(targets))
    model, (inputs, _) = net.build()
    expected = call(model, inputs)
    for one, two in zip(_tensors(found), _tensors(expected), strict=True):
        # torch takes other paths for parameters that ask for no gradient; the order of sums differs.
        torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)


def _tensors(outputs: object) -> list[Tensor]:
    if isinstance(outputs, Tensor):
        return [outputs]
    items = outputs.values() if isinstance(outputs, dict) else getattr(outputs, "__dict__", {}).values() or outputs
    return [item for item in items if isinstance(item, Tensor)]


class Body(nn.Module):
    """A module whose forward is the given function of (module, x)."""

    def __init__(self, body: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(5, 5))
        self.bias = nn.Parameter(torch.randn(5))
        self.norm = nn.BatchNorm1d(5)
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self, x)


def test_an_observed_output_is_no_view_and_may_be_written_in_place() -> None:
    model = Body(lambda m, x: F.linear(x[:, None], m.weight).squeeze(1).relu_())
    _, out = under_mode(model, torch.randn(B, 5), B)
    assert bool((out >= 0).all())


def test_a_frozen_weight_is_not_rerouted() -> None:
    model = Body(lambda m, x: F.linear(x, m.weight)).requires_grad_(False)
    mode, _ = under_mode(model, torch.randn(B, 5), B)
    assert mode.weights == {}


def test_outside_of_autocast_nothing_is_cast() -> None:
    mode, out = under_mode(Body(lambda m, x: F.linear(x, m.weight, m.bias)), torch.randn(B, 5), B)
    assert out.dtype == torch.float32
    (weight,) = mode.weights.values()
    assert weight.kind == "linear"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_casts_as_torch_does(dtype: torch.dtype) -> None:
    def body(model: nn.Module, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=dtype):
            return F.linear(x, model.weight, model.bias)

    model, x = Body(body), torch.randn(B, 5)
    _, out = under_mode(model, x, B)
    assert out.dtype == dtype
    assert torch.equal(out, model(x))


@pytest.mark.parametrize(
    "write",
    [
        lambda m: m.weight.mul_(2),
        lambda m: m.weight.__setitem__(0, 1.0),
        lambda m: m.weight.__imul__(2),
        lambda m: m.weight[1:3].zero_(),
        lambda m: m.weight.data.fill_(1.0),
        lambda m: m.weight.detach()[0].add_(1),
        lambda m: torch.mul(m.weight, 2, out=m.weight.data),
        lambda m: nn.init.normal_(m.weight),
        lambda m: torch._foreach_mul_([m.weight], 2.0),
        lambda m: m.weight.copy_(torch.zeros(5, 5)),
        lambda m: F.embedding(torch.arange(3), m.weight, max_norm=0.1),
        lambda m: F.embedding_bag(torch.arange(4).view(2, 2), m.weight, max_norm=0.1),
    ],
)
def test_a_write_into_a_parameter_is_announced_before_it_happens(write: Callable[[nn.Module], object]) -> None:
    def body(model: nn.Module, x: Tensor) -> Tensor:
        with torch.no_grad():
            write(model)
        return F.linear(x, model.weight)

    model = Body(body)
    before = model.weight.detach().clone()
    seen: list[Tensor] = []

    def before_write(tensor: Tensor) -> None:
        assert tensor.untyped_storage().data_ptr() == model.weight.untyped_storage().data_ptr()
        seen.append(model.weight.detach().clone())

    model.requires_grad_(False)
    with mode_for(model, B, CaptureOptions(1), before_write):
        model(torch.randn(B, 5))
    assert torch.equal(seen[0], before)
    assert not torch.equal(model.weight, before)


@pytest.mark.parametrize("train", [True, False])
def test_train_mode_batchnorm_couples_the_samples(train: bool) -> None:
    model = Body(lambda m, x: m.norm(F.linear(x, m.weight))).train(train)
    mode, _ = under_mode(model, torch.randn(B, 5), B)
    assert mode.couples_samples is train


@pytest.mark.parametrize(
    "body",
    [
        lambda m, x: m.norm(x),
        lambda m, x: F.batch_norm(x, None, None, training=True),
        lambda m, x: torch.batch_norm(x, None, None, None, None, True, 0.1, 1e-5, False),
    ],
)
def test_train_mode_batchnorm_is_refused_when_samples_must_be_independent(body) -> None:
    model = Body(body)
    mode = mode_for(model, B, CaptureOptions(1), independent_samples=True)
    with mode, pytest.raises(InputError, match="BatchNorm runs in train mode"):
        model(torch.randn(B, 5))


def test_saved_tensor_hooks_are_refused_by_name() -> None:
    def body(model: nn.Module, x: Tensor) -> Tensor:
        with torch.autograd.graph.save_on_cpu():
            return F.linear(x, model.weight)

    with pytest.raises(UnsupportedModelError, match="saved-tensor hooks"):
        under_mode(Body(body), torch.randn(B, 5), B)


def test_computed_weights_are_named_after_the_module_that_runs() -> None:
    model = nn.Sequential(Body(lambda m, x: F.linear(F.linear(x, m.weight * 2), m.weight * 3)))
    mode, _ = under_mode(model, torch.randn(B, 5), B)
    # "0.weight" is the parameter's own name
    assert [weight.name for weight in mode.weights.values()] == ["0.weight#2", "0.weight#3"]
    assert "used by mul" in mode.reasons["0.weight"]


def test_the_mode_leaves_the_stack_of_modes_as_it_was() -> None:
    model, (inputs, targets) = NETWORKS["vit"].build()
    under_mode(model, inputs, len(targets))
    assert torch._C._len_torch_function_stack() == 0
