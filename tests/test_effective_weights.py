"""A weight that the model computes counts as the call receives it: in every proxy as the same weight stored plainly."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from lswag_fast import LswagWarning, score, score_many
from support.oracle import SHOWN

PROXIES = [
    "l2_norm", "synflow", "logsynflow", "dss", "grasp", "snip", "plain", "grad_norm", "fisher", "zico", "lswag",
    "te_nas_ntk", "flops", "zen", "xi_gsnr", "t_cet", "jacov", "epe_nas", "nwot", "swap", "te_nas_regions",
    "az_nas_expressivity", "az_nas_progressivity", "az_nas_trainability",
]  # fmt: skip
"""All but `params`, and `reg_swap`, which reads it: a layer has the parameters that it has."""
ZEN = {"zen": {"batch_norm": "optional"}}
B = 6


class StandardisedConv(nn.Conv2d):
    """Weight standardisation by a BatchNorm of the weight, as networks without norms of features have it."""

    def effective(self) -> Tensor:
        rows = self.weight.reshape(1, self.out_channels, -1)
        return F.batch_norm(rows, None, None, training=True, momentum=0.0).reshape_as(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.effective(), self.bias, padding=self.padding)


class Masked(nn.Linear):
    """Multiplies its weight by a mask."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(n_in, n_out)
        self.register_buffer("mask", (torch.arange(n_out * n_in) % 3 > 0).view(n_out, n_in).double())

    def effective(self) -> Tensor:
        return self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.effective(), self.bias)


class Passed(torch.autograd.Function):
    """Gives a weight on as it is, and a tenth of its gradient back."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        return weight

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad / 10


class Viewed(Passed):
    """As a view."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        return weight.view_as(weight)


class Rounded(Passed):
    """Rounds it: a straight-through estimator."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor) -> Tensor:
        with torch.no_grad():
            step = weight.abs().max() / 16
        return (weight / step).round() * step


class Through(nn.Linear):
    """Computes its weight by a function."""

    def __init__(self, n_in: int, n_out: int, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__(n_in, n_out)
        self.function = function

    def effective(self) -> Tensor:
        return self.function(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.effective(), self.bias)


def in_parts(weight: Tensor, write: Callable[[Tensor, Tensor], object] | None = None) -> Tensor:
    """Doubles a weight, column by column, in a tensor of its own."""
    whole = torch.zeros_like(weight, requires_grad=False)
    for column in range(weight.shape[1]):
        if write is None:
            whole[:, column] = 2 * weight[:, column]
        else:
            write(whole[:, column], 2 * weight[:, column])
    return whole


class Made(nn.Linear):
    """Computes its weight by a layer, from a learned vector."""

    def __init__(self, plain: nn.Linear) -> None:
        super().__init__(plain.in_features, plain.out_features)
        del self.weight
        self.vector, self.maker = nn.Parameter(torch.randn(3)), nn.Linear(3, plain.weight.numel())

    def effective(self) -> Tensor:
        return self.maker(self.vector).view(self.out_features, self.in_features)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.effective(), self.bias)


def through(function: Callable[[Tensor], Tensor]) -> nn.Module:
    return perceptron(lambda layer: Through(layer.in_features, layer.out_features, function))


def perceptron(wrap: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """Its wrapped layers have other signs than their parameters make; one of them is square, as DSS wants it."""
    return nn.Sequential(
        wrap(nn.Linear(5, 8)), nn.GELU(), wrap(nn.Linear(8, 8)), nn.GELU(), wrap(nn.Linear(8, 8)), nn.Linear(8, 3)
    )


def pruned(layer: nn.Module) -> nn.Module:
    return prune.l1_unstructured(layer, "weight", amount=0.4)


def shared() -> nn.Module:
    layer = parametrizations.weight_norm(nn.Linear(5, 5))
    return nn.Sequential(layer, nn.GELU(), layer, nn.GELU(), nn.Linear(5, 3))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "weight_norm": lambda: perceptron(parametrizations.weight_norm),
    "weight_norm of a hook": lambda: perceptron(nn.utils.weight_norm),
    "spectral_norm": lambda: perceptron(parametrizations.spectral_norm),
    "orthogonal": lambda: perceptron(parametrizations.orthogonal),
    "pruned": lambda: perceptron(pruned),
    "masked": lambda: nn.Sequential(Masked(5, 8), nn.GELU(), Masked(8, 8), nn.GELU(), nn.Linear(8, 3)),
    "called twice": shared,
    "scaled gradient": lambda: through(Passed.apply),
    "scaled gradient, a view": lambda: through(Viewed.apply),
    "scaled gradient, twice transposed": lambda: through(lambda w: Viewed.apply(w.t()).t()),
    "straight-through": lambda: through(Rounded.apply),
    "straight-through, detached": lambda: through(lambda w: w + (Rounded.apply(w) - w).detach()),
    "written in parts": lambda: through(in_parts),
    "written by copy": lambda: through(lambda w: in_parts(w, Tensor.copy_)),
    "made by a layer": lambda: perceptron(Made),
    "mixed by a vector": lambda: through(lambda w: torch.einsum("k,koi->oi", w.new_ones(2), torch.stack([w, 0 * w]))),
    "standardised": lambda: nn.Sequential(
        StandardisedConv(1, 4, 3, padding=1), nn.GELU(), StandardisedConv(4, 4, 3, padding=1), nn.GELU(),
        nn.Flatten(), nn.Linear(20 * 4, 3), nn.Linear(3, 3),
    ),
}  # fmt: skip


def made(name: str) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    torch.manual_seed(0)
    model = NETWORKS[name]().double().eval()
    shape = (B, 1, 4, 5) if name == "standardised" else (B, 5)
    return model, (torch.randn(shape).double(), torch.arange(B) % 3)


def plain(model: nn.Module) -> nn.Module:
    """Make the effective weights of a network its parameters."""
    for name, module in list(model.named_modules()):
        if is_parametrized(module):
            remove_parametrizations(module, "weight")
        elif hasattr(module, "weight_g"):
            nn.utils.remove_weight_norm(module)
        elif hasattr(module, "weight_mask"):
            prune.remove(module, "weight")
        elif isinstance(module, StandardisedConv):
            conv = nn.Conv2d(module.in_channels, module.out_channels, 3, padding=1).double()
            conv.weight, conv.bias = nn.Parameter(module.effective().detach()), module.bias
            setattr(model, name, conv)
        elif isinstance(module, (Made, Masked, Through)):
            linear = nn.Linear(module.in_features, module.out_features).double()
            linear.weight, linear.bias = nn.Parameter(module.effective().detach()), module.bias
            setattr(model, name, linear)
    return model


@pytest.mark.parametrize("name", NETWORKS)
def test_every_proxy_sees_the_effective_weight(name: str) -> None:
    model, batch = made(name)
    options: dict[str, Any] = {"proxies": PROXIES, "pattern_samples": SHOWN, "features": "[13]", "proxy_options": ZEN}
    stored, found = (score_many(each, batch, **options) for each in (plain(made(name)[0]), model))
    assert found["lswag"].coverage == 1
    # t_cet is -inf where two samples share the activation codes of a layer, whatever the weight.
    errors = {proxy: one.error for proxy, one in found.items() if one.error}
    assert errors == {proxy: one.error for proxy, one in stored.items() if one.error}
    assert errors.keys() <= {"t_cet"}
    # Both sides compute in float64 from weights that differ by the rounding of their own computation.
    expected = {proxy: one.value for proxy, one in stored.items()}
    assert {proxy: one.value for proxy, one in found.items()} == pytest.approx(expected, rel=1e-8)


def test_chunks_are_no_obstacle_to_a_norm_of_a_weight() -> None:
    """A BatchNorm in train mode that normalises a weight makes no sample depend on another."""
    model, batch = made("standardised")
    whole = score(model, batch, pattern_samples=SHOWN).value  # and warns of no coupled samples
    assert score(model, batch, pattern_samples=SHOWN, chunk_size=2).value == pytest.approx(whole, rel=1e-9)


def test_a_fixed_filter_is_no_weight() -> None:
    class Blur(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("kernel", torch.full((4, 1, 3, 3), 1 / 9))

        def forward(self, x: Tensor) -> Tensor:
            return F.conv2d(x, self.kernel, groups=4)

    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), Blur(), nn.Flatten(), nn.Linear(64, 3))
    batch = torch.randn(B, 3, 8, 8), torch.arange(B) % 3
    assert [layer.name for layer in score(model, batch, pattern_samples=SHOWN).layers] == ["0.weight", "4.weight"]


def test_what_is_computed_from_frozen_parameters_is_frozen() -> None:
    model, batch = made("weight_norm")
    model[0].requires_grad_(False)
    found = score(model, batch, pattern_samples=SHOWN)
    assert [layer.name for layer in found.layers] == ["2.weight", "4.weight", "5.weight"]


def test_what_is_computed_without_gradients_is_a_constant() -> None:
    def constant(weight: Tensor) -> Tensor:
        with torch.no_grad():
            return Rounded.apply(weight)

    torch.manual_seed(0)
    model, batch = through(constant), (torch.randn(B, 5), torch.arange(B) % 3)
    with pytest.warns(LswagWarning, match="of the elements of the weight matrices were observed"):
        assert [layer.name for layer in score(model, batch, pattern_samples=SHOWN).layers] == ["5.weight"]


def test_a_call_inside_of_an_autograd_function_is_named() -> None:
    class Own(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
            ctx.save_for_backward(weight)
            return F.linear(x, weight)

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
            return grad @ ctx.saved_tensors[0], None

    class Last(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return Own.apply(x, self.weight)

    model = nn.Sequential(nn.Linear(5, 30), nn.ReLU(), Last(30, 3))
    found = score(model, (torch.randn(B, 5), torch.arange(B) % 3), pattern_samples=SHOWN, min_coverage=0.0)
    reasons = {skip.name: skip.reason for skip in found.skipped}
    assert reasons == {
        "2.weight": "called inside of an autograd function of the model's, which has a backward of its own"
    }


def test_quantisation_aware_layers_are_scored_whole() -> None:
    """With torch's own function, which looks at the range of the batch: samples cannot be told by experiment."""

    class Quantised(nn.Linear):
        def quantised(self, tensor: Tensor) -> Tensor:
            low, high, scale = (torch.tensor([value]) for value in (math.inf, -math.inf, 1.0))
            on, zero = torch.ones(1, dtype=torch.long), torch.zeros(1, dtype=torch.int)
            return torch.fused_moving_avg_obs_fake_quant(tensor, on, on, low, high, scale, zero, 0.01, -128, 127, 0)

        def forward(self, x: Tensor) -> Tensor:
            return self.quantised(F.linear(x, self.quantised(self.weight), self.bias))

    torch.manual_seed(0)
    model = nn.Sequential(Quantised(5, 8), nn.ReLU(), Quantised(8, 3))
    found = score(model, (torch.randn(B, 5), torch.arange(B) % 3), pattern_samples=SHOWN)
    assert [(layer.name, layer.kind) for layer in found.layers] == [
        ("0.weight#2", "derived"),
        ("2.weight#2", "derived"),
    ]
    assert found.coverage == 1
    assert found.value > 0
