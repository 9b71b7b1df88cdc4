"""Sample axes of a tensor: what sizes allow, how one is viewed sample-first, what a probe proves."""

from __future__ import annotations

import pytest
import torch

from lswag_fast.observe.samples.axis import SampleAxis, candidates_by_size, fits_rows, fits_shape

B = 3


def tagged(shape: tuple[int, ...], sample_axis: SampleAxis) -> torch.Tensor:
    """A tensor whose every value is the index of its sample."""
    rows = torch.arange(sample_axis.size(B)).div(sample_axis.inner, rounding_mode="floor") % B
    view = [1] * len(shape)
    view[sample_axis.axis] = -1
    return rows.reshape(view).expand(shape).float()


SAMPLE_AXES = {
    "sample_first": ((B, 4, 5), SampleAxis(0), (B, 4, 5)),
    "time_major": ((4, B, 5), SampleAxis(1), (B, 4, 5)),
    "windows_sample_major": ((2 * B, 4, 5), SampleAxis(0, 1, 2), (B, 2, 4, 5)),
    "windows_window_major": ((2 * B, 4, 5), SampleAxis(0, 2, 1), (B, 2, 4, 5)),
    "factors_on_both_sides": ((2 * B * 4, 5), SampleAxis(0, 2, 4), (B, 2, 4, 5)),
    "inner_axis": ((4, 2 * B, 5), SampleAxis(1, 2, 1), (B, 4, 2, 5)),
}


@pytest.mark.parametrize(("shape", "sample_axis", "expected"), SAMPLE_AXES.values(), ids=SAMPLE_AXES)
def test_sample_first_puts_each_sample_in_its_row_without_a_copy(shape, sample_axis, expected) -> None:
    tensor = tagged(shape, sample_axis).contiguous()
    view = sample_axis.sample_first(tensor, B)
    assert view.shape == expected
    assert view.data_ptr() == tensor.data_ptr()
    for b in range(B):
        assert bool((view[b] == b).all())


def test_sample_first_keeps_axes_of_length_one() -> None:
    assert SampleAxis(0, 2, 1).sample_first(torch.zeros(2 * B, 1, 5), B).shape == (B, 2, 1, 5)


@pytest.mark.parametrize(("shape", "sample_axis", "_"), SAMPLE_AXES.values(), ids=SAMPLE_AXES)
def test_rows_of_marks_the_rows_of_one_sample(shape, sample_axis, _) -> None:
    values = tagged(shape, sample_axis).movedim(sample_axis.axis, 0).flatten(1)[:, 0]
    for b in range(B):
        assert torch.equal(sample_axis.rows_of(b, B), values == b)


@pytest.mark.parametrize(
    ("shape", "axes", "options", "certain"),
    [
        ((B, 4, 5), (0, 1), [SampleAxis(0)], False),
        ((B, 2 * B, 5), (0, 1), [SampleAxis(0), SampleAxis(1, 1, 2), SampleAxis(1, 2, 1)], False),
        ((B, B, 5), (0, 1), [SampleAxis(0), SampleAxis(1)], False),
        ((4, B, 5), (0, 1), [SampleAxis(1)], False),
        ((2 * B, 4, 5), (0, 1), [SampleAxis(0, 1, 2), SampleAxis(0, 2, 1)], False),
        ((2 * B, B, 5), (0, 1), [SampleAxis(0, 1, 2), SampleAxis(0, 2, 1), SampleAxis(1)], False),
        ((4, 5), (0,), [], False),
        ((0, 4), (0,), [], False),
        ((5,), (), [], False),
        ((B, 4, B), (0, 1), [SampleAxis(0)], False),  # the last axis of a linear input holds features
    ],
)
def test_places_by_size(shape, axes, options, certain) -> None:
    candidates = candidates_by_size(torch.Size(shape), B, axes)
    assert list(candidates.options) == options
    assert candidates.certain is certain


def test_planes_have_no_folded_samples() -> None:
    shape = torch.Size((B, 4, 2 * B, 2 * B))
    assert candidates_by_size(shape, B, (0, 2, 3), folded=False).options == (SampleAxis(0),)
    square = torch.Size((B, 4, B, 5))
    assert candidates_by_size(square, B, (0, 2, 3), folded=False).options == (SampleAxis(0), SampleAxis(2))


@pytest.mark.parametrize(("shape", "certain"), [((1, 4, 5), True), ((1, 1, 5), False)])
def test_a_single_sample_is_not_sought_in_every_axis(shape: tuple[int, ...], certain: bool) -> None:
    candidates = candidates_by_size(torch.Size(shape), 1, (0, 1))
    assert candidates.options[0] == SampleAxis(0)
    assert candidates.certain is certain


def test_a_shape_fits_when_only_the_layouts_axis_changed_in_proportion() -> None:
    sample_axis = SampleAxis(0, 1, 2)
    full = torch.Size((2 * B, 4, 5))
    assert fits_shape(sample_axis, full, torch.Size((4, 4, 5)), 2)
    assert not fits_shape(sample_axis, full, torch.Size((2 * B, 4, 5)), 2)
    assert not fits_shape(sample_axis, full, torch.Size((4, 2, 5)), 2)
    assert not fits_shape(sample_axis, full, torch.Size((4, 4, 5, 1)), 2)
    assert not fits_shape(SampleAxis(1), torch.Size((B, B)), torch.Size((2, 3)), 2)


@pytest.mark.parametrize("inner", [1, 2])
def test_rows_fit_only_the_order_in_which_they_changed(inner: int) -> None:
    sample_axis, other = SampleAxis(0, 2 // inner, inner), SampleAxis(0, inner, 2 // inner)
    before = torch.zeros(4, 3)
    after = before + sample_axis.rows_of(0, 2)[:, None]
    assert fits_rows(sample_axis, before, after, 2)
    assert not fits_rows(other, before, after, 2)
    assert not fits_rows(sample_axis, before, before, 2)
    assert not fits_rows(sample_axis, before, before + 1, 2)


def test_rows_fit_where_the_others_differ_by_rounding() -> None:
    before = torch.rand(4, 3) + 0.5
    rounded = before * (1 + torch.finfo(torch.float32).eps)
    after = rounded + SampleAxis(0, 1, 2).rows_of(0, 2)[:, None]
    assert fits_rows(SampleAxis(0, 1, 2), before, after, 2)
    assert not fits_rows(SampleAxis(0, 2, 1), before, after, 2)
    assert not fits_rows(SampleAxis(0, 1, 2), before, rounded + 0.01, 2)
