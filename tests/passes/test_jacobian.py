"""The Jacobian pass: rows, classes, inputs of every form, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lswag_fast.data.batch import Batch
from lswag_fast.errors import InputError, UnsupportedModelError
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.jacobian import JacobianMeasurements, run_jacobian
from support.snapshot import assert_unchanged, snapshot

X, Y = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), torch.tensor([0, 2, 0])
ALL = frozenset(("jacobian", "classes"))


def run(model: nn.Module, inputs: Any = X, targets: Any = Y, **options: Any) -> JacobianMeasurements:
    given: dict[str, Any] = {"chunk_size": None, "seed": 0, **options}
    chosen = ScoreOptions(**given)
    before = snapshot(model)
    try:
        return run_jacobian(model, Batch(inputs, targets, 3), chosen, ALL)
    finally:
        assert_unchanged(model, before)


class Function(nn.Module):
    """A function of the inputs as a model."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


def test_a_row_is_the_gradient_of_the_sum_of_the_logits() -> None:
    """Logits x1^2 and x1 x2, whose sum has the gradient (2 x1 + x2, x1)."""
    found = run(Function(lambda x: torch.stack([x[:, 0] ** 2, x[:, 0] * x[:, 1]], 1)))
    assert found.jacobian.dtype == torch.float64
    assert found.jacobian.tolist() == [[4.0, 1.0], [10.0, 3.0], [16.0, 5.0]]
    assert not found.jacobian.requires_grad
    assert found.n_classes == 2


def test_several_inputs_lie_side_by_side_and_masks_stay_out() -> None:
    mask = torch.tensor([[1.0, 0.0], [1.0, 1.0]])  # of another length than the batch
    model = Function(
        lambda x, z, mask, index: (x @ mask).sum(1, keepdim=True) + z.sum((1, 2))[:, None] * index[:, None]
    )
    inputs = {"x": X, "z": torch.ones(3, 2, 1), "mask": mask, "index": Y}
    assert run(model, inputs).jacobian.tolist() == [[1.0, 2.0, k, k] for k in (0.0, 2.0, 0.0)]
    assert torch.equal(run(model, tuple(inputs.values())).jacobian, run(model, inputs).jacobian)


def test_an_input_without_influence_has_a_row_of_zeros() -> None:
    assert run(Function(lambda x, z: x), (X, X)).jacobian.tolist() == [[1.0, 1.0, 0.0, 0.0]] * 3


def test_the_logits_of_an_output_object_are_found() -> None:
    assert run(Function(lambda x: {"logits": 2 * x})).jacobian.tolist() == [[2.0, 2.0]] * 3


def test_a_model_may_work_on_its_input_in_place() -> None:
    inputs = X.clone()
    assert run(Function(lambda x: x.mul_(3.0)), inputs).jacobian.tolist() == [[3.0, 3.0]] * 3
    assert torch.equal(inputs, X)
    assert not inputs.requires_grad


def test_frozen_parameters_make_no_difference() -> None:
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 3))
    trained = run(model).jacobian
    assert torch.equal(run(model.requires_grad_(False)).jacobian, trained)


def test_train_mode_batch_norm_couples_the_samples() -> None:
    """A BatchNorm takes out the mean, so the gradient of a sum over the batch vanishes."""
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).double()
    x = X.double()
    assert run(model, x).jacobian.abs().max() < 1e-9  # 0 but for rounding in float64
    assert run(model.eval(), x).jacobian.abs().min() > 1e-3


@pytest.mark.parametrize(
    ("targets", "classes"),
    [
        (torch.tensor([2, 0, 1]), [2, 0, 1]),
        (torch.tensor([2, 0, 1], dtype=torch.uint8), [2, 0, 1]),
        (torch.tensor([[0.1, 0.9], [0.7, 0.3], [0.2, 0.8]]), [1, 0, 1]),
        (torch.tensor([[0, 0, 1], [1, 0, 0], [0, 1, 0]]), [2, 0, 1]),
        (torch.tensor([[False, True], [True, False], [False, True]]), [1, 0, 1]),
        (torch.tensor([[1, 1], [1, 0], [0, 1]]), None),
        (torch.tensor([[1.5, -0.5], [0.5, 0.5], [0.0, 1.0]]), None),  # no probabilities
        (torch.tensor([[0.3, 0.3], [0.5, 0.5], [0.0, 1.0]]), None),
        (torch.tensor([0.5, 1.5, 2.5]), None),
        (torch.tensor([[0.5], [1.5], [2.5]]), None),
        (torch.zeros(3, 4, 4, dtype=torch.long), None),
        ({"labels": Y}, None),
        (None, None),
    ],
)
def test_classes(targets: Any, classes: list[int] | None) -> None:
    found = run(Function(lambda x: x), targets=targets).classes
    assert (None if found is None else found.tolist()) == classes


@pytest.mark.parametrize(
    ("model", "inputs", "error", "message"),
    [
        (nn.Embedding(4, 2), Y, InputError, "the jacobian pass differentiates.* inputs are torch.int64, with no float"),
        (Function(lambda x: x), torch.ones(2), InputError, "with no floating-point samples"),
        (Function(lambda x: (x, x)), X, InputError, "the jacobian pass needs logits; the model returned tuple"),
        (Function(lambda x: x.detach()), X, UnsupportedModelError, "jacobian pass: the logits have no gradient"),
        (Function(lambda x: torch.tensor(x.numpy())), X, UnsupportedModelError, r"ask for a gradient.*numpy\(\)"),
    ],
)
def test_refusals(model: nn.Module, inputs: Tensor, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        run(model, inputs)


def test_chunks_are_refused() -> None:
    with pytest.raises(InputError, match="the jacobian pass takes the whole batch at once; leave chunk_size out"):
        run(Function(lambda x: x), chunk_size=2)


def test_a_graph_of_the_user_survives() -> None:
    """No parameter is written, not even with its own values, which would forbid the backward."""
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 3))
    loss = model(X).sum()
    run(model)
    loss.backward()
    assert model[2].weight.grad is not None
