"""Samples whose rows the data chose: how many rows a sample has, and which, differs from batch to batch."""

from __future__ import annotations

import torch
from torch import Tensor


class SampleRows:
    """Row r of axis 0 of a tensor belongs to sample `samples[r]`, as after the routing of a mixture of experts.

    Viewed sample-first, the rows of a sample come in the order of `places`, and zeros fill up to the longest: a row of
    zeros adds nothing to a weight gradient. A neuron of an activation is a channel of the k-th row of a sample; where a
    sample has fewer rows the neuron is off. So a neuron does not depend on how a sort among experts, which may put
    equal entries in any order, arranged the rows.

    Args:
        samples: (rows,), the sample of each row.
        places: (rows,), the number of each row in the tensor that the rows were first chosen from; default their order.

    Example:
        >>> rows = SampleRows(torch.tensor([1, 1, 0]))
        >>> rows.sample_first(torch.tensor([[1.0], [2.0], [3.0]]), n_samples=2).squeeze(-1).tolist()
        [[3.0, 0.0], [1.0, 2.0]]
    """

    axis = 0

    def __init__(self, samples: Tensor, places: Tensor | None = None) -> None:
        self.samples = samples
        self.places = torch.arange(len(samples), device=samples.device) if places is None else places

    def sample_first(self, tensor: Tensor, n_samples: int) -> Tensor:
        """Return (rows, ...) as (B, most rows of a sample, ...)."""
        order = self.places.argsort(stable=True)
        order = order[self.samples[order].argsort(stable=True)]
        counts = torch.bincount(self.samples, minlength=n_samples)
        starts = counts.cumsum(0) - counts
        sorted_samples = self.samples[order]
        numbers = torch.arange(len(order), device=order.device) - starts[sorted_samples]
        longest = max(1, int(counts.max()))  # a single row of zeros where there are none
        out = tensor.new_zeros((n_samples, longest, *tensor.shape[1:]))
        out[sorted_samples, numbers] = tensor[order]
        return out

    def __eq__(self, other: object) -> bool:
        """Whether the rows are of the same samples."""
        return isinstance(other, SampleRows) and torch.equal(self.samples, other.samples)

    __hash__ = None  # type: ignore[assignment]  # it holds a tensor

    def chosen(self, index: Tensor | slice) -> SampleRows:
        """The samples of `tensor[index]`: `index` holds numbers of rows, or tells by a boolean which are kept."""
        return SampleRows(self.samples[index], self.places[index])

    def in_order(self) -> bool:
        """Whether the rows come sample by sample, as those of the batch do.

        Example:
            >>> SampleRows(torch.tensor([0, 0, 1])).in_order(), SampleRows(torch.tensor([1, 0])).in_order()
            (True, False)
        """
        return bool((self.samples.diff() >= 0).all())
