"""What the kernels compute, on examples small enough to work by hand."""

from __future__ import annotations

import pytest
import torch

from lswag_fast import reference


def test_linear_gradients_are_outer_products() -> None:
    x, grad_out = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[10.0], [100.0]])
    found = reference.linear_gradients(x, grad_out)
    assert found.dtype == torch.float64
    assert found.tolist() == [[[10.0, 20.0]], [[300.0, 400.0]]]


def test_linear_gradients_sum_over_positions_of_any_number_of_axes() -> None:
    x, grad_out = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), torch.tensor([[[1.0], [10.0]]])
    assert reference.linear_gradients(x, grad_out).tolist() == [[[31.0, 42.0]]]
    assert reference.linear_gradients(x[:, None], grad_out[:, None]).tolist() == [[[31.0, 42.0]]]


def test_conv_gradients_by_hand() -> None:
    """Kernel 2 on 3 pixels: each tap sees two pixels."""
    x, grad_out = torch.tensor([[[1.0, 2.0, 3.0]]]), torch.tensor([[[10.0, 100.0]]])
    assert reference.conv_gradients(x, grad_out, (1, 1, 2), (1,), (0,), (1,), 1).tolist() == [[[[210.0, 320.0]]]]
    dilated = reference.conv_gradients(x, grad_out[:, :, :1], (1, 1, 2), (1,), (0,), (2,), 1)
    assert dilated.tolist() == [[[[10.0, 30.0]]]]


def test_conv_gradients_of_groups_see_their_own_channels() -> None:
    x, grad_out = torch.tensor([[[[1.0]], [[2.0]]]]), torch.tensor([[[[10.0]], [[100.0]]]])
    assert reference.conv_gradients(x, grad_out, (2, 1, 1, 1), (1, 1), (0, 0), (1, 1), 2).flatten().tolist() == [
        10,
        200,
    ]


def test_gradient_statistics_by_hand() -> None:
    """Weight 0: gradients 1, -3; weight 1: 2, 2 (no variance); weight 2: -1, 1 (varies only with its sign)."""
    gradients = torch.tensor([[1.0, 2.0, -1.0], [-3.0, 2.0, 1.0]])
    found = reference.gradient_statistics(gradients, weight=torch.tensor([1.0, 2.0, 5.0]), xi=1.0)
    assert found["n_weights"] == 3
    assert found["n_zero_variance"] == 2
    assert found["sum_inv_sigma"] == 1.0
    assert found["sum_mu_over_sigma"] == 2.0
    assert found["sum_gsnr"] == pytest.approx(1 / (4 + 1) + 4 / (0 + 1) + 0)
    assert found["sum_batch_gradient"] == -2.0 + 4.0 + 0.0
    assert found["sum_squared_batch_gradient"] == 4.0 + 16.0
    assert found["max_abs_batch_gradient"] == 4.0
    assert found["sum_weight_gradient"] == -2.0 + 8.0
    assert found["sum_abs_weight_gradient"] == 2.0 + 8.0
    signed = reference.gradient_statistics(gradients, gradient="signed")
    assert signed["sum_inv_sigma"] == 1 / 2 + 1.0
    assert signed["n_zero_variance"] == 1


def test_the_rounding_error_is_that_of_the_precision_computed_in() -> None:
    """T = 4 and rms 1 and 2: u (8 + 16) 2, in float64 as soon as one operand is."""
    x, grad_out = torch.ones(3, 4, 5), 2 * torch.ones(3, 4, 7)
    assert reference.rounding_error([(x, grad_out)]) == 2.0**-24 * 48
    assert reference.rounding_error([(x, grad_out.double())]) == 2.0**-53 * 48
    assert reference.rounding_error([(x.bfloat16(), grad_out.bfloat16())]) == 2.0**-24 * 48


def test_the_least_deviation_is_a_share_of_the_largest_gradient() -> None:
    """The largest magnitudes 3 and 10 count as 2 and 8, 2 + 3 positions as 4."""
    calls = [
        (torch.tensor([[[3.0], [1.0]]]), torch.tensor([[[1.0], [-4.0]]])),
        (torch.tensor([[[-1.0], [1.0], [0.0]]]), torch.tensor([[[1.0], [10.0], [float("inf")]]])),
    ]
    assert reference.least_deviation(calls) == 2.0**-87 * 2 * 8 * 4
    assert reference.least_deviation([(torch.ones(3, 5), torch.zeros(3, 7))]) == 0
    tiny = torch.full((3, 7), 2.0**-140)  # what float32 can scale up no further
    assert reference.least_deviation([(torch.ones(3, 5), tiny)]) == 2.0 ** -(63 + 126)
    assert reference.least_deviation([(torch.ones(3, 5), tiny.double())]) == 2.0 ** -(87 + 140)


def test_what_is_below_the_bounds_counts_as_constant() -> None:
    """Standard deviations 8, 1/2, 2^-17 and 2^-20."""
    gradients = torch.tensor([[8.0, 0.5, 2.0**-17, 2.0**-20]]).double() * torch.tensor([[2.0], [0.0]])
    found = reference.gradient_statistics(gradients, rounding=0.5, least=2.0**-18)
    assert found["n_zero_variance"] == 2
    assert found["sum_inv_sigma"] == 1 / 8 + 2**17
    assert found["sum_mean_abs_over_sigma"] == 2
    assert reference.gradient_statistics(gradients)["n_zero_variance"] == 0


def test_patterns_are_the_distinct_columns_of_signs() -> None:
    activation = torch.tensor([[1.0, -1.0, 2.0, 0.0], [0.5, 1.0, 3.0, -1.0], [-1.0, 1.0, 1.0, 1.0]])
    assert reference.neuron_patterns(activation, 2) == {(True, True), (False, True), (False, False)}
    assert len(reference.neuron_patterns(activation, 3)) == 4


def test_agreement_counts_equal_neurons() -> None:
    activation = torch.tensor([[1.0, -1.0, 1.0], [1.0, 1.0, -1.0]])
    assert reference.agreement(activation, 2).tolist() == [[3.0, 1.0], [1.0, 3.0]]
