"""The block features pass: modes, shapes, resolutions, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lswag_fast.data.batch import Batch
from lswag_fast.errors import InputError, NonFiniteGradientError, UnsupportedModelError
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.block_features import BlockFeatureMeasurements, run_block_features
from support.snapshot import assert_unchanged, snapshot

X = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(3))
ALL = ("entropies", "spectral_norms")


def run(
    model: nn.Module, features: Any = None, inputs: Any = X, statistics: tuple[str, ...] = ALL, **options: Any
) -> BlockFeatureMeasurements:
    given: dict[str, Any] = {"chunk_size": None, "seed": 0, **options}
    chosen = ScoreOptions(features=features, **given)
    before = snapshot(model)
    try:
        return run_block_features(model, Batch(inputs, None, 4), chosen, frozenset(statistics))
    finally:
        assert_unchanged(model, before)


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, nn.InstanceNorm2d])
def test_train_mode_with_batch_norm_and_eval_mode_without(norm: type[nn.Module]) -> None:
    modes = []

    def features(model: nn.Module, x: Tensor) -> list[Tensor]:
        modes.append(model.training)
        return [x, model(x)]

    for training in (True, False):
        run(nn.Sequential(nn.Conv2d(3, 4, 3), norm(4)).train(training), features, statistics=("entropies",))
    assert modes == [norm is nn.BatchNorm2d] * 2


def test_inputs_are_seeded_noise() -> None:
    inputs = []
    run(nn.Conv2d(3, 4, 3), lambda model, x: inputs.append(x.detach()) or [x, model(x)], seed=5, statistics=())
    assert torch.equal(inputs[0], torch.randn(X.shape, generator=torch.Generator().manual_seed(5)))


def test_the_entropy_of_equal_eigenvalues_is_the_logarithm_of_their_number() -> None:
    corners = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
    numbers = run(nn.Linear(3, 2), lambda model, x: [corners, corners[:, None] * 7], statistics=("entropies",))
    assert numbers.entropies == pytest.approx([torch.tensor(2.0).log().item()] * 2, abs=1e-7)  # ln(p + 1e-8)
    assert numbers.spectral_norms == ()


def test_the_norm_of_a_linear_map_by_hand() -> None:
    """g_in = W^T g_out, so that the matrix is W^T times the second moments of the signs, here of one channel: W^T."""
    layer = nn.Linear(3, 1, bias=False)
    numbers = run(layer, lambda model, x: [x, model(x)], torch.randn(4, 3), ("spectral_norms",))
    assert numbers.spectral_norms[0] == pytest.approx(layer.weight.norm().item(), rel=1e-6)  # float32 gradients
    assert numbers.entropies == ()


@pytest.mark.parametrize(("tokens", "width_in", "width_out"), [(15, 40, 30), (15, 30, 40), (5, 40, 30), (9, 40, 30)])
@pytest.mark.parametrize("size", [1.0, 1e-120, 0.0])  # the square of 1e-120 is below the smallest number
def test_the_norm_is_the_largest_singular_value(tokens: int, width_in: int, width_out: int, size: float) -> None:
    """Of four samples: more positions than channels, and fewer than one side or both."""
    layer = nn.Linear(width_in, width_out, bias=False, dtype=torch.float64)
    nn.init.normal_(layer.weight, std=size)
    inputs = torch.zeros(4, tokens, width_in, dtype=torch.float64)
    numbers = run(layer, lambda model, x: [x, model(x)], inputs, ("spectral_norms",))

    generator = torch.Generator().manual_seed(0)
    torch.randn(inputs.shape, generator=generator)  # the noise is drawn before the signs
    signs = (torch.randint(2, (4, tokens, width_out), generator=generator) * 2 - 1).double().flatten(0, 1)
    expected = torch.linalg.svdvals((signs @ layer.weight.detach()).t() @ signs / len(signs))[0].item()
    assert numbers.spectral_norms[0] == pytest.approx(expected, rel=1e-13, abs=0)  # about 100 roundings of 2^-53


@pytest.mark.parametrize("rows", [7, 20, 30])
def test_the_entropy_is_that_of_the_eigenvalues_of_the_covariance(rows: int) -> None:
    """Of fewer positions than channels the same eigenvalues come from a smaller matrix."""
    feature = torch.randn(rows, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    numbers = run(nn.Linear(3, 2), lambda model, x: [feature, feature * 2], statistics=("entropies",))
    p = torch.linalg.eigvalsh(feature.t().cov(correction=0))
    p = p / p.sum()
    expected = -(p * (p + 1e-8).log()).sum().item()
    assert numbers.entropies == pytest.approx([expected] * 2, rel=1e-13)  # about 100 roundings of 2^-53


def test_a_halved_resolution_takes_the_pixels_as_channels() -> None:
    """A 2x2 convolution of stride 2: position by position it is a linear map of 12 numbers."""
    conv = nn.Conv2d(3, 1, 2, stride=2, bias=False)
    numbers = run(conv, lambda model, x: [x, model(x)], statistics=("spectral_norms",))
    assert numbers.spectral_norms[0] == pytest.approx(conv.weight.norm().item(), rel=1e-6)  # float32 gradients


def test_a_feature_passed_on_unchanged_has_no_norm() -> None:
    def features(model: nn.Module, x: Tensor) -> list[Tensor]:
        same = x.clone()
        return [x, same, model(same)]

    numbers = run(nn.Linear(3, 2), features, torch.randn(4, 3))
    assert numbers.spectral_norms[0] is None
    assert numbers.spectral_norms[1] is not None


def test_frozen_parameters_and_work_in_place_do_not_matter() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 5, 1), nn.ReLU(inplace=True))
    expected = run(model, "[02]")
    assert run(model.requires_grad_(False), "[02]") == expected


def fewer_tokens(model: nn.Module, x: Tensor) -> list[Tensor]:
    tokens = x.flatten(2)
    return [tokens, tokens[:, :2] * 2]


@pytest.mark.parametrize(
    ("features", "inputs", "options", "message"),
    [
        (lambda m, x: [m(x)], X, {}, "found 1; name more"),
        (lambda m, x: [x[0, 0, 0], m(x)], X, {}, r"feature 0 has shape \(8,\)"),
        (lambda m, x: [x, m(torch.zeros_like(x))], X, {}, "feature 1 does not depend on the one before"),
        (lambda m, x: [x, torch.ones_like(x)], X, {}, "feature 1 does not depend on the one before"),
        (lambda m, x: [x, m(x)], X, {}, r"feature 1 of \(4, 4, 6, 6\) is no whole reduction of .*\(4, 3, 8, 8\)"),
        (lambda m, x: [x, F.interpolate(x, size=16)], X, {}, "is no whole reduction"),
        (lambda m, x: [x[:, :, 0], x[:, :2, 0]], X, {}, "does not depend on the one before"),
        (fewer_tokens, X, {}, "has other positions than the one before"),
        (lambda m, x: [x, m(x)], X, {"chunk_size": 2}, "the block_features pass takes the whole batch at once"),
        (
            lambda m, x: [x, x],
            torch.ones(4, 2).long(),
            {},
            "the block_features pass puts noise in the place of the inputs",
        ),
    ],
)
def test_refusals(features: Any, inputs: Tensor, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(nn.Conv2d(3, 4, 3), features, inputs, **options)


def test_a_model_that_fails_on_noise_is_refused_by_name() -> None:
    def features(model: nn.Module, x: Tensor) -> Tensor:
        raise RuntimeError("expected images")

    with pytest.raises(UnsupportedModelError, match=r"fails on noise \(block_features pass\): expected images"):
        run(nn.Conv2d(3, 4, 3), features)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_features_that_are_not_finite_are_refused_by_name(broken: float) -> None:
    with pytest.raises(NonFiniteGradientError, match=r"feature 1 of shape \(4, 4, 6, 6\) has NaN or infinite values"):
        run(nn.Conv2d(3, 4, 3), lambda model, x: [x, model(x) * broken])


def test_a_gradient_that_is_not_finite_is_refused_by_name() -> None:
    with pytest.raises(NonFiniteGradientError, match="the gradient from feature 1 to the one before has NaN or infin"):
        run(nn.Conv2d(3, 4, 3), lambda model, x: [x, (x * 0).sqrt()])


def test_a_constant_that_has_no_mean_in_floating_point_has_no_entropy() -> None:
    constant = torch.full((7, 3), 0.1, dtype=torch.float64)  # seven times it, divided by seven, is another number
    assert (constant - constant.mean(0)).any()
    found = run(nn.Linear(3, 2), lambda model, x: [constant, constant.clone()], statistics=("entropies",))
    assert all(map(math.isnan, found.entropies))


class Checkpointed(nn.Module):
    """Two blocks whose activations may be computed again in the backward."""

    def __init__(self, hidden: int, *, again: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(32, hidden), nn.Tanh(), nn.Linear(hidden, 32)) for _ in range(2)
        )
        self.again = again

    def block_features(self, x: Tensor) -> list[Tensor]:
        features = []
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.again else block(x)
            features.append(x)
        return features


@pytest.mark.parametrize("hidden", [32, 64])
def test_activations_that_are_computed_again_change_nothing(hidden: int) -> None:
    found = []
    for again in (False, True):
        torch.manual_seed(0)
        batch = Batch.checked((torch.randn(8, 300, 32), torch.zeros(8)))
        model = Checkpointed(hidden, again=again)
        found.append(run_block_features(model, batch, ScoreOptions(), frozenset({"spectral_norms"})))
    assert found[0] == found[1]


class FromTokens(nn.Module):
    """Its first feature is made of a parameter alone."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.fc = nn.Parameter(torch.randn(1, 5, 8)), nn.Linear(8, 8)

    def block_features(self, x: Tensor) -> list[Tensor]:
        tokens = self.tokens.expand(len(x), -1, -1)
        return [tokens, self.fc(tokens + x)]


def test_a_feature_may_be_made_of_a_parameter() -> None:
    batch = Batch.checked((torch.randn(3, 5, 8), torch.zeros(3)))
    found = run_block_features(FromTokens(), batch, ScoreOptions(), frozenset({"spectral_norms"}))
    assert found.spectral_norms[0] is not None and found.spectral_norms[0] > 0
