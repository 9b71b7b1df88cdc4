"""The double backward pass by hand and against automatic differentiation in forward mode."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lswag_fast import reference
from lswag_fast.data.batch import Batch
from lswag_fast.errors import InputError, NothingObservedError, UnsupportedModelError
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.double_backward import run_double_backward
from networks import NETWORKS
from support.snapshot import assert_unchanged, snapshot

ALL = frozenset(("weight_hessian_gradient",))


def run(model: nn.Module, batch: Any, loss_fn: Any = None, chunk_size: int | None = None) -> dict[str, float]:
    options = ScoreOptions(loss_fn=loss_fn, chunk_size=chunk_size)
    before = snapshot(model)
    try:
        return run_double_backward(model, Batch(*batch, len(batch[1])), options, ALL).weight_hessian_gradient
    finally:
        assert_unchanged(model, before)


def cubes(outputs: Tensor, targets: Tensor) -> Tensor:
    return outputs[:, 0] ** 3 / 6


X, Y = torch.tensor([[1.0], [2.0]]), torch.tensor([0, 0])


def linear(weight: float) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, weight)
    return layer


def test_one_weight_by_hand() -> None:
    """L = mean (w x)^3 / 6 at w = 3: g = mean x^3 w^2 / 2 = 20.25, H = mean x^3 w = 13.5, w Hg = 820.125."""
    assert run(linear(3.0), (X, Y), cubes) == {"weight": pytest.approx(820.125, rel=1e-6)}


def test_a_frozen_weight_does_not_count() -> None:
    """Nor is it a variable of the Hessian: L = mean (v w x)^3 / 6 with v = 1 frozen is that of w alone."""
    model = nn.Sequential(linear(3.0), linear(1.0).requires_grad_(False))
    assert run(model, (X, Y), cubes) == {"0.weight": pytest.approx(820.125, rel=1e-6)}


def test_a_loss_linear_in_the_weights_has_no_hessian() -> None:
    assert run(linear(3.0), (X, Y), lambda out, y: out[:, 0]) == {"weight": 0.0}


def test_a_weight_without_influence_counts_as_zero() -> None:
    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = linear(3.0), linear(1.0)

        def forward(self, x: Tensor) -> Tensor:
            self.idle(x)
            return self.used(x)

    assert run(Unused(), (X, Y), cubes) == {"idle.weight": 0.0, "used.weight": pytest.approx(820.125, rel=1e-6)}


def test_biases_and_norms_take_no_part() -> None:
    model = nn.Sequential(nn.Embedding(4, 3), nn.LayerNorm(3), nn.Linear(3, 3))
    batch = torch.tensor([1, 2, 3]), torch.tensor([0, 1, 2])
    assert list(run(model, batch)) == ["0.weight", "2.weight"]


@pytest.mark.parametrize("name", ["attention_math", "encoder_batch_first_odd"])
def test_fused_attention_gives_way_to_the_math_backend(name: str) -> None:
    """Without the math backend the CPU's flash attention has no second derivative."""

    class Fused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv = nn.Linear(8, 24)

        def forward(self, x: Tensor) -> Tensor:
            q, k, v = self.qkv(x)[:, None].chunk(3, dim=-1)
            return F.scaled_dot_product_attention(q, k, v)[:, 0].mean(1)

    if name == "attention_math":
        model, batch, names = Fused().double(), (torch.randn(4, 5, 8).double(), torch.arange(4)), ["qkv.weight"]
        with pytest.raises(RuntimeError, match="not implemented"):
            first = torch.autograd.grad(F.cross_entropy(model(batch[0]), batch[1]), model.qkv.weight, create_graph=True)
            first[0].sum().backward()
    else:
        model, batch = NETWORKS[name].build()
        names = list(NETWORKS[name].observed)
    flash = torch.backends.cuda.flash_sdp_enabled()
    found = run(model, batch)
    assert torch.backends.cuda.flash_sdp_enabled() == flash
    terms = reference.grasp_terms(model, batch, names)
    assert found == {n: pytest.approx(-float(terms[n].sum()), rel=1e-9, abs=1e-12) for n in names}  # float64, reordered


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return 3 * ctx.saved_tensors[0] ** 2 * grad


class WithoutSecondDerivative(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        return Once.apply(self.layer(x))


def test_a_function_without_a_second_derivative_is_refused() -> None:
    with pytest.raises(
        UnsupportedModelError, match=r"the double_backward pass differentiates twice.*once_differentiable"
    ):
        run(WithoutSecondDerivative(), (X, Y))


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


@pytest.mark.parametrize("model", [Plain(), linear(1.0).requires_grad_(False)], ids=["none", "frozen"])
def test_a_model_without_trainable_weights_is_refused(model: nn.Module) -> None:
    with pytest.raises(NothingObservedError, match="the model calls no linear or convolution function"):
        run(model, (X, Y), cubes)


def test_a_loss_without_gradient_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="double_backward pass: the loss has no gradient"):
        run(linear(1.0), (X, Y), lambda out, y: out.detach()[:, 0])


def test_chunks_are_refused() -> None:
    with pytest.raises(InputError, match="double_backward pass takes the whole batch at once; leave chunk_size out"):
        run(linear(1.0), (X, Y), cubes, chunk_size=2)


def test_the_model_is_restored_after_an_exception_of_its_own() -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        run(linear(1.0), (torch.ones(2, 3), Y))
