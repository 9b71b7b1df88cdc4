"""Linear maps side by side: which axes may hold samples, and what the kernels get."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from lswag_fast.observe.operations.matrices.grouped_linear import GROUPED_LINEAR, grouped_linear
from lswag_fast.observe.samples.axis import SampleAxis


def test_each_group_has_a_matrix_of_its_own() -> None:
    x, weight = torch.randn(3, 4, 2, 5), torch.randn(12, 5)
    out = grouped_linear(x, weight)
    for group in range(2):
        torch.testing.assert_close(out[:, :, group], F.linear(x[:, :, group], weight[6 * group : 6 * group + 6]))


def test_groups_and_features_never_hold_samples() -> None:
    assert GROUPED_LINEAR.sample_axes(torch.zeros(3, 4, 3, 3), 3).options == (SampleAxis(0),)
    assert GROUPED_LINEAR.sample_axes(torch.zeros(4, 3, 3), 3).options == ()


def test_positions_become_one_axis_after_the_channels() -> None:
    x, grad_out = torch.randn(3, 4, 6, 2, 5), torch.randn(3, 4, 6, 2, 7)
    operands = GROUPED_LINEAR.weight_operands(x, grad_out, None)
    assert [tuple(tensor.shape) for tensor in operands] == [(3, 10, 24), (3, 14, 24)]
    assert torch.equal(operands[0][:, 7, 9], x[:, 1, 3, 1, 2])
    geometry = GROUPED_LINEAR.kernel_geometry(None, x.shape)
    assert geometry is not None
    assert (geometry.kernel_size, geometry.groups) == ((1,), 2)
