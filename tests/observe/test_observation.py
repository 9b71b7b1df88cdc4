"""An observation: which weights have a statistic, in order of execution, the reasons of the others, and no trace."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast.data.batch import Batch
from lswag_fast.observe import CaptureOptions, observe
from support.observing import observed

B = 4


class Uses(nn.Module):
    """Holds a matrix and a kernel; the test says how the forward uses them."""

    def __init__(self, body: Callable[[Uses, Tensor], Tensor], frozen: bool = False) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(6, 6), requires_grad=not frozen)
        self.kernel = nn.Parameter(torch.randn(2, 2, 3))
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self, x)


def reasons(body: Callable[[Uses, Tensor], Tensor], x: Tensor | None = None, frozen: bool = False) -> dict[str, str]:
    """What is skipped, and why, when a forward of (B, 6) or other samples uses the matrix that way."""
    inputs = torch.randn(B, 6) if x is None else x
    observation, _ = observed(Uses(body, frozen), inputs, len(inputs))
    return {skip.name: skip.reason for skip in observation.skipped}


def plain(model: Uses, x: Tensor) -> Tensor:
    return F.linear(x, model.matrix)


def test_an_observed_weight_is_not_skipped_and_an_unused_one_is() -> None:
    skipped = reasons(plain)
    assert "matrix" not in skipped
    assert "not used in the forward pass" in skipped["kernel"]


def _in_two_layouts(x: Tensor, stack: Tensor) -> Tensor:
    """The same view as one matrix and as two side by side."""
    return torch.einsum("bi,gki->bgk", x, stack) + torch.einsum("gbi,gki->bgk", x.expand(2, *x.shape), stack)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (lambda m, x: F.linear(x, m.matrix) + x @ m.matrix.exp(), "used by"),
        (lambda m, x: F.linear(x, m.matrix) + m.matrix.square().sum(), "used by"),
        (lambda m, x: F.linear(x, m.matrix[:5]).sum() + F.linear(x, m.matrix[3:]), "overlap"),
        (lambda m, x: F.linear(x, m.matrix[:1].expand(6, 6)), "overlap"),
        (lambda m, x: F.linear(m.matrix[0], m.matrix), "used by|made of parameters"),
        (lambda m, x: F.linear(x, m.matrix, m.matrix[:, 0]), "as its bias"),
        (lambda m, x: F.linear(x, m.matrix) @ F.linear(m.matrix, torch.eye(6)), "as its input"),
        (lambda m, x: torch.addmm(m.matrix[0], x, m.matrix), "used by addmm"),
        (lambda m, x: torch.einsum("bi,oi,o->bo", x, m.matrix, m.matrix[0]), "used by einsum"),
        (lambda m, x: _in_two_layouts(x, m.matrix.view(2, 3, 6)), "overlap"),
        (lambda m, x: x + F.linear(torch.ones(6), m.matrix), "not of samples"),
        (lambda m, x: F.linear(torch.ones(B, 6), m.matrix)[: len(x)] + x, "not of samples"),
        (lambda m, x: F.linear(x.detach().to(torch.complex64), m.matrix.to(torch.complex64)).real, "used by to"),
    ],
)
def test_a_weight_without_an_exact_statistic_is_skipped_with_the_reason(body, reason) -> None:
    skipped = reasons(body)
    assert "matrix" in skipped
    assert any(part in skipped["matrix"] for part in reason.split("|"))


def test_a_weight_under_no_grad_is_skipped() -> None:
    assert "no_grad" in reasons(torch.no_grad()(plain))["matrix"]


def test_a_frozen_weight_is_skipped() -> None:
    assert reasons(plain, frozen=True)["matrix"] == "frozen (requires_grad=False)"


def test_reading_a_weights_shape_or_value_does_not_forbid_it() -> None:
    def body(model: Uses, x: Tensor) -> Tensor:
        scale = model.matrix.detach().abs().mean() + model.matrix.data.sum() + model.matrix.shape[0]
        with torch.no_grad():
            scale += model.matrix.norm()
        return F.linear(x, model.matrix) * scale

    assert "matrix" not in reasons(body)


def test_a_detached_copy_and_a_product_under_no_grad_are_no_weights() -> None:
    """They get no gradient, as a teacher's do not."""

    def body(model: Uses, x: Tensor) -> Tensor:
        with torch.no_grad():
            doubled = 2 * model.matrix
        return F.linear(x, model.matrix) + F.linear(x, model.matrix.detach()) + F.linear(x, doubled)

    observation, _ = observed(Uses(body), torch.randn(B, 6), B)
    assert [(weight.name, len(weight.calls)) for weight in observation.weights] == [("matrix", 1)]


def test_calls_inside_of_vmap_are_skipped() -> None:
    def body(model: Uses, x: Tensor) -> Tensor:
        return torch.func.vmap(lambda row: F.linear(row, model.matrix))(x)

    assert "torch.func" in reasons(body)["matrix"]


def test_one_kernel_under_two_geometries_is_skipped() -> None:
    """The native kernel takes one geometry per weight; shared kernels of two dilations must not be mixed up."""

    def body(model: Uses, x: Tensor) -> Tensor:
        near, far = F.conv1d(x, model.kernel, padding=1), F.conv1d(x, model.kernel, padding=2, dilation=2)
        return near + far

    assert "different stride, padding, dilation or groups" in reasons(body, torch.randn(B, 2, 7))["kernel"]


def test_one_kernel_called_twice_alike_is_observed() -> None:
    def body(model: Uses, x: Tensor) -> Tensor:
        return F.conv1d(F.conv1d(x, model.kernel, padding=1), model.kernel, padding=1)

    observation, _ = observed(Uses(body), torch.randn(B, 2, 7), B)
    (weight,) = observation.weights
    assert (weight.name, len(weight.calls)) == ("kernel", 2)


def test_a_convolution_along_the_samples_is_skipped() -> None:
    """(T, C, B) with the samples on the spatial axis: the kernel's window mixes them."""
    x = torch.randn(B, 5, 2)
    skipped = reasons(lambda m, x: F.conv1d(x.movedim(0, 2), m.kernel, padding=1).mean(2), x)
    assert "spatial axis" in skipped["kernel"]


def test_an_unbatched_convolution_is_skipped() -> None:
    skipped = reasons(lambda m, x: x + F.conv1d(x[:2], m.kernel).sum())
    assert "cannot tell where the samples lie" in skipped["kernel"]


def test_weights_come_in_order_of_execution() -> None:
    model = nn.ModuleDict({"late": nn.Linear(5, 3), "early": nn.Linear(4, 5)})
    model.forward = lambda x: model["late"](F.relu(model["early"](x)))  # type: ignore[method-assign]
    observation, _ = observed(model, torch.randn(B, 4), B)
    assert [weight.name for weight in observation.weights] == ["early.weight", "late.weight"]
    assert [activation.index for activation in observation.activations] == [1]


def test_an_activation_whose_samples_stay_unclear_is_skipped() -> None:
    skipped = reasons(lambda m, x: F.linear(x, m.matrix) + F.relu(x[:1].repeat(2 * B, 1)).sum())
    assert "cannot tell where the samples lie" in skipped["relu@1"]


def batch_of(x: Tensor) -> Batch:
    return Batch(x, None, len(x))


def test_no_parameter_asks_for_a_gradient_within_and_each_as_before_after() -> None:
    model = Uses(plain)
    model.kernel.requires_grad_(False)
    with observe(model, batch_of(torch.randn(B, 6)), CaptureOptions(1)) as observation:
        assert not any(p.requires_grad for p in model.parameters())
        observation.run()
    assert (model.matrix.requires_grad, model.kernel.requires_grad) == (True, False)


def test_parameters_ask_for_gradients_again_after_an_error() -> None:
    model = Uses(lambda m, x: x.unknown)
    with (
        pytest.raises(AttributeError, match="unknown"),
        observe(model, batch_of(torch.randn(B, 6)), CaptureOptions(1)) as observation,
    ):
        observation.run()
    assert model.matrix.requires_grad
    assert torch._C._len_torch_function_stack() == 0


def test_without_operands_there_is_no_graph_and_no_weight() -> None:
    capture = CaptureOptions(B, operands=False)
    model = Uses(lambda m, x: F.relu(plain(m, x)))
    with observe(model, batch_of(torch.randn(B, 6)), capture) as observation:
        out = observation.run()
    assert not out.requires_grad
    assert observation.weights == ()
    assert [activation.name for activation in observation.activations] == ["relu@1"]
    assert observation.skipped == ()


def test_open_sample_axes_are_probed_with_samples_of_the_larger_batch() -> None:
    """A chunk of one sample cannot be replaced by another of its own."""
    seen: list[int] = []

    def body(model: Uses, x: Tensor) -> Tensor:
        seen.append(len(x))
        return F.linear(x.expand(len(x), 6, 6).transpose(0, 1), model.matrix)

    x = torch.randn(B, 1, 6)
    with observe(Uses(body), batch_of(x[:1]), CaptureOptions(1), probed=batch_of(x)) as observation:
        observation.run()
    assert seen == [1, 2, 2]
    (call,) = observation.weights[0].calls
    assert call.sample_axis is not None
    assert call.sample_axis.axis == 1
