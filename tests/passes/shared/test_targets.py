"""Targets of the default loss: their form, the axis of the classes, and whole scores against a loop over samples."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast import reference, score
from lswag_fast.errors import InputError
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.shared.targets import fit_targets

B, C, T = 6, 4, 5


def probabilities(*shape: int, axis: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)).softmax(axis)


@pytest.mark.parametrize(
    ("logits", "targets", "class_axis", "expected"),
    [
        ((B, C), (B,), None, (B, C)),
        ((B, C), (B,), -1, (B, C)),
        ((B, C, T), (B, T), None, (B, C, T)),
        ((B, T, C), (B, T), None, (B, C, T)),
        ((B, C, 3, 2), (B, 3, 2), None, (B, C, 3, 2)),
        ((B, 3, 2, C), (B, 3, 2), None, (B, C, 3, 2)),
        ((B, T, T), (B, T), 1, (B, T, T)),
        ((B, T, T), (B, T), -1, (B, T, T)),
    ],
)
def test_class_indices(logits: Any, targets: Any, class_axis: Any, expected: Any) -> None:
    values = torch.randn(*logits)
    fitted = fit_targets(values, torch.zeros(targets, dtype=torch.long), class_axis)
    assert tuple(fitted.logits.shape) == expected
    transposed = class_axis == -1 or logits[1:] != expected[1:]
    assert torch.equal(fitted.logits, values.movedim(-1, 1) if transposed else values)


def test_sizes_that_allow_both_axes_ask_for_one() -> None:
    """As many tokens as classes: the loss along the tokens is another number, and says nothing."""
    for targets in (torch.zeros(B, T, dtype=torch.long), torch.full((B, T, T), 1 / T)):
        with pytest.raises(InputError, match=r"\(6, 5, 5\) may lie along axis 1 or the last axis: say class_axis=1 or"):
            fit_targets(torch.randn(B, T, T), targets)


def test_an_axis_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match=r"want indices \(6, 4\) or probabilities \(6, 5, 4\)"):
        fit_targets(torch.randn(B, T, C), torch.zeros(B, T, dtype=torch.long), 1)


@pytest.mark.parametrize("axis", [1, -1])
def test_dense_probabilities_say_their_axis(axis: int) -> None:
    shape = (B, C, T) if axis == 1 else (B, T, C)
    fitted = fit_targets(torch.zeros(shape), probabilities(*shape, axis=axis))
    fitted.check.check()
    assert fitted.logits.shape == fitted.targets.shape == (B, C, T)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.float64, torch.bfloat16])
def test_one_hot_targets_of_any_type(dtype: torch.dtype) -> None:
    labels = torch.arange(B) % C
    fitted = fit_targets(torch.zeros(B, C), F.one_hot(labels, C).to(dtype))
    fitted.check.check()
    assert torch.equal(fitted.targets.argmax(1), labels)
    assert fitted.targets.dtype == fitted.logits.dtype


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (torch.linspace(-2, 2, B * C).view(B, C), "the least is -2"),
        (torch.full((B, C), 0.5), "sums over the classes run from 2 to 2"),
        (torch.zeros(B, C), "run from 0 to 0"),
        (torch.tensor([[1, 1, 0, 0]] * B), "run from 2 to 2"),  # several labels of one sample
    ],
)
def test_what_are_no_probabilities_asks_for_a_loss(targets: Tensor, said: str) -> None:
    with pytest.raises(InputError, match=rf"are no class probabilities: .*{said}.*; for numbers say task="):
        fit_targets(torch.zeros(B, C), targets).check.check()


def test_rounded_probabilities_are_taken() -> None:
    fit_targets(torch.zeros(B, 100), probabilities(B, 100, axis=1).bfloat16()).check.check()


@pytest.mark.parametrize("shape", [(B, 1), (B, 1, 3, 3)])
def test_one_output_is_no_choice_among_classes(shape: tuple[int, ...]) -> None:
    for targets in (torch.zeros(shape), torch.zeros((B, *shape[2:]), dtype=torch.long)):
        with pytest.raises(
            InputError, match=r"one output per sample or position.*task='multi_label' for a binary head"
        ):
            fit_targets(torch.zeros(shape), targets)


def test_ignored_probabilities_are_refused() -> None:
    with pytest.raises(InputError, match="ignore_index marks class indices; the targets are probabilities"):
        fit_targets(torch.zeros(B, C), probabilities(B, C, axis=1), None, 255)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"class_axis": 0}, "class_axis must be 1 or -1, got 0"),
        ({"class_axis": True}, "class_axis must be 1 or -1, got True"),
        ({"ignore_index": 0.5}, "ignore_index must be an integer, got 0.5"),
        ({"output": 0.5}, "output must be a place, a name or a function of the outputs, got 0.5"),
        ({"ignore_index": 255, "loss_fn": F.cross_entropy}, "ignore_index is of cross-entropy"),
        ({"class_axis": 1, "loss_fn": F.cross_entropy}, "class_axis is of cross-entropy"),
    ],
)
def test_options_that_say_nothing(option: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ScoreOptions(**option)


# ---- whole scores ----


class Tokens(nn.Module):
    """Classifies each of T tokens of seven features, the classes last."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(7, 8), nn.Linear(8, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.body(x)))


def pixels(n_classes: int) -> nn.Module:
    """Classifies each pixel of images of five channels."""
    return nn.Sequential(nn.Conv2d(5, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, n_classes, 1))


def trainabilities(model: nn.Module, batch: tuple[Tensor, Tensor], **options: Any) -> list[float]:
    return [layer.trainability for layer in score(model, batch, pattern_samples=4, **options).layers]


def looped(model: nn.Module, batch: tuple[Tensor, Tensor], loss: Any) -> list[float]:
    names = [name for name, p in model.named_parameters() if p.dim() > 1]
    gradients = reference.per_sample_gradients(model, batch, names, loss)
    return [reference.trainability(gradient) for gradient in gradients.values()]


def summed(axis: int, **options: Any) -> Any:
    return lambda outputs, targets: F.cross_entropy(outputs.movedim(axis, 1), targets, reduction="sum", **options)


@pytest.mark.parametrize(("n_classes", "axis"), [(3, None), (T, -1)])
def test_labels_of_tokens(n_classes: int, axis: Any) -> None:
    torch.manual_seed(0)
    model = Tokens(n_classes).double()
    labels = torch.randint(0, n_classes, (B, T))
    labels[:, 3] = -100
    batch = torch.randn(B, T, 7).double(), labels
    expected = looped(model, batch, summed(-1, ignore_index=-100))
    # The same float64 products, summed in another order.
    assert trainabilities(model, batch, ignore_index=-100, class_axis=axis) == pytest.approx(expected, rel=1e-9)


def test_labels_of_pixels_with_a_border_that_does_not_count() -> None:
    torch.manual_seed(0)
    model = pixels(3).double()
    labels = torch.randint(0, 3, (B, 4, 4))
    labels[:, 0] = 255
    batch = torch.randn(B, 5, 4, 4).double(), labels.to(torch.uint8)
    expected = looped(model, (batch[0], labels), summed(1, ignore_index=255))
    assert trainabilities(model, batch, ignore_index=255) == pytest.approx(expected, rel=1e-9)  # order of sums
    with pytest.raises(InputError, match=r"labels run from 0 to 255.*pass ignore_index=255"):
        score(model, batch)


def test_soft_labels() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(7, 8), nn.ReLU(), nn.Linear(8, C)).double()
    batch = torch.randn(B, 7).double(), probabilities(B, C, axis=1).double()
    expected = looped(model, batch, F.cross_entropy)
    assert trainabilities(model, batch) == pytest.approx(expected, rel=1e-9)  # order of sums


def test_an_autoencoder_is_asked_for_its_loss() -> None:
    model = nn.Sequential(nn.Linear(7, 3), nn.ReLU(), nn.Linear(3, 7))
    x = torch.randn(B, 7)
    with pytest.raises(InputError, match="are no class probabilities"):
        score(model, (x, x))


@pytest.mark.parametrize("end", [nn.Identity(), nn.Flatten(0)])
def test_a_binary_head_is_asked_for_its_task(end: nn.Module) -> None:
    model, batch = (
        nn.Sequential(nn.Linear(7, 3), nn.ReLU(), nn.Linear(3, 1), end),
        (torch.randn(B, 7), torch.arange(B) % 2),
    )
    with pytest.raises(InputError, match=r"one output per sample.*say task='multi_label'.*task='regression'"):
        score(model, batch)
    for task in ("multi_label", "regression"):
        assert score(model, batch, task=task).error is None
