"""What a tensor is made of: its nearest activations, and the calls on weights that it comes from."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

FAR = 1 << 30
"""A distance greater than that of any activation."""


class Gate(IntEnum):
    """Whether a tensor is the output of an activation or gate, up to scale and shift, and whether that is bounded."""

    NONE = 0
    BOUNDED = 1
    UNBOUNDED = 2


class Origin(NamedTuple):
    """What a tensor is made of. A set of calls is an integer, one bit for each number of a call.

    Attributes:
        distance: how many weights lie between the tensor and its nearest activations.
        activations: the nearest activations.
        weights: all calls on weights that it comes from.
        gate: see `Gate`.
    """

    distance: int
    activations: int
    weights: int
    gate: Gate = Gate.NONE

    def behind(self, weight: int) -> Origin:
        """The origin of the output of a call on a weight whose input this is."""
        return Origin(min(self.distance + 1, FAR), self.activations, self.weights | 1 << weight)

    def joined(self, other: Origin) -> Origin:
        """The origin of what is made of both.

        Example:
            >>> near, far = Origin(0, 0b10, 0b1), Origin(1, 0b1000, 0b100)
            >>> near.joined(far) == far.joined(near) == Origin(0, 0b10, 0b101)
            True
        """
        if self.distance == other.distance:
            return Origin(self.distance, self.activations | other.activations, self.weights | other.weights)
        near = self if self.distance < other.distance else other
        return Origin(near.distance, near.activations, self.weights | other.weights)

    def scales(self, other: Origin) -> bool:
        """Whether this is a bounded gate that weights made from the other tensor."""
        return self.gate is Gate.BOUNDED and self.weights != other.weights == self.weights & other.weights


FEATURES = Origin(FAR, 0, 0)
"""The origin of the batch: no activation and no weight yet."""

CONSTANT = Origin(FAR, 0, 0)
"""The origin of what does not come from the batch; told from others by identity."""
