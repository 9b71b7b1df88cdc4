"""The loss of a pass: always the sum over the samples, whatever the loss function returns."""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast import score_many
from lswag_fast.errors import InputError
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.shared.loss import TokenLoss, cross_entropy, total_loss

B, K = 5, 3
LOGITS = torch.randn(B, K, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.tensor([0, 1, 2, 1, 0])
SUM = F.cross_entropy(LOGITS, LABELS, reduction="sum")


@dataclass
class Output:
    logits: Tensor


@pytest.mark.parametrize("outputs", [LOGITS, Output(LOGITS), SimpleNamespace(logits=LOGITS), {"logits": LOGITS}])
def test_default_is_cross_entropy_of_the_output_or_its_logits(outputs: Any) -> None:
    torch.testing.assert_close(total_loss(outputs, LABELS, B, ScoreOptions()).total, SUM)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_every_reduction_gives_the_sum(reduction: str) -> None:
    def loss_fn(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets, reduction=reduction)

    said = None if reduction == "none" else reduction
    torch.testing.assert_close(
        total_loss(LOGITS, LABELS, B, ScoreOptions(loss_fn=loss_fn, loss_reduction=said)).total, SUM
    )


def test_a_loss_module_works() -> None:
    torch.testing.assert_close(
        total_loss(LOGITS, LABELS, B, ScoreOptions(loss_fn=torch.nn.CrossEntropyLoss(), loss_reduction="mean")).total,
        SUM,
    )


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
        total_loss(LOGITS, LABELS, B, ScoreOptions(loss_fn=loss, loss_reduction=reduction))


def test_losses_that_are_not_finite_are_counted() -> None:
    logits = LOGITS.clone()
    logits[1] = torch.nan
    logits[3, 1] = -torch.inf
    assert total_loss(logits, LABELS, B, ScoreOptions()).checked() == 2
    assert total_loss(logits, LABELS, B, ScoreOptions(loss_fn=F.cross_entropy, loss_reduction="mean")).checked() == 1
    assert total_loss(LOGITS, LABELS, B, ScoreOptions()).checked() == 0


def test_a_loss_may_be_named_or_be_that_of_a_task() -> None:
    outputs, targets = torch.randn(B, 2, 4), torch.rand(B, 2, 4)
    expected = F.mse_loss(outputs, targets, reduction="none").flatten(1).mean(1)
    for options in (ScoreOptions(loss_fn="mse"), ScoreOptions(task="regression"), ScoreOptions(task="room_layout")):
        torch.testing.assert_close(total_loss(Output(outputs), targets, B, options).losses, expected)
    other = ScoreOptions(task="regression", loss_fn="l1")
    torch.testing.assert_close(total_loss(outputs, targets, B, other).total, B * F.l1_loss(outputs, targets))


def test_cross_entropy_of_a_task_is_averaged_over_positions() -> None:
    logits, labels = torch.randn(B, K, 4, 2), torch.randint(0, K, (B, 4, 2))
    labels[:, 0] = 255
    summed = total_loss(logits, labels, B, ScoreOptions(ignore_index=255)).losses
    for options in ({"task": "segmentation"}, {"loss_fn": "cross_entropy"}):
        found = total_loss(logits, labels, B, ScoreOptions(ignore_index=255, **options)).losses  # type: ignore[arg-type]
        torch.testing.assert_close(found, summed / 8)


def test_a_named_loss_wants_a_tensor_and_fitting_targets() -> None:
    with pytest.raises(InputError, match=r"the model returned a tuple of 2 without `logits`"):
        total_loss((LOGITS, LOGITS), LOGITS, B, ScoreOptions(task="regression"))
    with pytest.raises(InputError, match=r"targets of shape \(5,\) do not fit outputs of shape \(5, 3\)"):
        total_loss(LOGITS, LABELS, B, ScoreOptions(task="regression"))
    with pytest.raises(InputError, match=r"targets of shape \(5, 2\), .* do not fit logits of shape \(5, 3, 2, 2\)"):
        total_loss(torch.zeros(5, 3, 2, 2), LABELS[:, None].expand(5, 2), B, ScoreOptions(task="segmentation"))


def test_dense_targets_are_summed_over_their_positions() -> None:
    logits, labels = torch.randn(B, K, 4, 2), torch.randint(0, K, (B, 4, 2))
    losses, _ = cross_entropy(logits, labels, ScoreOptions())
    assert losses.shape == (B,)
    torch.testing.assert_close(losses.sum(), F.cross_entropy(logits, labels, reduction="sum"))


def test_probabilities_are_targets_too() -> None:
    one_hot = F.one_hot(LABELS, K).double()
    torch.testing.assert_close(cross_entropy(LOGITS, one_hot, ScoreOptions())[0].sum(), SUM)


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.int64])
def test_labels_of_any_integer_type(dtype: torch.dtype) -> None:
    torch.testing.assert_close(cross_entropy(LOGITS, LABELS.to(dtype), ScoreOptions())[0].sum(), SUM)


@pytest.mark.parametrize(
    ("outputs", "targets", "message"),
    [
        (LOGITS, LABELS + 1, r"labels run from 1 to 3, but the model has 3 classes \(0..2\)"),
        (LOGITS, LABELS - 1, "labels run from -1 to 1"),
        (LOGITS, LABELS.masked_fill(LABELS == 1, 255), "where 255 marks what is not to count, pass ignore_index=255"),
        (LOGITS, LABELS.masked_fill(LABELS == 1, -100), "pass ignore_index=-100"),
        ((LOGITS, LOGITS), LABELS, "returned a tuple of 2 without `logits`; say output="),
        ({"scores": LOGITS}, LABELS, r"returned a dict \(keys: scores\) without `logits`; say output="),
        (None, LABELS, "returned None without `logits`"),
        (LOGITS[:, 0], LABELS, r"returned \(5,\), one output per sample .*task=.multi_label"),
        (LOGITS, LABELS.double(), r"\(5,\), torch.float64 are not class labels: use integers"),
        (LOGITS, [0, 1, 2, 1, 0], "tensor of targets, got list"),
        (LOGITS, {"label": LABELS}, "tensor of targets, got dict"),
    ],
)
def test_what_the_default_loss_cannot_use_is_refused(outputs: Any, targets: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        total_loss(outputs, targets, B, ScoreOptions()).checked()


def test_labels_without_elements_are_refused() -> None:
    with pytest.raises(InputError, match="no elements"):
        cross_entropy(torch.zeros(B, K, 0), torch.zeros(B, 0, dtype=torch.long), ScoreOptions())


def test_labels_that_do_not_fit_the_logits_are_refused() -> None:
    with pytest.raises(InputError, match=r"targets of shape \(5, 2\), torch.int64 do not fit logits of shape \(5, 3\)"):
        cross_entropy(LOGITS, LABELS[:, None].expand(B, 2), ScoreOptions())


def test_what_is_ignored_has_no_loss() -> None:
    logits, labels = LOGITS[:, :, None].repeat(1, 1, 2), LABELS[:, None].repeat(1, 2)
    labels[1, 0] = labels[4, 1] = 255
    loss = total_loss(logits, labels, B, ScoreOptions(ignore_index=255))
    torch.testing.assert_close(loss.total, F.cross_entropy(logits, labels, reduction="sum", ignore_index=255))
    assert loss.checked() == 0
    with pytest.raises(InputError, match="labels run from 0 to 7"):
        total_loss(logits, labels.masked_fill(labels == 2, 7), B, ScoreOptions(ignore_index=255)).checked()


@pytest.mark.parametrize("options", [{}, {"loss_fn": "cross_entropy"}, {"task": "segmentation"}])
@pytest.mark.parametrize("shape", [(), (3, 2)])
def test_a_sample_without_a_label_that_counts_is_named(options: dict[str, Any], shape: tuple[int, ...]) -> None:
    labels = torch.zeros(B, *shape, dtype=torch.long)
    labels[1], labels[3] = 255, 255
    loss = total_loss(torch.randn(B, K, *shape), labels, B, ScoreOptions(ignore_index=255, **options))
    with pytest.raises(InputError, match="in samples 1, 3 of the batch: all labels are ignore_index=255; leave"):
        loss.checked()
    with pytest.raises(InputError, match="in samples 9, 11 of the batch"):
        loss.checked(first=8)


def test_the_chosen_output_is_what_every_loss_gets() -> None:
    outputs = (torch.zeros(B, 9), LOGITS)
    torch.testing.assert_close(total_loss(outputs, LABELS, B, ScoreOptions(output=1)).total, SUM)
    own = ScoreOptions(output=lambda found: found[1], loss_fn=F.cross_entropy, loss_reduction="mean")
    torch.testing.assert_close(total_loss(outputs, LABELS, B, own).total, SUM)


def test_the_loss_of_tokens_is_a_sum_over_those_that_count() -> None:
    logits = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.randint(7, (3, 5), generator=torch.Generator().manual_seed(1))
    labels[0, 2:] = -100
    p = logits.log_softmax(2)
    for shift in (False, True):
        expected = [
            -math.fsum(float(p[b, t - shift, labels[b, t]]) for t in range(int(shift), 5) if labels[b, t] >= 0)
            for b in range(3)
        ]
        assert TokenLoss(shift=shift)(logits, labels).tolist() == pytest.approx(expected, rel=1e-12)
        assert TokenLoss(shift=shift)({"logits": logits}, labels).tolist() == pytest.approx(expected, rel=1e-12)


def test_the_loss_of_tokens_says_what_it_is() -> None:
    assert repr(TokenLoss(shift=True)) == "TokenLoss(shift=True, ignore_index=-100)"
    assert pickle.loads(pickle.dumps(TokenLoss(ignore_index=0))) == TokenLoss(ignore_index=0)


def test_samples_in_which_no_token_counts_are_named() -> None:
    labels = torch.zeros(6, 4, dtype=torch.long)
    labels[[1, 4]] = -100
    with pytest.raises(InputError, match=r"no token counts in samples 1, 4 of the batch: all labels are -100; leave"):
        TokenLoss()(torch.zeros(6, 4, 3), labels)
    labels[2, 1:] = -100
    with pytest.raises(InputError, match=r"samples 1, 2, 4 of the batch: all labels are -100 but the first"):
        TokenLoss(shift=True)(torch.zeros(6, 4, 3), labels)


@pytest.mark.parametrize(
    ("shape", "labels", "message"),
    [
        ((2, 4, 3), torch.zeros(2, 4), "labels are a tensor of whole numbers"),
        ((2, 4, 3), torch.zeros(2, 5, dtype=torch.long), r"labels of shape \(2, 5\) do not fit logits"),
        ((2, 3), torch.zeros(2, dtype=torch.long), r"do not fit logits of shape \(2, 3\)"),
        ((2, 4, 3), torch.full((2, 4), 3), r"labels run from 3 to 3, the model tells 3 tokens \(0\.\.2\)"),
        ((2, 4, 3), [0, 0], "got list"),
    ],
)
def test_labels_that_do_not_fit(shape: tuple[int, ...], labels: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        TokenLoss()(torch.zeros(shape), labels)


def test_an_empty_text_costs_the_proxies_of_gradients_alone() -> None:
    model = nn.Sequential(nn.Embedding(9, 4), nn.ReLU(), nn.Linear(4, 9))
    tokens = torch.arange(12).reshape(3, 4) % 9
    labels = tokens.clone()
    labels[2] = -100
    scores = score_many(model, (tokens, labels), proxies=["lswag", "near", "params"], loss_fn=TokenLoss())
    assert "no token counts in sample 2" in str(scores["lswag"].error)
    assert scores["near"].error is None and scores["params"].error is None
