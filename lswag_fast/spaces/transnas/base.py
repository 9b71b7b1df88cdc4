"""What the two spaces of TransNAS-Bench-101 have in common: their networks, costs and text."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.checks import check_fields, check_halvings, check_no_weights
from lswag_fast.spaces.encoding import read_json
from lswag_fast.spaces.image_space import ImageSpace
from lswag_fast.spaces.layers import BlockNetwork
from lswag_fast.spaces.protocol import Arch
from lswag_fast.spaces.transnas.costs import Convolution, convolutions, decoder_macs
from lswag_fast.spaces.transnas.decoders import DecoderLayer, decoder, image_layers, segmentation_layers
from lswag_fast.spaces.transnas.model import STEM_HALVINGS, DenseNet, JigsawNet, TransNasNet
from lswag_fast.tasks.jigsaw import GRID, N_PERMUTATIONS, N_TILES

JIGSAW, SEGMENTATION = "jigsaw", "segmentsemantic"
OUTPUTS = {
    "class_object": 75,
    "class_scene": 47,
    "room_layout": 9,
    JIGSAW: N_PERMUTATIONS,
    SEGMENTATION: 17,
    "normal": 3,
    "autoencoder": 3,
}
"""The seven tasks and how many outputs, or channels of an output, the benchmark's networks have for each."""
IMAGE_SIZE, PUZZLE_SIZE = 256, 192
"""Side of the benchmark's images, and of its nine tiles of 64 pixels side by side."""
_OF_IMAGES = ("normal", "autoencoder")
_OF_CLASSES = ("class_object", "class_scene", SEGMENTATION)


class TransNas(ImageSpace, ABC):
    """A space whose architectures are `{"network": text}`, the benchmark's own string, for one of its seven tasks.

    Attributes:
        task: the name of its column: class_object, class_scene, room_layout, jigsaw, segmentsemantic, normal,
            autoencoder.
        default_init: "kaiming", as the benchmark begins its training, by fan-in here.
    """

    name: str
    FIELDS = ("task", "num_classes", "image_size", "channels")
    default_init = "kaiming"
    most_halvings: ClassVar[int]
    """How often a network of the space halves the sides after the stem, at most."""
    task: str
    channels: int

    def __init__(
        self,
        *,
        task: str = "class_object",
        num_classes: int | None = None,
        image_size: int | None = None,
        channels: int = 64,
    ) -> None:
        if not isinstance(task, str) or task not in OUTPUTS:
            raise SpaceError(f"task: found {task!r}, the benchmark has {', '.join(OUTPUTS)}")
        self.task = task
        self._set_sizes(
            num_classes=OUTPUTS[task] if num_classes is None else num_classes,
            image_size=(PUZZLE_SIZE if task == JIGSAW else IMAGE_SIZE) if image_size is None else image_size,
            channels=channels,
        )
        self._check()

    def _check(self) -> None:
        """Refuse sizes that the networks of the task cannot have."""
        if self.num_classes != OUTPUTS[self.task] and self.task not in _OF_CLASSES:
            raise SpaceError(
                f"num_classes: the task {self.task!r} has {OUTPUTS[self.task]} outputs, found {self.num_classes}"
            )
        least = 4 if self.task in _OF_IMAGES else 2
        if self.channels % least:
            why = "the narrowest layer has a quarter of them" if least > 2 else "the stem begins with half of them"
            raise SpaceError(f"channels: found {self.channels}, expected a multiple of {least}; {why}")
        if self.task == JIGSAW and self.image_size % GRID:
            raise SpaceError(f"image_size: {self.image_size} pixels cannot be cut into {GRID} tiles a side")
        if self._is_dense:
            check_halvings(self.image_size, STEM_HALVINGS + self.most_halvings)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of what a network gives for one image: (num_classes,), or (num_classes, image_size, image_size)."""
        side = self.image_size
        return (self.num_classes, side, side) if self._is_dense else (self.num_classes,)

    @property
    def _is_dense(self) -> bool:
        return self.task in (SEGMENTATION, *_OF_IMAGES)

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
        encoder = sum(conv.weights + 2 * conv.channels for conv in convs)
        if self._is_dense:
            return encoder + sum(layer.n_params() for layer in self._decoder_layers(self._parts(arch)[0]))
        return encoder + (self._n_tiles * width + 1) * self.num_classes

    def macs(self, arch: Arch) -> int:
        """Return the multiply-accumulates of one image through `build(arch)`: convolutions and the linear layer.

        Raises:
            SpaceError: `arch` is not a member of the space.
        """
        convs, width = self._convolutions(arch)
        encoder = sum(conv.weights * conv.side**2 for conv in convs)
        if self._is_dense:
            layers = self._decoder_layers(self._parts(arch)[0])
            return encoder + decoder_macs(layers, convs[-1].side)
        return self._n_tiles * (encoder + width * self.num_classes)

    def build(self, arch: Arch, weights: Mapping[str, Tensor] | None = None) -> BlockNetwork:
        """Build the network: images (B, 3, image_size, image_size) -> (B, ...) as `output_shape` says, in train mode.

        Args:
            arch: a member of the space.
            weights: must be None, these networks share none. They are drawn with torch's global generator, as torch
                initialises convolutions.

        Raises:
            SpaceError: `weights` are given, or `arch` is not a member of the space.
        """
        check_no_weights(self.name, weights)
        digits, cell = self._parts(arch)
        stages = self._stages(digits)
        if self._is_dense:
            end = nn.Tanh() if self.task in _OF_IMAGES else None
            return DenseNet(stages, cell, decoder(self._decoder_layers(digits), end))
        net = JigsawNet if self.task == JIGSAW else TransNasNet
        return net(stages, cell, self.num_classes)

    @property
    def _n_tiles(self) -> int:
        """How often the encoder runs."""
        return N_TILES if self.task == JIGSAW else 1

    def _decoder_layers(self, digits: str) -> list[DecoderLayer]:
        layers = segmentation_layers if self.task == SEGMENTATION else image_layers
        doublings = STEM_HALVINGS + sum(stride > 1 for _, _, stride in self._stages(digits))
        return layers(self._stages(digits)[-1][1], self.channels, doublings, self.num_classes)

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
        side = self.image_size // GRID if self.task == JIGSAW else self.image_size
        return list(convolutions(stages, cell, side)), stages[-1][1]
