"""The argument forms of transposed convolutions, and the operands of their weight gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.observe.operations import OPERATIONS
from lswag_fast.observe.operations.transposed import CONV_TRANSPOSE1D, CONV_TRANSPOSE2D
from lswag_fast.observe.samples.axis import SampleAxis
from support.per_sample import Called, assert_per_sample

B = 5

FORMS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "plain": ((), {}),
    "bias positional": ((torch.ones(6),), {}),
    "all positional": ((torch.ones(6), 2, 1, 1, 1, 2), {}),
    "ints": ((), {"stride": 3, "padding": 1, "output_padding": 2}),
    "lists": ((), {"stride": [2], "padding": [1], "dilation": [2]}),
    "groups": ((), {"groups": 2, "bias": None}),
}


@pytest.mark.parametrize("n_axes", [1, 2, 3])
@pytest.mark.parametrize("form", FORMS)
def test_each_argument_form_computes_what_torch_computes(form: str, n_axes: int) -> None:
    args, kwargs = FORMS[form]
    weight = torch.randn(4, 6 // kwargs.get("groups", 1), *(3, 2, 2)[:n_axes], dtype=torch.float64)
    x = torch.randn(2, 4, *(5, 4, 3)[:n_axes], dtype=torch.float64)
    args = tuple(a.double() if isinstance(a, Tensor) else a for a in args)
    function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[n_axes - 1]
    operation = OPERATIONS[function]
    call = operation.bind(x, weight, *args, **kwargs)
    assert len(call.geometry.output_padding) == n_axes
    torch.testing.assert_close(operation.forward(call), function(x, weight, *args, **kwargs), rtol=1e-13, atol=1e-13)


def test_an_unknown_argument_is_a_type_error_as_in_torch() -> None:
    with pytest.raises(TypeError, match="strides"):
        CONV_TRANSPOSE1D.bind(torch.randn(1, 2, 5), torch.randn(2, 3, 3), strides=2)


def test_channels_never_hold_samples() -> None:
    assert CONV_TRANSPOSE2D.sample_axes(torch.zeros(3, 3, 5, 5), 3).options == (SampleAxis(0),)
    assert CONV_TRANSPOSE2D.sample_axes(torch.zeros(3, 5, 5), 3).options == ()


def test_the_operands_change_places() -> None:
    x, weight = torch.randn(B, 4, 5), torch.randn(4, 6, 3)
    call = CONV_TRANSPOSE1D.bind(x, weight, stride=2)
    grad_out = torch.randn(B, 6, 11)
    convolved, out = CONV_TRANSPOSE1D.weight_operands(x, grad_out, call.geometry)
    assert convolved is grad_out
    assert out is x


@pytest.mark.parametrize("n_axes", [1, 2, 3])
def test_a_weight_used_twice_and_a_large_output_padding(n_axes: int) -> None:
    function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[n_axes - 1]

    def twice(x: Tensor, weight: Tensor) -> Tensor:
        options = {"padding": 3, "output_padding": 2, "dilation": 3}  # more padding than the stride
        return function(function(x, weight, **options).tanh(), weight, **options)

    model = Called(twice, torch.randn(4, 4, *(3, 2, 2)[:n_axes]))
    observation = assert_per_sample(model, torch.randn(B, 4, *(4, 6, 4)[:n_axes]), B, ["a"])
    assert [len(weight.calls) for weight in observation.weights] == [2]
