"""The empirical Fisher pass against one backward per sample and class, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lswag_fast.data.batch import Batch
from lswag_fast.errors import InputError, NothingObservedError
from lswag_fast.options import ScoreOptions
from lswag_fast.passes import empirical_fisher
from lswag_fast.passes.empirical_fisher import EmpiricalFisherMeasurements, run_empirical_fisher
from lswag_fast.reference import vkdnw as reference
from networks import NETWORKS
from support.snapshot import assert_unchanged, snapshot

EXACT = ("mlp", "cnn_eval", "cnn_train", "depthwise", "grouped", "conv1d", "vit", "padding_same")


def run(model: nn.Module, inputs: Any, **options: Any) -> EmpiricalFisherMeasurements:
    before = snapshot(model)
    try:
        batch = Batch(inputs, None, len(inputs))
        return run_empirical_fisher(model, batch, ScoreOptions(**options), frozenset(("information",)))
    finally:
        assert_unchanged(model, before)


@pytest.mark.parametrize("name", EXACT)
def test_against_one_backward_for_each_sample_and_class(name: str) -> None:
    net = NETWORKS[name]
    model, (inputs, _) = net.build()
    found = run(model, inputs)
    expected = reference.fisher_information(model, inputs, net.observed)
    # float64 sums in another order; the covariance of the classes is a difference
    torch.testing.assert_close(found.information, expected, rtol=1e-8, atol=1e-12 * float(expected.abs().max()))
    assert found.n_parameters == len(list(model.parameters()))


def test_a_weight_that_no_logit_depends_on_has_no_information() -> None:
    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.idle, self.head = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            self.idle(x)
            return self.head(x)

    information = run(Unused(), torch.randn(4, 3)).information
    assert information[0].abs().sum() == 0
    assert information[1, 1] > 0


def test_one_class_is_refused_as_its_softmax_is_constant() -> None:
    with pytest.raises(InputError, match="needs logits of two classes or more; the model returned one"):
        run(nn.Linear(3, 1), torch.randn(4, 3))


def test_only_the_first_weights_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(empirical_fisher, "MOST_WEIGHTS", 2)
    model, (inputs, _) = NETWORKS["mlp"].build()
    expected = reference.fisher_information(model, inputs, NETWORKS["mlp"].observed[:2])
    torch.testing.assert_close(run(model, inputs).information, expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    ("model", "options", "error", "message"),
    [
        (nn.Conv2d(3, 4, 1), {}, InputError, r"needs logits \(B, C\); the model returned \(4, 4, 8, 8\)"),
        (nn.Flatten(), {}, NothingObservedError, "empirical_fisher pass: no weight could be observed"),
        (nn.Flatten(), {"chunk_size": 2}, InputError, "the empirical_fisher pass takes the whole batch at once"),
    ],
)
def test_refusals(model: nn.Module, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        run(model, torch.randn(4, 3, 8, 8), **options)
