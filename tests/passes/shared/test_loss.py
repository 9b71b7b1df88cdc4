"""The loss of a pass: always the sum over the samples, whatever the loss function returns."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.errors import InputError
from lswag_fast.passes.shared.loss import cross_entropy, total_loss

B, K = 5, 3
LOGITS = torch.randn(B, K, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.tensor([0, 1, 2, 1, 0])
SUM = F.cross_entropy(LOGITS, LABELS, reduction="sum")


@dataclass
class Output:
    logits: Tensor


@pytest.mark.parametrize("outputs", [LOGITS, Output(LOGITS), SimpleNamespace(logits=LOGITS), {"logits": LOGITS}])
def test_default_is_cross_entropy_of_the_output_or_its_logits(outputs: Any) -> None:
    torch.testing.assert_close(total_loss(outputs, LABELS, B, None, None).total, SUM)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_every_reduction_gives_the_sum(reduction: str) -> None:
    def loss_fn(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets, reduction=reduction)

    said = None if reduction == "none" else reduction
    torch.testing.assert_close(total_loss(LOGITS, LABELS, B, loss_fn, said).total, SUM)


def test_a_loss_module_works() -> None:
    torch.testing.assert_close(total_loss(LOGITS, LABELS, B, torch.nn.CrossEntropyLoss(), "mean").total, SUM)


@pytest.mark.parametrize(
    ("loss", "reduction", "message"),
    [
        (lambda o, t: F.cross_entropy(o, t), None, "returned a scalar.*loss_reduction"),
        (lambda o, t: F.cross_entropy(o, t, reduction="none"), "mean", r"shape \(5,\) although loss_reduction='mean'"),
        (lambda o, t: o, None, r"shape \(5, 3\); one loss per sample is \(5,\)"),
        (lambda o, t: o[:2, 0], None, r"shape \(2,\)"),
        (lambda o, t: 1.5, None, "must return a tensor, got float"),
    ],
)
def test_another_result_of_the_loss_function_is_refused(loss: Any, reduction: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        total_loss(LOGITS, LABELS, B, loss, reduction)


def test_losses_that_are_not_finite_are_counted() -> None:
    logits = LOGITS.clone()
    logits[1] = torch.nan
    logits[3, 1] = -torch.inf
    assert total_loss(logits, LABELS, B, None, None).checked() == 2
    assert total_loss(logits, LABELS, B, F.cross_entropy, "mean").checked() == 1
    assert total_loss(LOGITS, LABELS, B, None, None).checked() == 0


def test_dense_targets_are_summed_over_their_positions() -> None:
    logits, labels = torch.randn(B, K, 4, 2), torch.randint(0, K, (B, 4, 2))
    losses, _ = cross_entropy(logits, labels)
    assert losses.shape == (B,)
    torch.testing.assert_close(losses.sum(), F.cross_entropy(logits, labels, reduction="sum"))


def test_probabilities_are_targets_too() -> None:
    one_hot = F.one_hot(LABELS, K).double()
    torch.testing.assert_close(cross_entropy(LOGITS, one_hot)[0].sum(), SUM)


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.int64])
def test_labels_of_any_integer_type(dtype: torch.dtype) -> None:
    torch.testing.assert_close(cross_entropy(LOGITS, LABELS.to(dtype))[0].sum(), SUM)


@pytest.mark.parametrize(
    ("outputs", "targets", "message"),
    [
        (LOGITS, LABELS + 1, r"labels run from 1 to 3, but the model has 3 classes \(0..2\)"),
        (LOGITS, LABELS - 1, "labels run from -1 to 1"),
        ((LOGITS, LOGITS), LABELS, "returned tuple without `logits`; pass loss_fn"),
        ({"scores": LOGITS}, LABELS, "returned dict without `logits`"),
        (None, LABELS, "returned NoneType"),
        (LOGITS[:, 0], LABELS, r"needs logits \(B, C\).*\(5,\)"),
        (LOGITS, LABELS.double(), r"targets of shape \(5,\), torch.float64 do not fit"),
        (LOGITS, [0, 1, 2, 1, 0], "tensor of targets, got list"),
        (LOGITS, {"label": LABELS}, "tensor of targets, got dict"),
    ],
)
def test_what_the_default_loss_cannot_use_is_refused(outputs: Any, targets: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        total_loss(outputs, targets, B, None, None).checked()


def test_labels_without_elements_are_refused() -> None:
    with pytest.raises(InputError, match="no elements"):
        cross_entropy(torch.zeros(B, K, 0), torch.zeros(B, 0, dtype=torch.long))


def test_labels_that_do_not_fit_the_logits_are_refused() -> None:
    with pytest.raises(InputError, match=r"targets of shape \(5, 2\), torch.int64 do not fit logits of shape \(5, 3\)"):
        cross_entropy(LOGITS, LABELS[:, None].expand(B, 2))
