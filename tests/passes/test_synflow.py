"""The synflow pass: positive weights, ones, no BatchNorm, no dropout; what it counts and refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast.data.batch import Batch
from lswag_fast.errors import InputError, NonFiniteGradientError, NothingObservedError, UnsupportedModelError
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.synflow import SynflowMeasurements, run_synflow
from networks import NETWORKS
from support.snapshot import assert_unchanged, snapshot

X = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(3))
OPTIONS = ScoreOptions()


def run(model: nn.Module, inputs: Any = X, statistics: tuple[str, ...] = ("saliencies",)) -> SynflowMeasurements:
    before = snapshot(model)
    try:
        return run_synflow(model, Batch(inputs, None, 4), OPTIONS, frozenset(statistics))
    finally:
        assert_unchanged(model, before)


class Looking(nn.Module):
    """Keeps what it saw when it ran; a buffer of every kind."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2)
        self.register_buffer("offset", torch.tensor([-2.0]))
        self.register_buffer("index", torch.tensor([-1, 1]))
        self.register_buffer("mask", torch.tensor([True, False]))
        nn.init.constant_(self.norm.weight, -3.0)

    def forward(self, x: Tensor) -> Tensor:
        seen.clear()
        seen.update(x=x.detach(), training=self.training, weight=self.conv.weight.detach(), offset=self.offset)
        y = self.conv(x)
        z = self.norm(y)
        seen.update(identical=torch.equal(y, z), index=self.index, mask=self.mask)
        return self.head(F.relu(z).mean((2, 3)))


seen: dict[str, Any] = {}


def test_it_sees_ones_positive_float64_tensors_and_no_batch_norm() -> None:
    model = Looking().train()
    run(model)
    assert torch.equal(seen["x"], torch.ones(1, 3, 8, 8, dtype=torch.float64))
    assert seen["training"] is False
    assert torch.equal(seen["weight"], model.conv.weight.detach().double().abs())
    assert seen["offset"].tolist() == [2.0]
    assert seen["index"].tolist() == [1, 1]
    assert seen["mask"].tolist() == [True, False]
    assert seen["identical"] is True


def test_the_numbers_of_a_layer_by_hand() -> None:
    """R = sum_o sum_i |w_oi|, so that dR/dw = 1 and s = |w|."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[1.0, -2.0], [3.0, 4.0]]))
    numbers = run(model, torch.randn(4, 2), ("saliencies", "nuclear"))
    (layer,) = numbers.layers.values()
    assert layer.saliency == 10.0
    assert layer.log_saliency == pytest.approx(10 * torch.tensor(2.0).double().log().item(), rel=1e-15)
    assert layer.standard_deviation == pytest.approx(
        torch.tensor([1.0, 2.0, 3.0, 4.0]).double().std().item(), rel=1e-15
    )
    # ||W||_*^2 = ||W||_F^2 + 2 |det W|; the gradient is the matrix of ones, with singular values 2 and 0.
    assert layer.nuclear == pytest.approx(2 * (30 + 2 * 2) ** 0.5, rel=1e-12)
    assert (layer.is_linear, layer.is_attention, numbers.n_activations) == (True, True, 0)


def test_kinds_of_weights_and_the_activations_before_them() -> None:
    model, (inputs, _) = NETWORKS["vit"].build()
    numbers = run_synflow(model, Batch(inputs, None, len(inputs)), OPTIONS, frozenset())
    kinds = {name: (layer.is_linear, layer.is_attention, layer.activation) for name, layer in numbers.layers.items()}
    assert kinds["patch.weight"] == (False, False, 0)
    assert kinds["blocks.0.attn.qkv.weight"] == (True, True, 0)
    assert kinds["blocks.1.attn.proj.weight"] == (True, True, 0)  # square
    assert kinds["blocks.1.fc2.weight"] == (True, False, 1)
    assert kinds["head.weight"] == (True, False, 1)
    assert numbers.n_activations == 2
    assert all(layer.nuclear is None for layer in numbers.layers.values())


def test_frozen_weights_do_not_count() -> None:
    model = Looking()
    model.conv.weight.requires_grad_(False)
    assert list(run(model).layers) == ["head.weight"]


def test_an_unused_weight_has_no_saliency() -> None:
    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(5, 2), nn.Linear(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            self.unused(x)
            return self.used(x)

    layers = run(Unused(), torch.randn(4, 5)).layers
    assert layers["unused.weight"].saliency == 0
    assert layers["used.weight"].saliency > 0


def test_a_single_element_has_no_deviation() -> None:
    (layer,) = run(nn.Linear(1, 1), torch.randn(4, 1)).layers.values()
    assert layer.standard_deviation != layer.standard_deviation


@pytest.mark.parametrize(
    ("model", "inputs", "error", "message"),
    [
        (
            nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2)),
            torch.ones(4, 2).long(),
            InputError,
            "puts ones in",
        ),
        (nn.Sequential(nn.Flatten(), nn.ReLU()), X, NothingObservedError, "no trainable weight"),
        (nn.LSTM(3, 4), torch.randn(4, 2, 3), InputError, "needs an output tensor; the model returned tuple"),
    ],
)
def test_refusals(model: nn.Module, inputs: Tensor, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        run(model, inputs)


def test_a_model_that_insists_on_float32_is_refused_by_name() -> None:
    class Insists(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(x.float())

    with pytest.raises(UnsupportedModelError, match=r"fails in float64 with positive weights \(synflow pass\)"):
        run(Insists(), torch.randn(4, 3))


class PreActivation(nn.Module):
    """A block whose shortcut takes the input of the norm, as pre-activation networks have it."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.stem, self.norm, self.conv = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1)
        self.head, self.activation = nn.Linear(4, 2), nn.SiLU(inplace=inplace)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.conv(self.activation(self.norm(x)))
        return self.head(x.mean((2, 3)))


def test_an_activation_in_place_gives_the_same() -> None:
    """A BatchNorm that hands back its input would let the activation behind it write into the shortcut."""
    torch.manual_seed(0)
    models = [PreActivation(inplace) for inplace in (False, True)]
    models[1].load_state_dict(models[0].state_dict())
    assert run(models[1]) == run(models[0])


def test_numbers_beyond_float64_are_an_error_of_their_own() -> None:
    class Squared(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (1e30 * x).square()

    model = nn.Sequential(nn.Linear(5, 5), *(Squared() for _ in range(5)), nn.Linear(5, 5))
    numbers = run(model, torch.randn(4, 5), ("saliencies", "nuclear"))
    with pytest.raises(NonFiniteGradientError, match=r"of 2 weight\(s\) are NaN or infinite, first 0.weight"):
        numbers.live_layers()
