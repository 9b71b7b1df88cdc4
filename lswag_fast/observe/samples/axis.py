"""Where the samples of the batch lie inside a tensor that a model hands from call to call.

A tensor is *sample-first* when axis 0 is the batch. Windows (B*k rows), time-major sequences and flattened
sequences are not; a `SampleAxis` says how to view them sample-first without a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import torch
from torch import Tensor

from lswag_fast.observe.samples.rows import SampleRows


@dataclass(frozen=True)
class SampleAxis:
    """Axis `axis` of a tensor has `outer * B * inner` entries, the sample index being the middle factor.

    Example:
        >>> time_major = torch.arange(6).reshape(3, 2)  # T = 3, B = 2
        >>> SampleAxis(1).sample_first(time_major, n_samples=2).tolist()
        [[0, 2, 4], [1, 3, 5]]
        >>> SampleAxis(0, outer=3).sample_first(time_major.flatten(), n_samples=2).tolist()
        [[0, 2, 4], [1, 3, 5]]
    """

    axis: int
    outer: int = 1
    inner: int = 1

    def sample_first(self, tensor: Tensor, n_samples: int) -> Tensor:
        """View `tensor` as (B, ...); the other factors of the axis become position axes before the rest."""
        axis = self.axis
        if self.outer == self.inner == 1:
            return tensor.movedim(axis, 0)
        split = torch.unflatten(tensor, axis, (self.outer, n_samples, self.inner))
        view = split.movedim(axis + 1, 0)
        empty = [a for a, factor in ((axis + 1, self.outer), (axis + 2, self.inner)) if factor == 1]
        return view.squeeze(tuple(empty))

    def size(self, n_samples: int) -> int:
        """Length of the axis for a batch of `n_samples`."""
        return self.outer * n_samples * self.inner

    def as_rows(self, n_samples: int, device: torch.device) -> SampleRows:
        """The samples of the axis, entry by entry.

        Example:
            >>> SampleAxis(0, outer=2, inner=1).as_rows(3, torch.device("cpu")).samples.tolist()
            [0, 1, 2, 0, 1, 2]
        """
        index = torch.arange(self.size(n_samples), device=device)
        return SampleRows(index.div(self.inner, rounding_mode="floor") % n_samples)

    def rows_of(self, sample: int, n_samples: int) -> Tensor:
        """Boolean mask (axis length,) of the rows that belong to `sample`."""
        index = torch.arange(self.size(n_samples), device="cpu")
        return index.div(self.inner, rounding_mode="floor") % n_samples == sample


Place: TypeAlias = "SampleAxis | SampleRows"
"""Where the samples lie in a tensor."""


@dataclass(frozen=True)
class AxisCandidates:
    """Where the samples may lie in a tensor, and whether that is known: `options` then has one entry."""

    options: tuple[Place, ...]
    certain: bool


@lru_cache(maxsize=1024)
def candidates_by_size(
    shape: torch.Size, n_samples: int, axes: Sequence[int], *, folded: bool = True
) -> AxisCandidates:
    """Sample axes that the sizes alone allow.

    Every axis whose size is a multiple of B is possible, in both orders. Sizes are never proof: B class embeddings have
    an axis 0 of size B, and an expert may be given B tokens. Only a batch of one leaves no doubt, where axis 0 is its.

    Args:
        shape: of the tensor.
        n_samples: B.
        axes: a range or tuple of the axes that may hold samples; a linear call's last axis and a convolution's channel
            axis cannot.
        folded: whether heads or windows may be folded into the samples next to an axis 0 of size B; in the planes of a
            convolution they are not.

    Returns:
        The candidates in the order of `axes`.

    Example:
        >>> candidates_by_size(torch.Size((8, 5, 3)), 8, range(2))
        AxisCandidates(options=(SampleAxis(axis=0, outer=1, inner=1),), certain=False)
    """
    exact = tuple(SampleAxis(axis) for axis in axes if shape[axis] == n_samples)
    leads = bool(exact) and exact[0].axis == 0
    if leads and (n_samples == 1 or not folded):
        return AxisCandidates(exact, certain=n_samples == 1 and len(exact) == 1)
    found = tuple(sample_axis for axis in axes for sample_axis in axes_of_size(axis, shape[axis], n_samples))
    return AxisCandidates(found, certain=False)


def axes_of_size(axis: int, size: int, n_samples: int) -> tuple[SampleAxis, ...]:
    """The sample axes that an axis of this size allows."""
    k, rest = divmod(size, n_samples)
    if rest or k == 0:
        return ()
    return (SampleAxis(axis),) if k == 1 else (SampleAxis(axis, 1, k), SampleAxis(axis, k, 1))


def fits_shape(sample_axis: SampleAxis, shape: torch.Size, probe_shape: torch.Size, probe_samples: int) -> bool:
    """Whether going to `probe_samples` samples changed this axis, and only it, in proportion."""
    if len(shape) != len(probe_shape):
        return False
    expected = list(shape)
    expected[sample_axis.axis] = sample_axis.size(probe_samples)
    return list(probe_shape) == expected


def fits_rows(sample_axis: SampleAxis, before: Tensor, after: Tensor, probe_samples: int) -> bool:
    """Whether exactly the rows of sample 0 changed between two probes that differ in sample 0 only.

    What rounding changed in the others does not count: an expert that multiplies its rows as one matrix rounds them
    otherwise when it is given one row more.
    """
    rows = sample_axis.rows_of(0, probe_samples).to(before.device)
    differs = (before != after) & ~(before.isnan() & after.isnan())
    matters = differs & ~((before - after).abs() <= rounding_tolerance(before, after))
    changed, altered = (found.movedim(sample_axis.axis, 0).flatten(1).any(1) for found in (differs, matters))
    return bool(changed[rows].all()) and not bool(altered[~rows].any())


def rounding_tolerance(before: Tensor, after: Tensor) -> float:
    """By how much two runs may differ that round otherwise: the square root of the rounding unit of the largest."""
    if not before.is_floating_point() or before.numel() == 0:
        return 0.0
    largest = torch.cat([before.flatten(), after.flatten()]).abs().nan_to_num(nan=0.0, posinf=0.0).max()
    return float(torch.finfo(before.dtype).eps ** 0.5 * largest)
