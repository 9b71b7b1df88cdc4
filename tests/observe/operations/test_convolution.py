"""The argument forms of convolution calls: parsed, they compute what torch computes from the original call."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from lswag_fast.observe.operations import OPERATIONS
from lswag_fast.observe.operations.convolution import CONV1D

FORMS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "plain": ((), {}),
    "bias positional": ((torch.ones(6),), {}),
    "all positional": ((torch.ones(6), 2, 1, 1, 2), {}),
    "ints": ((), {"stride": 2, "padding": 1, "dilation": 2}),
    "tuples": ((), {"stride": (2,), "padding": (1,), "dilation": (2,)}),
    "lists": ((), {"stride": [2], "padding": [1]}),
    "valid": ((), {"padding": "valid"}),
    "same": ((), {"padding": "same"}),
    "same dilated": ((), {"padding": "same", "dilation": 3}),
    "groups": ((), {"groups": 2, "bias": None}),
}


@pytest.mark.parametrize("kernel", [3, 4])
@pytest.mark.parametrize("n_axes", [1, 2, 3])
@pytest.mark.parametrize("form", FORMS)
def test_each_argument_form_computes_what_torch_computes(form: str, n_axes: int, kernel: int) -> None:
    args, kwargs = FORMS[form]
    groups = kwargs.get("groups", 2 if form == "all positional" else 1)
    torch.manual_seed(0)
    x = torch.randn(2, 4, *(11, 9, 10)[:n_axes], dtype=torch.float64)
    weight = torch.randn(6, 4 // groups, *(kernel, 2, 3)[:n_axes], dtype=torch.float64)
    args = tuple(a.double() if isinstance(a, torch.Tensor) else a for a in args)
    function = (F.conv1d, F.conv2d, F.conv3d)[n_axes - 1]
    operation = OPERATIONS[function]
    call = operation.bind(x, weight, *args, **kwargs)
    assert all(len(field) == n_axes for field in (call.geometry.stride, call.geometry.padding, call.geometry.dilation))
    torch.testing.assert_close(operation.forward(call), function(x, weight, *args, **kwargs), rtol=1e-13, atol=1e-13)


def test_tensors_by_keyword() -> None:
    x, weight = torch.randn(1, 2, 5), torch.randn(3, 2, 3)
    call = CONV1D.bind(input=x, weight=weight, stride=2)
    assert call.geometry.stride == (2,)
    assert torch.equal(CONV1D.forward(call), F.conv1d(x, weight, stride=2))


def test_an_unknown_argument_is_a_type_error_as_in_torch() -> None:
    with pytest.raises(TypeError, match="strides"):
        CONV1D.bind(torch.randn(1, 2, 5), torch.randn(3, 2, 3), strides=2)


def test_same_pads_the_odd_element_at_the_end() -> None:
    x = torch.arange(4.0).reshape(1, 1, 4)
    call = CONV1D.bind(x, torch.ones(1, 1, 2), padding="same")
    assert call.geometry.padding == (0,)
    assert call.x.flatten().tolist() == [0.0, 1.0, 2.0, 3.0, 0.0]
