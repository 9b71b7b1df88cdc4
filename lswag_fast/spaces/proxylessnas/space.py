"""The ProxylessNAS space (Cai, Zhu, Han, ICLR 2019): the bottleneck of each of 21 places, or its skip."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from torch import Tensor

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.checks import check_fields, check_halvings, check_no_weights, check_positive
from lswag_fast.spaces.encoding import read_json
from lswag_fast.spaces.image_space import ImageSpace
from lswag_fast.spaces.protocol import Arch, ChoosingTrial
from lswag_fast.spaces.proxylessnas.costs import Cost, bottleneck_cost, frame_cost
from lswag_fast.spaces.proxylessnas.model import ACTIVATIONS, Bottleneck, ProxylessNet, Variant

STAGE_WIDTHS = (24, 40, 80, 96, 192, 320)
SKIP = "skip"
_BOTTLENECKS = {f"{kernel}x{kernel}_MBConv{ratio}": (kernel, ratio) for kernel in (3, 5, 7) for ratio in (3, 6)}
_STEM, _FIRST, _LAST = 32, 16, 1280
_DEPTHS, _STRIDES = (4, 4, 4, 4, 4, 1), (2, 2, 2, 1, 2, 1)
_HALVINGS = 5


class Place(NamedTuple):
    """Where a bottleneck is chosen.

    Attributes:
        in_channels: of its input.
        channels: of its output.
        stride: 2 where the sides are halved.
        side: of the square map that it puts out.
    """

    in_channels: int
    channels: int
    stride: int
    side: int

    def shape(self, op: str) -> Bottleneck:
        """Return the shape of a bottleneck at this place."""
        return Bottleneck(self.in_channels, self.channels, self.stride, *_BOTTLENECKS[op])

    @property
    def ops(self) -> tuple[str, ...]:
        """The choices: a skip is one where input and output have one shape."""
        keeps = self.stride == 1 and self.in_channels == self.channels
        return (*_BOTTLENECKS, SKIP) if keeps else tuple(_BOTTLENECKS)


class ProxylessNas(ImageSpace):
    """Chains of mobile inverted bottlenecks of 21 searched places, in six stages.

    An architecture is `{"blocks": ["5x5_MBConv3", "skip", ...]}`: for each place the side of the depthwise kernel (3, 5
    or 7) and the expansion (3 or 6), named as in the published code, or a skip, where input and output of the place
    have one shape. With the published widths that is every place but the first of each stage; where stage 4 or 6, which
    keep the sides, is rounded to the width of the stage before, its first place can be skipped, too, and the space is
    larger. Stem, first bottleneck (kernel 3, expansion 1), last convolution, strides and the numbers of places are
    those of the published code, and so is the rounding of multiplied widths to multiples of 8.

    The published networks differ in their widths: GPU is `width_mult=1.35`, CPU `width_mult=1.12`, Mobile
    `stage_widths=(32, 40, 80, 96, 192, 320)`.

    Args:
        num_classes: logits.
        image_size: side of the square images in pixels, a multiple of 32.
        width_mult: multiplies the widths; the last convolution is never narrower than 1,280.
        stage_widths: channels of the six stages before they are multiplied.
        squeeze_excitation: gates each bottleneck after its depthwise convolution, as xi-GSNR (Sun et al., ICCV 2023)
            trains these networks. That paper gives no ratio; it is EfficientNet's here, a quarter of the bottleneck's
            input channels.
        activation: "relu6" as published, or "swish" as xi-GSNR trains them.

    Raises:
        SpaceError: an option is none of these.

    Example:
        >>> import torch
        >>> space = ProxylessNas(num_classes=10, image_size=32)
        >>> space.build(space.sample(random.Random(0)))(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    name = "proxylessnas"
    FIELDS = ("num_classes", "image_size", "width_mult", "stage_widths", "squeeze_excitation", "activation")

    def __init__(
        self,
        *,
        num_classes: int = 1000,
        image_size: int = 224,
        width_mult: float = 1.0,
        stage_widths: Sequence[int] = STAGE_WIDTHS,
        squeeze_excitation: bool = False,
        activation: Literal["relu6", "swish"] = "relu6",
    ) -> None:
        self._set_sizes(num_classes=num_classes, image_size=image_size)
        check_halvings(image_size, _HALVINGS)
        if isinstance(width_mult, bool) or not isinstance(width_mult, (int, float)) or not 0 < width_mult < math.inf:
            raise SpaceError(f"width_mult: found {width_mult!r}, expected a positive number")
        if not isinstance(stage_widths, (list, tuple)) or len(stage_widths) != len(_DEPTHS):
            raise SpaceError(f"stage_widths: found {stage_widths!r}, expected {len(_DEPTHS)} whole numbers")
        for width in stage_widths:
            check_positive(stage_widths=width)
        if not isinstance(squeeze_excitation, bool):
            raise SpaceError(f"squeeze_excitation: found {squeeze_excitation!r}, expected True or False")
        if not isinstance(activation, str) or activation not in ACTIVATIONS:
            raise SpaceError(f"activation: found {activation!r}, expected one of {', '.join(ACTIVATIONS)}")
        self.width_mult = float(width_mult)
        self.stage_widths = tuple(int(width) for width in stage_widths)
        self.squeeze_excitation = squeeze_excitation
        self.activation = activation

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """The 21 places, in order.

        Example:
            >>> ProxylessNas().places[0]
            Place(in_channels=16, channels=24, stride=2, side=56)
        """
        widths = [_rounded(width * self.width_mult) for width in (_FIRST, *self.stage_widths)]
        side, places = self.image_size // 2, []
        for (before, width), depth, stride in zip(pairwise(widths), _DEPTHS, _STRIDES, strict=True):
            side //= stride
            places += [Place(before, width, stride, side), *[Place(width, width, 1, side)] * (depth - 1)]
        return tuple(places)

    @property
    def size(self) -> int:
        """Number of architectures.

        Example:
            >>> ProxylessNas().size == 6**6 * 7**15
            True
            >>> ProxylessNas(stage_widths=(8, 8, 16, 16, 24, 24)).size == 6**4 * 7**17  # stages 4 and 6 keep the shape
            True
        """
        return math.prod(len(place.ops) for place in self.places)

    def sample(self, rng: random.Random) -> Arch:
        """Draw the choice of every place uniformly.

        Args:
            rng: the only source of randomness.

        Returns:
            A member of the space.

        Example:
            >>> ProxylessNas().sample(random.Random(0))["blocks"][:2]
            ['5x5_MBConv6', 'skip']
        """
        return {"blocks": [rng.choice(place.ops) for place in self.places]}

    def mutate(self, arch: Arch, rng: random.Random) -> Arch:
        """Give one place another choice.

        Args:
            arch: a member of the space, which is left as it was.
            rng: the only source of randomness.

        Returns:
            A member of the space that differs from `arch` in one place.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> space, rng = ProxylessNas(), random.Random(0)
            >>> arch = space.sample(rng)
            >>> sum(a != b for a, b in zip(arch["blocks"], space.mutate(arch, rng)["blocks"]))
            1
        """
        blocks = self._blocks(arch)
        place = rng.randrange(len(blocks))
        blocks[place] = rng.choice([op for op in self.places[place].ops if op != blocks[place]])
        return {"blocks": blocks}

    def crossover(self, a: Arch, b: Arch, rng: random.Random) -> Arch:
        """Take the choice of each place from one of the parents by a fair coin.

        Args:
            a: a member of the space, which is left as it was.
            b: likewise.
            rng: the only source of randomness.

        Returns:
            A member of the space.

        Raises:
            SpaceError: a parent is not a member of the space.

        Example:
            >>> space, rng = ProxylessNas(), random.Random(0)
            >>> a = space.sample(rng)
            >>> space.crossover(a, a, rng) == a
            True
        """
        return {"blocks": [rng.choice(pair) for pair in zip(self._blocks(a), self._blocks(b), strict=True)]}

    def suggest(self, trial: ChoosingTrial) -> Arch:
        """Return the architecture that a trial of Optuna chooses, see `Suggests`; the places are block_0, ..."""
        blocks = [trial.suggest_categorical(f"block_{i}", place.ops) for i, place in enumerate(self.places)]
        return {"blocks": blocks}

    def suggested(self, arch: Arch) -> dict[str, Any]:
        """Return the choices that an architecture is made of, see `Suggests`."""
        return {f"block_{i}": op for i, op in enumerate(self._blocks(arch))}

    def encode(self, arch: Arch) -> str:
        """Return an architecture as one line of JSON.

        Raises:
            SpaceError: `arch` is not a member of the space.
        """
        return json.dumps({"blocks": self._blocks(arch)}, separators=(",", ":"))

    def decode(self, text: str) -> Arch:
        """Return the architecture of a line of JSON.

        Raises:
            SpaceError: the text is anything else.
        """
        return {"blocks": self._blocks(read_json(text))}

    def n_params(self, arch: Arch) -> int:
        """Return the number of parameters of `build(arch)`, from a table of the choices of each place.

        Raises:
            SpaceError: `arch` is not a member of the space.
        """
        return sum(cost.n_params for cost in self._costs_of(arch))

    def macs(self, arch: Arch) -> int:
        """Return the multiply-accumulates of one image through `build(arch)`: convolutions and the classifier.

        Raises:
            SpaceError: `arch` is not a member of the space.
        """
        return sum(cost.macs for cost in self._costs_of(arch))

    def build(self, arch: Arch, weights: Mapping[str, Tensor] | None = None) -> ProxylessNet:
        """Build the network: images (B, 3, image_size, image_size) -> logits (B, num_classes), in train mode.

        Args:
            arch: a member of the space.
            weights: must be None, these networks share none. They are drawn with torch's global generator, as torch
                initialises convolutions.

        Raises:
            SpaceError: `weights` are given, or `arch` is not a member of the space.
        """
        check_no_weights(self.name, weights)
        chosen = zip(self.places, self._blocks(arch), strict=True)
        bottlenecks = [self._first, *(place.shape(op) for place, op in chosen if op != SKIP)]
        variant = Variant(self.activation, self.squeeze_excitation)
        return ProxylessNet(bottlenecks, variant, self._last_channels, self.num_classes)

    @property
    def _first(self) -> Bottleneck:
        """The bottleneck that is not searched."""
        stem, first = (_rounded(width * self.width_mult) for width in (_STEM, _FIRST))
        return Bottleneck(stem, first, 1, 3, 1)

    @property
    def _last_channels(self) -> int:
        return _rounded(_LAST * max(1.0, self.width_mult))

    @cached_property
    def _frame(self) -> tuple[Cost, Cost]:
        """The cost of the first bottleneck, and of stem, last convolution and classifier."""
        first, channels = self._first, self.places[-1].channels
        return (
            bottleneck_cost(first, self.image_size // 2, self.squeeze_excitation),
            frame_cost(first.in_channels, channels, self._last_channels, self.num_classes, self.image_size),
        )

    @cached_property
    def _table(self) -> tuple[dict[str, Cost], ...]:
        """The cost of each choice of each place."""

        def cost(place: Place, op: str) -> Cost:
            return Cost(0, 0) if op == SKIP else bottleneck_cost(place.shape(op), place.side, self.squeeze_excitation)

        return tuple({op: cost(place, op) for op in place.ops} for place in self.places)

    def _costs_of(self, arch: Arch) -> list[Cost]:
        return [*self._frame, *(row[op] for row, op in zip(self._table, self._blocks(arch), strict=True))]

    def _blocks(self, arch: Any) -> list[str]:
        """The choices of all places, checked, as a list of its own."""
        check_fields(arch, "blocks")
        blocks, table = arch["blocks"], self._table
        if not isinstance(blocks, (list, tuple)) or len(blocks) != len(table):
            raise SpaceError(f"blocks: found {str(blocks)[:60]}, expected {len(table)} choices")
        for number, (op, row) in enumerate(zip(blocks, table, strict=True)):
            if not isinstance(op, str) or op not in row:
                raise SpaceError(f"blocks: place {number} is {op!r}, expected one of {', '.join(row)}")
        return list(blocks)


def _rounded(width: float) -> int:
    """The nearest multiple of 8, but never more than 10 % below the width."""
    nearest = max(8, int(width + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * width else nearest
