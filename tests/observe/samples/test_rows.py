"""Rows that belong to samples in no order: padded with zeros to be viewed sample by sample."""

from __future__ import annotations

import torch

from lswag_fast.observe.samples.rows import SampleRows


def test_the_gradient_of_a_sample_is_that_of_its_rows() -> None:
    torch.manual_seed(0)
    rows = SampleRows(torch.tensor([2, 0, 2, 3, 2, 0]))
    x, grad = torch.randn(6, 3, dtype=torch.float64), torch.randn(6, 5, dtype=torch.float64)
    of_samples = torch.einsum("bto,bti->boi", rows.sample_first(grad, 4), rows.sample_first(x, 4))
    for sample in range(4):
        own = rows.samples == sample
        torch.testing.assert_close(of_samples[sample], grad[own].t() @ x[own])


def test_rows_keep_their_order() -> None:
    rows = SampleRows(torch.tensor([1, 0, 1]))
    assert rows.sample_first(torch.tensor([10.0, 20.0, 30.0]), 3).tolist() == [[20, 0], [10, 30], [0, 0]]


def test_chosen_rows_come_in_the_order_of_what_they_were_chosen_from() -> None:
    """A sort of the rows by their expert may put those of one expert in any order."""
    rows = SampleRows(torch.tensor([0, 0, 0, 1, 1, 1]))
    x = torch.tensor([10.0, 11.0, 12.0, 20.0, 21.0, 22.0])
    for index in ([5, 1, 0, 4], [0, 5, 4, 1]):
        chosen = rows.chosen(torch.tensor(index))
        assert chosen.sample_first(x[index], 2).tolist() == [[10, 11], [21, 22]]
        again = torch.tensor([3, 2, 1, 0])
        assert chosen.chosen(again).sample_first(x[index][again], 2).tolist() == [[10, 11], [21, 22]]
    twice = rows.chosen(torch.tensor([1, 0, 1]))  # by two experts, in their order
    assert twice.sample_first(torch.tensor([1.0, 2.0, 3.0]), 1).tolist() == [[2, 1, 3]]


def test_no_rows_at_all_are_one_row_of_zeros() -> None:
    rows = SampleRows(torch.tensor([], dtype=torch.long))
    assert rows.sample_first(torch.ones(0, 2), 3).tolist() == [[[0, 0]]] * 3


def test_equal_are_rows_of_the_same_samples() -> None:
    assert SampleRows(torch.tensor([1, 0])) == SampleRows(torch.tensor([1, 0]))
    assert SampleRows(torch.tensor([1, 0])) != SampleRows(torch.tensor([0, 1]))
    assert SampleRows(torch.tensor([1, 0])).chosen(torch.tensor([1])) == SampleRows(torch.tensor([0]))
