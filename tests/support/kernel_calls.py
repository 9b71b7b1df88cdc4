"""What the kernel of the gradients is given during a score, weight by weight."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from lswag_fast import kernels, reference
from lswag_fast.observe import ObservedWeight
from lswag_fast.passes.standard.gradient_reducer import GradientReducer


@dataclass(frozen=True)
class KernelCall:
    """One call of the kernel: all uses (x, grad_out) of a weight, or of a piece of a parameter."""

    name: str
    uses: Sequence[tuple[Tensor, Tensor]]
    conv: kernels.ConvGeometry | None

    @property
    def rounding(self) -> float:
        """The bound of its rounding errors."""
        return reference.rounding_error(self.uses, -1 if self.conv is None else 1)

    @property
    def least(self) -> float:
        """The least standard deviation that counts."""
        return reference.least_deviation(self.uses, -1 if self.conv is None else 1)

    def gradients(self) -> Tensor:
        """The gradients (B, ...) of the samples that follow from the operands, in float64."""
        if self.conv is None:
            return torch.stack([reference.linear_gradients(x, grad_out) for x, grad_out in self.uses]).sum(0)
        conv, (x, grad_out) = self.conv, self.uses[0]
        shape = (grad_out.shape[1], x.shape[1] // conv.groups, *conv.kernel_size)
        geometry = (conv.stride, conv.padding, conv.dilation, conv.groups)
        return torch.stack([reference.conv_gradients(*use, shape, *geometry) for use in self.uses]).sum(0)

    def kept(self) -> KernelCall:
        """The call with operands of its own, to be looked at after the score."""
        return KernelCall(self.name, [(x.detach().clone(), g.detach().clone()) for x, g in self.uses], self.conv)


@contextmanager
def each_kernel_call(visit: Callable[[KernelCall], None]) -> Iterator[None]:
    """Hand every call of the kernel by a standard pass to `visit`, before it is made."""
    names: list[str] = []
    reduce_weight, start = GradientReducer.reduce_weight, kernels.start_gradient_stats

    def reduce_named(self: GradientReducer, weight: ObservedWeight) -> None:
        names.append(weight.name)
        reduce_weight(self, weight)

    def start_visited(uses: Sequence[tuple[Tensor, Tensor]], **options: Any) -> kernels.PendingStats:
        visit(KernelCall(names[-1], uses, options["conv"]))
        return start(uses, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GradientReducer, "reduce_weight", reduce_named)
        patch.setattr(kernels, "start_gradient_stats", start_visited)
        yield
