"""The argument forms of `F.linear`, and which axes of its input may hold samples."""

from __future__ import annotations

import pytest
import torch

from lswag_fast.observe.operations.linear import LINEAR
from lswag_fast.observe.samples.axis import SampleAxis


def test_each_argument_form_is_bound() -> None:
    x, weight, bias = torch.randn(2, 3), torch.randn(4, 3), torch.randn(4)
    assert LINEAR.bind(x, weight) == (x, weight, None, None, None)
    for call in (LINEAR.bind(x, weight, bias), LINEAR.bind(input=x, weight=weight, bias=bias)):
        assert call is not None
        assert call.x is x
        assert call.weight is weight
        assert call.bias is bias


def test_a_product_with_a_vector_is_none_on_a_weight() -> None:
    assert LINEAR.bind(torch.randn(2, 3), torch.randn(3)) is None


def test_an_unknown_argument_is_a_type_error_as_in_torch() -> None:
    with pytest.raises(TypeError, match="biases"):
        LINEAR.bind(torch.randn(2, 3), torch.randn(4, 3), biases=None)


def test_the_last_axis_holds_features_and_never_samples() -> None:
    assert LINEAR.sample_axes(torch.zeros(3, 4, 3), 3).options == (SampleAxis(0),)
    assert LINEAR.sample_axes(torch.zeros(3), 3).options == ()
