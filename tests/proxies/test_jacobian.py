"""jacov and epe_nas: by hand, against NumPy in float64, their invariances and their refusals."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast import reference, score, score_many
from lswag_fast.errors import InputError, LswagError, NonFiniteGradientError, ZeroVarianceError
from lswag_fast.passes.jacobian import JacobianMeasurements
from lswag_fast.proxies import get_proxy
from lswag_fast.proxies.registry import Measurements
from networks import N_CLASSES, NETWORKS, Network
from proxies.conftest import autoformer
from support.oracle import call
from support.snapshot import assert_unchanged, snapshot

NAMES = ["jacov", "epe_nas"]


def computed(name: str, rows: Tensor, classes: Any = None, n_classes: int = 10) -> float:
    classes = None if classes is None else torch.tensor(classes)
    return get_proxy(name).compute(Measurements({"jacobian": JacobianMeasurements(rows, classes, n_classes)}))


def values(model: nn.Module, batch: Any, **options: Any) -> dict[str, float]:
    scores = score_many(model, batch, proxies=NAMES, **options)
    assert scores.passes == ("jacobian",)
    assert all(s.error is None for s in scores.values()), scores
    return {name: s.value for name, s in scores.items()}


def expected_values(rows: Tensor, classes: Tensor) -> dict[str, float]:
    return {"jacov": reference.jacov(rows), "epe_nas": reference.epe_nas(rows, classes, N_CLASSES)}


def plain_jacobian(net: Network) -> Tensor:
    """The Jacobian as plain float32 torch gives it."""
    model, (inputs, _) = net.build(torch.float32)
    x = inputs.clone().requires_grad_()
    return torch.autograd.grad(call(model, x).sum(), x)[0].flatten(1)


def test_against_float64(net: Network) -> None:
    model, (inputs, targets) = net.build()
    expected = expected_values(reference.input_jacobian(model, inputs), targets)
    assert values(*net.build()) == pytest.approx(expected, rel=1e-9)  # float64, eigenvalues by another routine
    plain = expected_values(plain_jacobian(net), targets)
    for name, value in values(*net.build(torch.float32)).items():
        bound = max(1e-4 * abs(expected[name]), 3 * abs(plain[name] - expected[name]))  # the accuracy contract
        assert abs(value - expected[name]) <= bound, name


def test_on_an_autoformer() -> None:
    model, batch = autoformer()
    expected = expected_values(reference.input_jacobian(model, batch[0]), batch[1])
    assert values(model, batch) == pytest.approx(expected, rel=1e-4)  # the accuracy contract


def test_train_mode_batch_norm_runs_as_it_is() -> None:
    model, (inputs, targets) = NETWORKS["cnn_train"].build()
    expected = expected_values(reference.input_jacobian(model, inputs), targets)
    assert values(model, (inputs, targets)) == pytest.approx(expected, rel=1e-9)  # float64
    assert values(model.eval(), (inputs, targets))["jacov"] != pytest.approx(expected["jacov"], rel=1e-3)


def test_uncorrelated_rows_give_the_best_jacov() -> None:
    rows = torch.tensor([[1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0]], dtype=torch.float64)
    best = -2 * (math.log(1 + 1e-5) + 1 / (1 + 1e-5))
    assert computed("jacov", rows) == pytest.approx(best, rel=1e-12)


def test_equal_rows_give_a_jacov_of_one_eigenvalue_zero() -> None:
    """Eigenvalues 2 and 0, of which k = 1e-5 makes 1/k = 1e5."""
    rows = torch.tensor([[1.0, 2.0, 4.0], [2.0, 4.0, 8.0]], dtype=torch.float64)
    expected = -(math.log(2 + 1e-5) + 1 / (2 + 1e-5) + math.log(1e-5) + 1e5)
    assert computed("jacov", rows) == pytest.approx(expected, rel=1e-6)  # the rounding of 0 beside 1e-5


R = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 2.0, 4.0], [3.0, 6.0, 12.0], [1.0, 5.0, 2.0]]).double()
SELF = math.log(1 + 1e-5)
HALF = 2 * SELF + 2 * math.log(0.5 + 1e-5)  # rows 0 and 1 correlate by -1/2
ONE = 4 * SELF  # rows 2 and 3 by 1


def test_epe_nas_of_up_to_a_hundred_classes_adds_them_up() -> None:
    assert computed("epe_nas", R, [7, 7, 3, 3, 0], 100) == pytest.approx(abs(HALF) + ONE + SELF, rel=1e-9)


def test_epe_nas_of_more_classes_compares_them() -> None:
    """s_c over its two samples; both ordered pairs, over two classes; the class of one sample is left out."""
    assert computed("epe_nas", R, [7, 7, 3, 3, 0], 101) == pytest.approx(abs(HALF - ONE) / 2, rel=1e-9)
    assert reference.epe_nas(R, torch.tensor([7, 7, 3, 3, 0]), 101) == pytest.approx(abs(HALF - ONE) / 2, rel=1e-9)


def test_the_number_of_classes_is_that_of_the_logits() -> None:
    torch.manual_seed(0)
    batch = torch.randn(8, 5).double(), torch.arange(8) % 3
    for n_classes in (100, 101):
        model = nn.Sequential(nn.Linear(5, 9), nn.Tanh(), nn.Linear(9, n_classes)).double()
        expected = reference.epe_nas(reference.input_jacobian(model, batch[0]), batch[1], n_classes)
        assert score(model, batch, proxy="epe_nas").value == pytest.approx(expected, rel=1e-9)  # float64


@pytest.mark.parametrize("kind", ["order", "one-hot", "scale", "loss", "frozen"])
def test_what_makes_no_difference(net: Network, kind: str) -> None:
    model, (inputs, targets) = net.build()
    expected = values(model, (inputs, targets))
    options: dict[str, Any] = {}
    if kind == "order":
        order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(1))
        inputs, targets = inputs[order], targets[order]
    elif kind == "one-hot":
        targets = F.one_hot(targets, N_CLASSES)
    elif kind == "scale":
        model = Scaled(model)
    elif kind == "loss":
        options["loss_fn"] = failing
    else:
        model.requires_grad_(False)
    # Float64, with eigenvalues near 0 beside k = 1e-5.
    assert values(model, (inputs, targets), **options) == pytest.approx(expected, rel=1e-9)


class Scaled(nn.Module):
    """The logits times 100."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return 100 * self.model(x)


def failing(outputs: Any, targets: Any) -> Tensor:
    raise RuntimeError("no loss is needed")


@pytest.mark.parametrize("name", NAMES)
def test_it_takes_the_seed_for_dropout(name: str) -> None:
    model = nn.Sequential(nn.Linear(7, 40), nn.Tanh(), nn.Dropout(0.5), nn.Linear(40, 4))
    batch = torch.randn(6, 7), torch.arange(6) % 2
    first, again, other = (score(model, batch, proxy=name, seed=seed).value for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("name", NAMES)
def test_the_model_is_left_as_it_was(name: str) -> None:
    model, batch = NETWORKS["resnet_train"].build()
    before = snapshot(model)
    score(model, batch, proxy=name)
    assert_unchanged(model, before)
    with pytest.raises(LswagError, match="the model fails on inputs that ask for a gradient"):
        score(model, (batch[0][:, :2], batch[1]), proxy=name)
    assert_unchanged(model, before)


ROWS = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).double()
CONSTANT, BROKEN = ROWS.clone(), ROWS.clone()
CONSTANT[1], BROKEN[2, 0] = 5.0, math.nan


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        (CONSTANT, ZeroVarianceError, "correlates the rows of the Jacobian, but 1 of 4 are constant"),
        (ROWS[:, :1], ZeroVarianceError, "correlates the rows of the Jacobian, but 4 of 4 are constant"),
        (BROKEN, NonFiniteGradientError, r"the Jacobian of 1 sample\(s\) holds NaN or infinite values"),
    ],
)
def test_rows_without_correlation_are_refused(name: str, rows: Tensor, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{name}:? {message}"):
        computed(name, rows, [0, 0, 1, 1])


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (None, "epe_nas needs the class of each sample"),
        ([2, 2, 2, 2], "epe_nas needs samples of two classes or more; all samples of the batch are of one class"),
        ([0, 1, 2, 3], "epe_nas needs two samples of a class"),
    ],
)
def test_classes_that_epe_nas_cannot_use(classes: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        computed("epe_nas", ROWS, classes)


def test_what_one_proxy_cannot_do_leaves_the_other() -> None:
    model, (inputs, _) = NETWORKS["mlp"].build()
    scores = score_many(model, (inputs, torch.zeros(6, dtype=torch.long)), proxies=NAMES)
    assert scores["jacov"].error is None
    assert "one class" in str(scores["epe_nas"].error)
    assert math.isnan(scores["epe_nas"].value)
