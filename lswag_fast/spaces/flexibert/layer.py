"""A layer of FlexiBERT as the published tables write it, and what it costs."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from lswag_fast.errors import SpaceError

OPERATIONS = {"SA": ("SDP", "WMA"), "LT": ("DFT", "DCT"), "DSC": ("5", "9")}
"""The parameters of each operation: attention by a scaled or a weighted product, the Fourier or the cosine transform,
span-dynamic convolutions of a width."""
N_HEADS = (2, 4)
WIDTHS = (512, 1024)
N_FEED_FORWARD = (1, 3)


@dataclass(frozen=True)
class Layer:
    """One layer of an encoder.

    Attributes:
        operation: "SA" (self-attention), "LT" (linear transform) or "DSC" (dynamic span-based convolution).
        parameter: of the operation, one of `OPERATIONS`.
        n_heads: its heads.
        width: of the feed-forward part.
        n_feed_forward: linear calls with an activation in the feed-forward part.

    Example:
        >>> layer = Layer.parsed("DSC-9-4-512-3")
        >>> layer.kernel_size, layer.n_feed_forward, str(layer)
        (9, 3, 'DSC-9-4-512-3')
    """

    operation: str
    parameter: str
    n_heads: int
    width: int
    n_feed_forward: int

    @classmethod
    def parsed(cls, text: object) -> Layer:
        """Return the layer that a published text describes.

        Raises:
            SpaceError: it is none of the 48 texts.
        """
        if not isinstance(text, str) or text not in LAYERS:
            raise SpaceError(
                f"layers: found {str(text)[:60]!r}, expected OPERATION-PARAMETER-HEADS-WIDTH-CALLS, such as "
                "SA-SDP-4-1024-1: SA with SDP or WMA, LT with DFT or DCT, DSC with 5 or 9; 2 or 4; 512 or 1024; 1 or 3"
            )
        operation, parameter, *numbers = text.split("-")
        return cls(operation, parameter, *map(int, numbers))

    def __str__(self) -> str:
        """Write the layer as published."""
        return f"{self.operation}-{self.parameter}-{self.n_heads}-{self.width}-{self.n_feed_forward}"

    @property
    def kernel_size(self) -> int:
        """The tokens that a convolution sees."""
        return int(self.parameter)

    @property
    def n_attending(self) -> int:
        """The heads of a convolution that attend: half of all, the others convolve."""
        return max(1, self.n_heads // 2)

    def n_params(self, hidden_size: int) -> int:
        """Return the parameters of the layer in an encoder of a hidden size.

        Example:
            >>> Layer.parsed("LT-DFT-2-512-1").n_params(128)  # 129 * 128 + 129 * 512 + 513 * 128 + 256
            148480
        """
        h, w = hidden_size, self.width
        feed_forward = (h + 1) * w + (self.n_feed_forward - 1) * (w + 1) * w + (w + 1) * h
        return self._operation_params(h) + feed_forward + 2 * h

    def macs(self, hidden_size: int, length: int) -> int:
        """Return the multiply-accumulates of the layer for a text of `length` tokens, but Fourier transforms."""
        h, w = hidden_size, self.width
        weights = h * w + (self.n_feed_forward - 1) * w * w + w * h
        return self._operation_macs(h, length) + weights * length

    def _operation_params(self, h: int) -> int:
        out = (h + 1) * h + 2 * h
        if self.operation == "LT":
            return (h + 1) * h
        if self.operation == "SA":
            return 3 * (h + 1) * h + (h * h if self.parameter == "WMA" else 0) + out
        a, k = self.n_attending * (h // self.n_heads), self.kernel_size
        kernels = (a + 1) * self.n_attending * k
        return 4 * (h + 1) * a + h * k + h * a + a + kernels + out

    def _operation_macs(self, h: int, length: int) -> int:
        if self.operation == "LT":
            cosine = h // self.n_heads + length if self.parameter == "DCT" else 0
            return (h * h + cosine * h) * length
        if self.operation == "SA":
            return (4 * h * h + (h * h if self.parameter == "WMA" else 0) + 2 * h * length) * length
        a, k = self.n_attending * (h // self.n_heads), self.kernel_size
        convolving = h * k + h * a + a * self.n_attending * k
        return (4 * h * a + convolving + 2 * a * length + h * h) * length


LAYERS = frozenset(
    f"{operation}-{parameter}-{heads}-{width}-{calls}"
    for operation, parameters in OPERATIONS.items()
    for parameter, heads, width, calls in itertools.product(parameters, N_HEADS, WIDTHS, N_FEED_FORWARD)
)
"""The texts of all 48 layers."""
