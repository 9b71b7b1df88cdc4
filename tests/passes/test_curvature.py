"""The curvature pass by closed forms and against outputs differentiated one by one."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lswag_fast.data.batch import Batch
from lswag_fast.errors import InputError, NonFiniteGradientError, UnsupportedModelError
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.curvature import N_POINTS, run_curvature
from lswag_fast.reference.features import mean_curvature
from networks import NETWORKS
from support.snapshot import assert_unchanged, snapshot

X = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def run(model: nn.Module, inputs: Any = X, **options: Any) -> Tensor:
    before = snapshot(model)
    try:
        return run_curvature(model, Batch(inputs, None, 4), ScoreOptions(**options), frozenset()).curvatures
    finally:
        assert_unchanged(model, before)


def test_a_circle_of_radius_r_has_the_curvature_1_over_r() -> None:
    """An orthogonal map keeps the circle, and a factor r its radius."""
    turned = nn.Linear(3, 3, bias=False).double()
    with torch.no_grad():
        turned.weight.copy_(5 * torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64)).Q)
    assert run(turned).tolist() == pytest.approx([0.2] * N_POINTS, rel=1e-12)


def test_what_does_not_move_or_only_moves_along_a_line_has_no_curvature() -> None:
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.ones(len(x), 2) + 0 * x[:, :2]

    assert run(Constant()).tolist() == [0.0] * N_POINTS
    # One output has no direction to turn to: the code that sums the logits measures this.
    assert run(nn.Linear(3, 1).double()).tolist() == pytest.approx([0] * N_POINTS, abs=1e-10)


def test_a_parabola_by_hand() -> None:
    """Of (s, s^2) with s = sin t, the first two points of the circle at t = 0: |v x a| / |v|^3 = 2 |s'|^3 / |v|^3."""

    class Parabola(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([x[:, 0], x[:, 0] ** 2], dim=1)

    curvatures = run(Parabola())
    drawn = torch.randn(3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u, w = torch.linalg.qr(drawn).Q[0].tolist()  # the first input is u cos t + w sin t
    for k, found in enumerate(curvatures.tolist()):
        s = u * math.cos(k * math.pi / 4) + w * math.sin(k * math.pi / 4)
        assert found == pytest.approx(2 / (1 + 4 * s * s) ** 1.5, rel=1e-9)


@pytest.mark.parametrize("name", ["mlp", "cnn_eval", "cnn_train", "vit"])
def test_networks_against_outputs_differentiated_one_by_one(name: str) -> None:
    model, (inputs, _) = NETWORKS[name].build()
    pass_inputs = Batch(inputs, None, len(inputs))
    found = run_curvature(model, pass_inputs, ScoreOptions(seed=3), frozenset()).curvatures
    expected = mean_curvature(model, 3, inputs.shape[1:])
    assert float(found.mean()) == pytest.approx(expected, rel=1e-8)  # both in float64
    single, _ = NETWORKS[name].build(torch.float32)
    rough = run_curvature(single, Batch(inputs.float(), None, len(inputs)), ScoreOptions(seed=3), frozenset())
    assert float(rough.curvatures.mean()) == pytest.approx(expected, rel=1e-3)  # second derivatives in float32


def test_the_seed_draws_the_plane_and_the_user_s_generator_does_not_move() -> None:
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    state = torch.get_rng_state()
    first, same, other = (run(model, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.allclose(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_inputs_that_are_no_real_numbers_stay() -> None:
    class Masked(nn.Module):
        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            assert mask.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
            return x

    assert run(Masked(), (X, torch.arange(4))).tolist() == pytest.approx([1.0] * N_POINTS, rel=1e-12)


def test_refusals() -> None:
    with pytest.raises(InputError, match=r"moves the inputs along a circle: the batch's inputs are torch\.int64"):
        run(nn.Embedding(9, 2), torch.arange(4))
    with pytest.raises(InputError, match="two numbers or more"):
        run(nn.Identity(), X[:, :1])
    with pytest.raises(InputError, match="the curvature pass takes the whole batch at once"):
        run(nn.Identity(), chunk_size=2)
    with pytest.raises(InputError, match="needs logits with the samples along axis 0"):
        run(nn.Flatten(0))


def test_a_function_that_cannot_be_differentiated_twice() -> None:
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return 2 * x

        @staticmethod
        @once_differentiable  # type: ignore[misc]
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            return 2 * grad

    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return Once.apply(x)

    with pytest.raises(UnsupportedModelError, match="the curvature pass differentiates twice"):
        run(Model())


def test_a_derivative_that_is_not_finite() -> None:
    class Root(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.relu(x - 9).sqrt()

    with pytest.raises(NonFiniteGradientError, match="a derivative of the logits in the angle is NaN"):
        run(Root())


def test_one_number_for_each_sample_is_a_curve_along_a_line() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1), nn.Flatten(0))
    assert run(model, torch.randn(4, 6)).abs().max() < 1e-6
