"""Names of computed weights: the module whose forward runs, numbered where a name is taken."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast.observe.derived import derived_name
from support.observing import observed
from support.per_sample import Called


class Named(nn.Module):
    """Keeps the name that a computed weight would get in its forward."""

    def __init__(self, taken: set[str]) -> None:
        super().__init__()
        self.taken = taken
        self.root: nn.Module = self
        self.name = ""

    def forward(self, x: float) -> float:
        self.name = derived_name(self.root, self.taken)
        return x


def name_in(model: nn.Module, inner: Named) -> str:
    object.__setattr__(inner, "root", model)  # not as a submodule: a module must not contain itself
    model(0.0)
    return inner.name


def test_the_name_is_that_of_the_innermost_module_that_runs() -> None:
    inner = Named(set())
    assert name_in(nn.Sequential(nn.Sequential(inner)), inner) == "0.0.weight"


def test_the_outermost_module_has_no_name_of_its_own() -> None:
    inner = Named(set())
    assert name_in(inner, inner) == "weight"


def test_taken_names_are_numbered() -> None:
    inner = Named({"0.weight", "0.weight#2"})
    assert name_in(nn.Sequential(inner), inner) == "0.weight#3"


def test_outside_of_any_module_of_the_model() -> None:
    assert derived_name(nn.Linear(2, 2), set()) == "weight"


def test_equal_weights_made_from_different_parameters_are_two() -> None:
    """Query and key that begin alike, for example."""

    def twins(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return F.linear(x, 2 * a) * F.linear(x, 2 * b) + F.linear(x, 2 * b)

    observation, _ = observed(Called(twins, torch.ones(3, 4), torch.ones(3, 4)), torch.randn(5, 4), 5)
    assert [(weight.name, len(weight.calls)) for weight in observation.weights] == [("weight", 1), ("weight#2", 2)]


def test_a_parameter_is_listed_with_the_weight_that_is_computed_from_it() -> None:
    """Weight standardisation as timm has it: a BatchNorm of the weight, which is no call on a weight itself."""

    def standardised(x: Tensor, a: Tensor) -> Tensor:
        return F.linear(x, F.batch_norm(a[None], None, None, training=True).view_as(a))

    observation, _ = observed(Called(standardised, torch.randn(3, 4)), torch.randn(5, 4), 5)
    assert [weight.name for weight in observation.weights] == ["weight"]
    reasons = {skipped.name: skipped.reason for skipped in observation.skipped}
    assert reasons == {"a": "the weight 'weight' is computed from it and stands in its place"}
