"""The FlexiBERT space as published with 500 GLUE scores (Serianni and Kalita, ACL 2023)."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.checks import check_fields, check_no_weights
from lswag_fast.spaces.encoding import read_json
from lswag_fast.spaces.flexibert.layer import LAYERS, N_FEED_FORWARD, N_HEADS, OPERATIONS, WIDTHS, Layer
from lswag_fast.spaces.flexibert.model import EMBEDDING, N_BYTES, N_POSITIONS, N_SEGMENTS, FlexiBertNet
from lswag_fast.spaces.protocol import Arch
from lswag_fast.spaces.text_space import TextSpace

HIDDEN_SIZES = (128, 256)
DEPTHS = (2, 4)


class FlexiBert(TextSpace):
    """Encoders of two or four layers that may each be of another kind: 10,621,440 of them.

    An architecture is `{"hidden_size": 128, "layers": ["SA-SDP-4-1024-1", "DSC-9-2-512-3"]}`: the hidden size, and of
    each layer, as published, the operation, its parameter, its heads, the width and the number of linear calls of its
    feed-forward part. The operations are self-attention ("SA", by a scaled or a weighted product), a linear transform
    ("LT", Fourier or cosine) and span-dynamic convolutions ("DSC", of 5 or 9 tokens).

    The networks are the published encoders, with as many parameters, and tell the bytes of masked tokens. Departures:
    the head is the table of the bytes as a constant, without parameters of its own; there is no dropout. The published
    parameter counts of the 500 are those of networks that all have the hidden size 256 and the width 1,024.

    Args:
        length: tokens of a text, at most 512.
        vocabulary: different tokens; 30,522 as published, of which a network of bytes uses 257.

    Raises:
        SpaceError: a value is out of range.

    Example:
        >>> import torch
        >>> space = FlexiBert(length=16)
        >>> arch = {"hidden_size": 128, "layers": ["SA-SDP-4-1024-1", "LT-DFT-2-512-1"]}
        >>> space.build(arch)(torch.full((2, 16), 65)).shape
        torch.Size([2, 16, 256])
    """

    name = "flexibert"
    FIELDS = ("length", "vocabulary")
    is_masked = True

    def __init__(self, *, length: int = 64, vocabulary: int = 30_522) -> None:
        self._set_sizes(length=length, vocabulary=vocabulary)
        if length > N_POSITIONS:
            raise SpaceError(f"length: found {length}, the networks have {N_POSITIONS} positions")
        if vocabulary <= N_BYTES:
            raise SpaceError(f"vocabulary: found {vocabulary}, expected more than the {N_BYTES} bytes and the mask")

    @property
    def size(self) -> int:
        """Number of architectures.

        Example:
            >>> FlexiBert().size
            10621440
        """
        return len(HIDDEN_SIZES) * sum(int(len(LAYERS) ** depth) for depth in DEPTHS)

    def sample(self, rng: random.Random) -> Arch:
        """Draw an architecture: its hidden size and depth uniformly, then each layer.

        Args:
            rng: the only source of randomness.

        Returns:
            A member of the space.

        Example:
            >>> FlexiBert().sample(random.Random(1))["hidden_size"]
            128
        """
        hidden_size, depth = rng.choice(HIDDEN_SIZES), rng.choice(DEPTHS)
        return _arch(hidden_size, [_drawn_layer(rng) for _ in range(depth)])

    def mutate(self, arch: Arch, rng: random.Random) -> Arch:
        """Change one thing: the hidden size, the depth, or one field of one layer.

        Args:
            arch: a member of the space, which is left as it was.
            rng: the only source of randomness.

        Returns:
            A member of the space other than `arch`.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> space, rng = FlexiBert(), random.Random(0)
            >>> arch = space.sample(rng)
            >>> space.mutate(arch, rng) != arch
            True
        """
        hidden_size, layers = self._parts(arch)
        place = rng.randrange(len(layers) + 2)
        if place < len(layers):
            layers[place] = _changed(layers[place], rng)
        elif place == len(layers):
            hidden_size = _another(HIDDEN_SIZES, hidden_size, rng)
        elif len(layers) == min(DEPTHS):
            layers += [_drawn_layer(rng) for _ in range(max(DEPTHS) - len(layers))]
        else:
            layers = [layers[k] for k in sorted(rng.sample(range(len(layers)), min(DEPTHS)))]
        return _arch(hidden_size, layers)

    def crossover(self, a: Arch, b: Arch, rng: random.Random) -> Arch:
        """Take hidden size and depth from one of the parents each, and each layer from one that has it.

        Args:
            a: a member of the space, which is left as it was.
            b: likewise.
            rng: the only source of randomness.

        Returns:
            A member of the space.

        Raises:
            SpaceError: a parent is not a member of the space.

        Example:
            >>> space, rng = FlexiBert(), random.Random(0)
            >>> arch = space.sample(rng)
            >>> space.crossover(arch, arch, rng) == arch
            True
        """
        parents = self._parts(a), self._parts(b)
        hidden_size, depth = rng.choice(parents)[0], len(rng.choice(parents)[1])
        return _arch(
            hidden_size,
            [rng.choice([layers[k] for _, layers in parents if k < len(layers)]) for k in range(depth)],
        )

    def encode(self, arch: Arch) -> str:
        """Return an architecture as one line of JSON.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> FlexiBert().encode({"layers": ["LT-DFT-2-512-1", "LT-DCT-2-512-1"], "hidden_size": 128})
            '{"hidden_size":128,"layers":["LT-DFT-2-512-1","LT-DCT-2-512-1"]}'
        """
        return json.dumps(_arch(*self._parts(arch)), separators=(",", ":"))

    def decode(self, text: str) -> Arch:
        """Return the architecture of a line of JSON, or of the published `128:SA-SDP-4-1024-1|LT-DFT-2-512-1`.

        Raises:
            SpaceError: the text is anything else.

        Example:
            >>> FlexiBert().decode("256:DSC-5-2-512-1|DSC-9-2-512-1")["layers"]
            ['DSC-5-2-512-1', 'DSC-9-2-512-1']
        """
        size, colon, layers = text.partition(":") if isinstance(text, str) else ("", "", "")
        if colon and size.isdecimal():
            return _arch(*self._parts({"hidden_size": int(size), "layers": layers.split("|")}))
        return _arch(*self._parts(read_json(text)))

    def n_params(self, arch: Arch) -> int:
        """Return the number of parameters of `build(arch)`, in closed form.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> FlexiBert().n_params({"hidden_size": 256, "layers": ["DSC-9-4-1024-1", "DSC-5-2-1024-1"]})
            5526167
        """
        hidden_size, layers = self._parts(arch)
        tables = (self.vocabulary + N_POSITIONS + N_SEGMENTS + 2) * EMBEDDING
        project = (EMBEDDING + 1) * hidden_size if hidden_size != EMBEDDING else 0
        return tables + project + sum(layer.n_params(hidden_size) for layer in layers)

    def macs(self, arch: Arch) -> int:
        """Return the multiply-accumulates of one text through `build(arch)`, Fourier transforms not counted.

        Raises:
            SpaceError: `arch` is not a member of the space.
        """
        hidden_size, layers = self._parts(arch)
        project = 2 * EMBEDDING * hidden_size if hidden_size != EMBEDDING else 0
        ends = (project + EMBEDDING * N_BYTES) * self.length
        return ends + sum(layer.macs(hidden_size, self.length) for layer in layers)

    def build(self, arch: Arch, weights: Mapping[str, Tensor] | None = None) -> FlexiBertNet:
        """Build the network: tokens (B, length) -> logits of the bytes (B, length, 256), in train mode.

        Args:
            arch: a member of the space.
            weights: must be None, these networks share none. They are drawn with torch's global generator, as
                published.

        Raises:
            SpaceError: `weights` are given, or `arch` is not a member of the space.
        """
        check_no_weights(self.name, weights)
        hidden_size, layers = self._parts(arch)
        return FlexiBertNet(layers, hidden_size, self.vocabulary)

    def _parts(self, arch: Any) -> tuple[int, list[Layer]]:
        """The hidden size and the layers, a list of the caller's own."""
        check_fields(arch, "hidden_size", "layers")
        if type(arch["hidden_size"]) is not int or arch["hidden_size"] not in HIDDEN_SIZES:
            raise SpaceError(f"hidden_size: found {arch['hidden_size']!r}, expected 128 or 256")
        layers = arch["layers"]
        if not isinstance(layers, (list, tuple)) or len(layers) not in DEPTHS:
            raise SpaceError(f"layers: found {str(layers)[:60]}, expected a list of 2 or 4 layers")
        return arch["hidden_size"], [Layer.parsed(text) for text in layers]


def _arch(hidden_size: int, layers: Sequence[Layer]) -> Arch:
    return {"hidden_size": hidden_size, "layers": [str(layer) for layer in layers]}


def _drawn_layer(rng: random.Random) -> Layer:
    operation = rng.choice(tuple(OPERATIONS))
    return Layer(
        operation,
        rng.choice(OPERATIONS[operation]),
        rng.choice(N_HEADS),
        rng.choice(WIDTHS),
        rng.choice(N_FEED_FORWARD),
    )


def _changed(layer: Layer, rng: random.Random) -> Layer:
    """A layer with one field changed; with another operation comes a parameter of it."""
    field = rng.choice([field.name for field in dataclasses.fields(Layer)])
    if field == "operation":
        operation = _another(tuple(OPERATIONS), layer.operation, rng)
        return dataclasses.replace(layer, operation=operation, parameter=rng.choice(OPERATIONS[operation]))
    choices: Sequence[Any] = {
        "parameter": OPERATIONS[layer.operation], "n_heads": N_HEADS, "width": WIDTHS, "n_feed_forward": N_FEED_FORWARD,
    }[field]  # fmt: skip
    return dataclasses.replace(layer, **{field: _another(choices, getattr(layer, field), rng)})


def _another(choices: Sequence[Any], present: Any, rng: random.Random) -> Any:
    return rng.choice([choice for choice in choices if choice != present])
