"""What the two spaces of TransNAS-Bench-101 have in common: their networks, costs and text."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.checks import check_fields, check_no_weights
from lswag_fast.spaces.encoding import read_json
from lswag_fast.spaces.image_space import ImageSpace
from lswag_fast.spaces.protocol import Arch
from lswag_fast.spaces.transnas.costs import Convolution, convolutions
from lswag_fast.spaces.transnas.model import TransNasNet


class TransNas(ImageSpace, ABC):
    """A space whose architectures are `{"network": text}`, the benchmark's own string."""

    name: str
    FIELDS = ("num_classes", "image_size", "channels")
    channels: int

    def __init__(self, *, num_classes: int = 75, image_size: int = 256, channels: int = 64) -> None:
        self._set_sizes(num_classes=num_classes, image_size=image_size, channels=channels)
        if channels % 2:
            raise SpaceError(f"channels: found {channels}, expected an even number; the stem begins with half of them")

    @abstractmethod
    def parsed(self, network: object) -> tuple[str, str | None]:
        """Return the digits of the stages and, where it varies, of the cell.

        Raises:
            SpaceError: `network` is not the string of a member.
        """

    def encode(self, arch: Arch) -> str:
        """Return an architecture as one line of JSON.

        Raises:
            SpaceError: `arch` is not a member of the space.
        """
        self._parts(arch)
        return json.dumps({"network": arch["network"]}, separators=(",", ":"))

    def decode(self, text: str) -> Arch:
        """Return the architecture of a line of JSON, or of the benchmark's own string.

        Raises:
            SpaceError: the text is anything else.
        """
        arch = {"network": text} if isinstance(text, str) and text[:1].isdigit() else read_json(text)
        self._parts(arch)
        return {"network": arch["network"]}

    def n_params(self, arch: Arch) -> int:
        """Return the number of parameters of `build(arch)`, in closed form.

        Raises:
            SpaceError: `arch` is not a member of the space.
        """
        convs, width = self._convolutions(arch)
        return sum(conv.weights + 2 * conv.channels for conv in convs) + (width + 1) * self.num_classes

    def macs(self, arch: Arch) -> int:
        """Return the multiply-accumulates of one image through `build(arch)`: convolutions and the classifier.

        Raises:
            SpaceError: `arch` is not a member of the space.
        """
        convs, width = self._convolutions(arch)
        return sum(conv.weights * conv.side**2 for conv in convs) + width * self.num_classes

    def build(self, arch: Arch, weights: Mapping[str, Tensor] | None = None) -> TransNasNet:
        """Build the network: images (B, 3, image_size, image_size) -> logits (B, num_classes), in train mode.

        Args:
            arch: a member of the space.
            weights: must be None, these networks share none. They are drawn with torch's global generator, as torch
                initialises convolutions.

        Raises:
            SpaceError: `weights` are given, or `arch` is not a member of the space.
        """
        check_no_weights(self.name, weights)
        stages, cell = self._parts(arch)
        return TransNasNet(self._stages(stages), cell, self.num_classes)

    def _parts(self, arch: Any) -> tuple[str, str | None]:
        check_fields(arch, "network")
        return self.parsed(arch["network"])

    def _stages(self, digits: str) -> list[tuple[int, int, int]]:
        """Channels in, channels out and stride of each stage: 2 and 4 double the channels, 3 and 4 halve the sides."""
        stages, width = [], self.channels
        for digit in digits:
            wider = 2 * width if digit in "24" else width
            stages.append((width, wider, 2 if digit in "34" else 1))
            width = wider
        return stages

    def _convolutions(self, arch: Arch) -> tuple[list[Convolution], int]:
        """Every convolution of the network, and the channels of the last stage."""
        digits, cell = self._parts(arch)
        stages = self._stages(digits)
        return list(convolutions(stages, cell, self.image_size)), stages[-1][1]
