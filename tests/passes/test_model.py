"""The pass that counts: parameters without a forward, norms and MACs from one sample's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._C import DispatchKey
from torch._ops import HigherOrderOperator
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm
from torch.utils._python_dispatch import TorchDispatchMode

from lswag_fast.data.batch import Batch
from lswag_fast.errors import NothingObservedError, UnsupportedModelError
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.model import ModelMeasurements, run_model
from lswag_fast.scoring import score_many
from support.snapshot import assert_unchanged, snapshot


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 3, bias=False)
        self.b = nn.Linear(3, 3, bias=False)
        self.b.weight = self.a.weight
        self.seen: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(x))
        return self.b(self.a(x).relu())


def run(model: nn.Module, *statistics: str) -> ModelMeasurements:
    batch = Batch(torch.ones(4, 3), torch.zeros(4).long(), 4)
    before = snapshot(model)
    try:
        return run_model(model, batch, ScoreOptions(), frozenset(statistics))
    finally:
        assert_unchanged(model, before)


def test_parameters_are_counted_without_a_forward_and_tied_ones_once() -> None:
    model = Tied()
    assert run(model, "params") == ModelMeasurements(9, {}, {}, 0)
    assert model.seen == []


def test_one_sample_gives_norms_and_macs() -> None:
    model = Tied()
    found = run(model, "norms", "macs")
    assert found.macs == 2 * 9
    assert found.weight_norms == {"a.weight": torch.linalg.vector_norm(model.a.weight.detach().double()).item()}


def test_norms_need_a_weight() -> None:
    with pytest.raises(NothingObservedError, match="no linear or convolution function on a parameter"):
        run(nn.ReLU(), "norms")
    assert run(nn.ReLU(), "macs").macs == 0


def test_one_sample_goes_through_a_norm_of_the_batch() -> None:
    """Its BatchNorm has no running statistics, and one value per channel has no variance."""
    kinds = {tracked: nn.BatchNorm1d(3, track_running_stats=tracked) for tracked in (False, True)}
    models = [nn.Sequential(nn.Linear(3, 3), norm, nn.ReLU(), nn.Linear(3, 3)).eval() for norm in kinds.values()]
    assert [run(model, "norms", "macs").macs for model in models] == [18, 18]
    assert set(run(models[0], "norms").weight_norms) == {"0.weight", "3.weight"}


class Queries(nn.Module):
    """Hands an expanded view of a parameter to a submodule, as CaiT and Perceiver do."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.ones(1, 2, 3))
        self.project = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.project(self.query.expand(len(x), -1, -1)).mean(1) + x


def test_a_view_of_a_parameter_may_be_handed_to_a_submodule() -> None:
    assert run(Queries(), "macs").macs == 2 * 9


def test_the_norm_of_a_complex_weight_has_both_parts() -> None:
    class Spectral(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.full((3, 3), 3 + 4j))

        def forward(self, x: Tensor) -> Tensor:
            return (x.to(torch.complex64) @ self.weight).abs()

    assert run(Spectral(), "norms").weight_norms == {"weight": 15.0}


class Adapted(nn.Module):
    """A frozen weight with a low-rank adapter that is merged into it in every forward."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 3), requires_grad=False)
        self.a, self.b = nn.Parameter(torch.randn(3, 2)), nn.Parameter(torch.randn(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight + self.a @ self.b)


class Generated(nn.Module):
    """A weight that a layer makes from a learned vector."""

    def __init__(self) -> None:
        super().__init__()
        self.code, self.maker = nn.Parameter(torch.randn(5)), nn.Linear(5, 9)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.maker(self.code).reshape(3, 3))


@pytest.mark.parametrize(
    "make",
    [
        lambda: weight_norm(nn.Linear(3, 3)),
        lambda: spectral_norm(nn.Linear(3, 3)),
        lambda: torch.nn.utils.spectral_norm(nn.Linear(3, 3)),
        lambda: orthogonal(nn.Linear(3, 3)),
        Adapted,
        Generated,
    ],
    ids=["weight norm", "spectral norm", "its older form", "orthogonal", "adapter", "generated"],
)
def test_computing_a_weight_costs_a_sample_nothing(make: Callable[[], nn.Module]) -> None:
    assert run(nn.Sequential(make(), nn.ReLU(), nn.Linear(3, 2)), "macs").macs == 9 + 6


def test_a_table_of_positions_is_no_weight() -> None:
    """As the published counts of Swin-V2 have it."""

    class Positioned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.places, self.network, self.last = nn.Parameter(torch.ones(2)), nn.Linear(2, 3), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(x + self.network(self.places))

    assert run(Positioned(), "macs").macs == 2 * 3 + 3 * 2


takes_operators = pytest.mark.skipif(
    not hasattr(TorchDispatchMode, "supports_higher_order_operators"),
    reason="this torch hands no operator that calls functions to a mode",
)


class Flexible(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        from torch.nn.attention import flex_attention  # since torch 2.5

        q, k, v = (part[:, None] for part in self.qkv(x).chunk(3, -1))
        return flex_attention.flex_attention(q, k, v)[:, 0].mean(1)


@takes_operators
@pytest.mark.filterwarnings("ignore:flex_attention called without:UserWarning", "ignore::DeprecationWarning")
def test_flexible_attention_counts_as_attention_does() -> None:
    batch = torch.randn(2, 16, 8), torch.arange(2)
    model = Flexible()
    scores = score_many(model, batch, proxies=["flops", "l2_norm"])
    assert scores["flops"].value == 16 * 8 * 24 + 16 * 16 * (8 + 8)
    assert scores["l2_norm"].value == pytest.approx(model.qkv.weight.norm().item())


@takes_operators
def test_operators_that_call_functions_are_not_counted_and_cost_no_other_proxy() -> None:
    class Doubled(HigherOrderOperator):
        def __init__(self) -> None:
            super().__init__("doubled")

        def __call__(self, x: Tensor) -> Tensor:
            return super().__call__(x)

    doubled = Doubled()
    doubled.fallthrough(DispatchKey.AutogradCPU)
    doubled.py_impl(DispatchKey.CPU)(lambda x: x + x)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return doubled(self.layer(x))

    with pytest.raises(UnsupportedModelError, match=r"inside of doubled cannot be counted"):
        run(Model(), "macs")
    assert list(run(Model(), "norms").weight_norms) == ["layer.weight"]
