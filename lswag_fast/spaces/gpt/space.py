"""A small space of decoders of text, to search under a number of parameters."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.checks import check_fields, check_no_weights
from lswag_fast.spaces.encoding import read_json
from lswag_fast.spaces.gpt.model import GptNet
from lswag_fast.spaces.protocol import Arch
from lswag_fast.spaces.text_space import N_BYTES, TextSpace

WIDTHS = (64, 128, 192, 256, 384)
DEPTHS = tuple(range(2, 9))
N_HEADS = (2, 4, 8)
RATIOS = (2, 3, 4)
Layer = tuple[int, int]
"""The heads of a layer, and how many times wider than the network its feed-forward layer is."""


class Gpt(TextSpace):
    """Decoders that tell the next byte: a width, two to eight layers, and of each the heads and the feed-forward width.

    An architecture is `{"width": 128, "num_heads": [4, 8], "mlp_ratio": [4, 2]}`, a number for each layer.

    Args:
        length: bytes of a text, and positions of the networks.

    Raises:
        SpaceError: the length is not a positive whole number.

    Example:
        >>> import torch
        >>> space = Gpt(length=16)
        >>> net = space.build({"width": 64, "num_heads": [2, 4], "mlp_ratio": [4, 2]})
        >>> net(torch.full((2, 16), 65)).shape
        torch.Size([2, 16, 256])
    """

    name = "gpt"
    FIELDS = ("length",)
    is_masked = False
    vocabulary = N_BYTES

    def __init__(self, *, length: int = 64) -> None:
        self._set_sizes(length=length)

    @property
    def size(self) -> int:
        """Number of architectures.

        Example:
            >>> Gpt().size == 5 * sum(9**depth for depth in range(2, 9))
            True
        """
        return len(WIDTHS) * sum(int((len(N_HEADS) * len(RATIOS)) ** depth) for depth in DEPTHS)

    def sample(self, rng: random.Random) -> Arch:
        """Draw an architecture: width and depth uniformly, then each layer.

        Args:
            rng: the only source of randomness.

        Returns:
            A member of the space.

        Example:
            >>> len(Gpt().sample(random.Random(0))["num_heads"])
            8
        """
        width, depth = rng.choice(WIDTHS), rng.choice(DEPTHS)
        return _arch(width, [_drawn_layer(rng) for _ in range(depth)])

    def mutate(self, arch: Arch, rng: random.Random) -> Arch:
        """Change one thing: the width, one layer, or the depth by one.

        Args:
            arch: a member of the space, which is left as it was.
            rng: the only source of randomness.

        Returns:
            A member of the space, possibly equal to `arch`.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> space, rng = Gpt(), random.Random(1)
            >>> arch = space.sample(rng)
            >>> space.encode(space.mutate(arch, rng)) == space.encode(arch)
            False
        """
        width, layers = self._parts(arch)
        place = rng.randrange(len(layers))
        what = rng.choice(("width", "layer", "depth"))
        if what == "width":
            width = rng.choice(WIDTHS)
        elif what == "layer":
            layers[place] = _drawn_layer(rng)
        elif rng.random() < 0.5 and len(layers) > min(DEPTHS):
            del layers[place]
        elif len(layers) < max(DEPTHS):
            layers.insert(place, _drawn_layer(rng))
        return _arch(width, layers)

    def crossover(self, a: Arch, b: Arch, rng: random.Random) -> Arch:
        """Take width and depth from one of the parents each, and each layer from one that has it.

        Args:
            a: a member of the space, which is left as it was.
            b: likewise.
            rng: the only source of randomness.

        Returns:
            A member of the space.

        Raises:
            SpaceError: a parent is not a member of the space.

        Example:
            >>> space, rng = Gpt(), random.Random(0)
            >>> arch = space.sample(rng)
            >>> space.crossover(arch, arch, rng) == arch
            True
        """
        parents = self._parts(a), self._parts(b)
        width, depth = rng.choice(parents)[0], len(rng.choice(parents)[1])
        return _arch(width, [rng.choice([own[k] for _, own in parents if k < len(own)]) for k in range(depth)])

    def encode(self, arch: Arch) -> str:
        """Return an architecture as one line of JSON.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> Gpt().encode({"mlp_ratio": [4, 2], "num_heads": [2, 4], "width": 64})
            '{"width":64,"num_heads":[2,4],"mlp_ratio":[4,2]}'
        """
        return json.dumps(_arch(*self._parts(arch)), separators=(",", ":"))

    def decode(self, text: str) -> Arch:
        """Return the architecture of a line of JSON.

        Raises:
            SpaceError: the text is anything else.
        """
        return _arch(*self._parts(read_json(text)))

    def n_params(self, arch: Arch) -> int:
        """Return the number of parameters of `build(arch)`, in closed form.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> Gpt(length=64).n_params({"width": 64, "num_heads": [2, 4], "mlp_ratio": [4, 2]})
            120448
        """
        w, layers = self._parts(arch)
        blocks = sum((4 + 2 * ratio) * w * w + (4 + ratio + 1 + 4) * w for _, ratio in layers)
        return (2 * N_BYTES + self.length + 2) * w + blocks

    def macs(self, arch: Arch) -> int:
        """Return the multiply-accumulates of one text through `build(arch)`: linear calls and attention.

        Raises:
            SpaceError: `arch` is not a member of the space.
        """
        w, layers = self._parts(arch)
        blocks = sum((4 + 2 * ratio) * w * w + 2 * self.length * w for _, ratio in layers)
        return self.length * (blocks + N_BYTES * w)

    def build(self, arch: Arch, weights: Mapping[str, Tensor] | None = None) -> GptNet:
        """Build the network: bytes (B, length) -> logits of the next ones (B, length, 256), in train mode.

        Args:
            arch: a member of the space.
            weights: must be None, these networks share none. They are drawn with torch's global generator, as those of
                GPT-2.

        Raises:
            SpaceError: `weights` are given, or `arch` is not a member of the space.
        """
        check_no_weights(self.name, weights)
        width, layers = self._parts(arch)
        return GptNet(width, layers, self.length, self.vocabulary)

    def _parts(self, arch: Any) -> tuple[int, list[Layer]]:
        """The width and the layers, a list of the caller's own."""
        check_fields(arch, "width", "num_heads", "mlp_ratio")
        _check("width", arch["width"], WIDTHS)
        for field, choices in (("num_heads", N_HEADS), ("mlp_ratio", RATIOS)):
            if not isinstance(arch[field], (list, tuple)) or len(arch[field]) not in DEPTHS:
                raise SpaceError(f"{field}: found {str(arch[field])[:60]}, expected a list of 2 to 8, one a layer")
            for value in arch[field]:
                _check(field, value, choices)
        if len(arch["num_heads"]) != len(arch["mlp_ratio"]):
            raise SpaceError("num_heads and mlp_ratio: found lists of different lengths, expected one entry a layer")
        return arch["width"], list(zip(arch["num_heads"], arch["mlp_ratio"], strict=True))


def _check(field: str, value: Any, choices: Sequence[int]) -> None:
    if type(value) is not int or value not in choices:
        raise SpaceError(f"{field}: found {repr(value)[:60]}, expected one of {', '.join(map(str, choices))}")


def _arch(width: int, layers: Sequence[Layer]) -> Arch:
    return {"width": width, "num_heads": [heads for heads, _ in layers], "mlp_ratio": [ratio for _, ratio in layers]}


def _drawn_layer(rng: random.Random) -> Layer:
    return rng.choice(N_HEADS), rng.choice(RATIOS)
