"""What spaces of networks of text have in common."""

from __future__ import annotations

from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from lswag_fast.spaces.protocol import SearchSpace
from lswag_fast.spaces.sizes import SizedSpace
from lswag_fast.spaces.traits import Mode

N_BYTES = 256
"""Classes of a network that tells bytes."""


@runtime_checkable
class TakesTokens(Protocol):
    """A space whose networks map tokens (B, T), T as `input_shape` says, to logits for each token (B, T, num_classes).

    Example:
        >>> from lswag_fast.spaces import FlexiBert, NasBench201
        >>> isinstance(FlexiBert(), TakesTokens), isinstance(NasBench201(), TakesTokens)
        (True, False)
    """

    @property
    def vocabulary(self) -> int:
        """Number of different tokens; they lie in [0, vocabulary)."""

    @property
    def is_masked(self) -> bool:
        """Whether the networks see the whole text and tell masked tokens, rather than the next one of each."""


class TextSpace(SizedSpace):
    """Networks of texts of a length that tell bytes.

    Attributes:
        length: tokens of a text.
        vocabulary: different tokens, of which the first 256 are the bytes.

    Example:
        >>> from lswag_fast.spaces import FlexiBert
        >>> FlexiBert(length=32).input_shape
        (32,)
    """

    num_classes = N_BYTES
    default_mode: ClassVar[Mode] = "eval"
    default_init: ClassVar[str] = "own"
    length: int
    vocabulary: int

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape (length,) of one text."""
        return (self.length,)


def example_inputs(space: SearchSpace, n_samples: int) -> Tensor:
    """Return zeros that the networks of a space take: images, or texts of the token 0.

    Example:
        >>> from lswag_fast.spaces import FlexiBert, NasBench201
        >>> example_inputs(FlexiBert(length=4), 2).dtype, example_inputs(NasBench201(), 2).shape
        (torch.int64, torch.Size([2, 3, 32, 32]))
    """
    dtype = torch.long if isinstance(space, TakesTokens) else torch.get_default_dtype()
    return torch.zeros(n_samples, *space.input_shape, dtype=dtype)
