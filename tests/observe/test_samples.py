"""Layouts of the samples inside a tensor: what sizes allow, how a layout is viewed, what a probe proves."""

from __future__ import annotations

import pytest
import torch

from lswag_fast.observe.samples import Places, SampleLayout, fits_rows, fits_shape, places_by_size

B = 3


def tagged(shape: tuple[int, ...], layout: SampleLayout) -> torch.Tensor:
    """A tensor whose every value is the index of its sample."""
    rows = torch.arange(layout.size(B)).div(layout.inner, rounding_mode="floor") % B
    view = [1] * len(shape)
    view[layout.axis] = -1
    return rows.reshape(view).expand(shape).float()


LAYOUTS = {
    "sample_first": ((B, 4, 5), SampleLayout(0), (B, 4, 5)),
    "time_major": ((4, B, 5), SampleLayout(1), (B, 4, 5)),
    "windows_sample_major": ((2 * B, 4, 5), SampleLayout(0, 1, 2), (B, 2, 4, 5)),
    "windows_window_major": ((2 * B, 4, 5), SampleLayout(0, 2, 1), (B, 2, 4, 5)),
    "factors_on_both_sides": ((2 * B * 4, 5), SampleLayout(0, 2, 4), (B, 2, 4, 5)),
    "inner_axis": ((4, 2 * B, 5), SampleLayout(1, 2, 1), (B, 4, 2, 5)),
}


@pytest.mark.parametrize(("shape", "layout", "expected"), LAYOUTS.values(), ids=LAYOUTS)
def test_sample_first_puts_each_sample_in_its_row_without_a_copy(shape, layout, expected) -> None:
    tensor = tagged(shape, layout).contiguous()
    view = layout.sample_first(tensor, B)
    assert view.shape == expected
    assert view.data_ptr() == tensor.data_ptr()
    for b in range(B):
        assert bool((view[b] == b).all())


def test_sample_first_keeps_axes_of_length_one() -> None:
    assert SampleLayout(0, 2, 1).sample_first(torch.zeros(2 * B, 1, 5), B).shape == (B, 2, 1, 5)


@pytest.mark.parametrize(("shape", "layout", "_"), LAYOUTS.values(), ids=LAYOUTS)
def test_rows_of_marks_the_rows_of_one_sample(shape, layout, _) -> None:
    values = tagged(shape, layout).movedim(layout.axis, 0).flatten(1)[:, 0]
    for b in range(B):
        assert torch.equal(layout.rows_of(b, B), values == b)


@pytest.mark.parametrize(
    ("shape", "axes", "options", "certain"),
    [
        ((B, 4, 5), (0, 1), [SampleLayout(0)], True),
        ((B, 2 * B, 5), (0, 1), [SampleLayout(0), SampleLayout(1, 1, 2), SampleLayout(1, 2, 1)], False),
        ((B, B, 5), (0, 1), [SampleLayout(0), SampleLayout(1)], False),
        ((4, B, 5), (0, 1), [SampleLayout(1)], False),
        ((2 * B, 4, 5), (0, 1), [SampleLayout(0, 1, 2), SampleLayout(0, 2, 1)], False),
        ((2 * B, B, 5), (0, 1), [SampleLayout(0, 1, 2), SampleLayout(0, 2, 1), SampleLayout(1)], False),
        ((4, 5), (0,), [], False),
        ((0, 4), (0,), [], False),
        ((5,), (), [], False),
        ((B, 4, B), (0, 1), [SampleLayout(0)], True),  # the last axis of a linear input holds features
    ],
)
def test_places_by_size(shape, axes, options, certain) -> None:
    places = places_by_size(torch.Size(shape), B, axes)
    assert list(places.options) == options
    assert places.certain is certain


def test_planes_have_no_folded_samples() -> None:
    shape = torch.Size((B, 4, 2 * B, 2 * B))
    assert places_by_size(shape, B, (0, 2, 3), folded=False) == Places((SampleLayout(0),), certain=True)
    square = torch.Size((B, 4, B, 5))
    assert places_by_size(square, B, (0, 2, 3), folded=False).options == (SampleLayout(0), SampleLayout(2))


@pytest.mark.parametrize(("shape", "certain"), [((1, 4, 5), True), ((1, 1, 5), False)])
def test_a_single_sample_is_not_sought_in_every_axis(shape: tuple[int, ...], certain: bool) -> None:
    places = places_by_size(torch.Size(shape), 1, (0, 1))
    assert places.options[0] == SampleLayout(0)
    assert places.certain is certain


def test_a_shape_fits_when_only_the_layouts_axis_changed_in_proportion() -> None:
    layout = SampleLayout(0, 1, 2)
    full = torch.Size((2 * B, 4, 5))
    assert fits_shape(layout, full, torch.Size((4, 4, 5)), 2)
    assert not fits_shape(layout, full, torch.Size((2 * B, 4, 5)), 2)
    assert not fits_shape(layout, full, torch.Size((4, 2, 5)), 2)
    assert not fits_shape(layout, full, torch.Size((4, 4, 5, 1)), 2)
    assert not fits_shape(SampleLayout(1), torch.Size((B, B)), torch.Size((2, 3)), 2)


@pytest.mark.parametrize("inner", [1, 2])
def test_rows_fit_only_the_order_in_which_they_changed(inner: int) -> None:
    layout, other = SampleLayout(0, 2 // inner, inner), SampleLayout(0, inner, 2 // inner)
    before = torch.zeros(4, 3)
    after = before + layout.rows_of(0, 2)[:, None]
    assert fits_rows(layout, before, after, 2)
    assert not fits_rows(other, before, after, 2)
    assert not fits_rows(layout, before, before, 2)
    assert not fits_rows(layout, before, before + 1, 2)
