"""The empirical Fisher pass against one backward per sample and class, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lswag_fast.data.batch import Batch
from lswag_fast.errors import InputError, NothingObservedError, UnsupportedModelError
from lswag_fast.options import ScoreOptions
from lswag_fast.passes import empirical_fisher
from lswag_fast.passes.empirical_fisher import EmpiricalFisherMeasurements, run_empirical_fisher
from lswag_fast.reference import vkdnw as reference
from networks import NETWORKS
from support.snapshot import assert_unchanged, snapshot

EXACT = ("mlp", "cnn_eval", "cnn_train", "depthwise", "grouped", "conv1d", "vit", "padding_same")


def measured(model: nn.Module, inputs: Any, *statistics: str, **options: Any) -> EmpiricalFisherMeasurements:
    before = snapshot(model)
    try:
        batch = Batch(inputs, None, len(inputs))
        return run_empirical_fisher(model, batch, ScoreOptions(**options), frozenset(statistics))
    finally:
        assert_unchanged(model, before)


def run(model: nn.Module, inputs: Any, **options: Any) -> Tensor:
    found = measured(model, inputs, "information", **options)
    assert found.information is not None and found.information_of_all is None
    return found.information


def run_all(model: nn.Module, inputs: Any, **options: Any) -> Tensor:
    found = measured(model, inputs, "information_of_all", **options)
    assert found.information_of_all is not None and found.information is None
    return found.information_of_all


@pytest.mark.parametrize("name", EXACT)
def test_against_one_backward_for_each_sample_and_class(name: str) -> None:
    net = NETWORKS[name]
    model, (inputs, _) = net.build()
    expected = reference.fisher_information(model, inputs, net.observed)
    # float64 sums in another order; the covariance of the classes is a difference
    torch.testing.assert_close(run(model, inputs), expected, rtol=1e-8, atol=1e-12 * float(expected.abs().max()))
    assert measured(model, inputs, "information").n_parameters == len(list(model.parameters()))


@pytest.mark.parametrize("name", ["mlp", "cnn_eval", "cnn_train", "conv1d", "vit"])
def test_all_parameters_against_one_backward_for_each_sample_and_class(name: str) -> None:
    model, (inputs, _) = NETWORKS[name].build()
    names = [name for name, _ in model.named_parameters()]
    expected = reference.fisher_information(model, inputs, names)
    assert len(expected) > len(NETWORKS[name].observed)  # biases, and the scales of norms
    # float64 sums in another order: here a sample goes through the model by itself
    torch.testing.assert_close(run_all(model, inputs), expected, rtol=1e-8, atol=1e-12 * float(expected.abs().max()))


def test_both_at_once_are_those_of_each_alone() -> None:
    model, (inputs, _) = NETWORKS["cnn_eval"].build()
    both = measured(model, inputs, "information", "information_of_all")
    assert both.information is not None and both.information_of_all is not None
    torch.testing.assert_close(both.information, run(model, inputs), rtol=0, atol=0)
    torch.testing.assert_close(both.information_of_all, run_all(model, inputs), rtol=0, atol=0)


def test_a_frozen_parameter_has_no_scalar() -> None:
    model, (inputs, _) = NETWORKS["mlp"].build()
    frozen, *_ = model.parameters()
    frozen.requires_grad_(False)
    names = [name for name, parameter in model.named_parameters() if parameter is not frozen]
    expected = reference.fisher_information(NETWORKS["mlp"].build()[0], inputs, names)
    torch.testing.assert_close(run_all(model, inputs), expected, rtol=1e-8, atol=1e-12 * float(expected.abs().max()))


def test_of_all_parameters_layers_choose_none_and_samples_go_alone() -> None:
    class OfPairs(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.reshape(-1, 2, 3)).reshape(-1, 2)

    inputs = torch.randn(4, 3)
    with pytest.raises(InputError, match="takes scalars of all parameters, of which layers chooses none"):
        run_all(nn.Linear(3, 2), inputs, layers=(0, 5))
    with pytest.raises(UnsupportedModelError, match=r"the model fails on a single sample \(empirical_fisher pass\)"):
        run_all(OfPairs(3, 2), inputs)
    with pytest.raises(NothingObservedError, match="no parameter of the model asks for a gradient"):
        run_all(nn.Linear(3, 2).requires_grad_(False), inputs)
    with pytest.raises(InputError, match="logits of two classes or more; the model returned one"):
        run_all(nn.Linear(3, 1), inputs)


def test_a_weight_that_no_logit_depends_on_has_no_information() -> None:
    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.idle, self.head = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            self.idle(x)
            return self.head(x)

    inputs = torch.randn(4, 3)
    information = run(Unused(), inputs)
    assert information[0].abs().sum() == 0
    assert information[1, 1] > 0
    of_all = run_all(Unused(), inputs)
    assert of_all[:2].abs().sum() == 0  # the weight and the bias
    assert of_all[3, 3] > 0


def test_one_class_is_refused_as_its_softmax_is_constant() -> None:
    with pytest.raises(InputError, match="needs logits of two classes or more; the model returned one"):
        run(nn.Linear(3, 1), torch.randn(4, 3))


def test_only_the_first_weights_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(empirical_fisher, "MOST_WEIGHTS", 2)
    model, (inputs, _) = NETWORKS["mlp"].build()
    expected = reference.fisher_information(model, inputs, NETWORKS["mlp"].observed[:2])
    torch.testing.assert_close(run(model, inputs), expected, rtol=1e-8, atol=1e-12)
    expected = reference.fisher_information(model, inputs, [name for name, _ in model.named_parameters()][:2])
    torch.testing.assert_close(run_all(model, inputs), expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    ("model", "options", "error", "message"),
    [
        (nn.Conv2d(3, 4, 1), {}, InputError, r"needs logits \(B, C\); the model returned \(4, 4, 8, 8\)"),
        (nn.Flatten(), {}, NothingObservedError, "empirical_fisher pass: no weight could be observed$"),
        (nn.Flatten(), {"chunk_size": 2}, InputError, "the empirical_fisher pass takes the whole batch at once"),
    ],
)
def test_refusals(model: nn.Module, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        run(model, torch.randn(4, 3, 8, 8), **options)
