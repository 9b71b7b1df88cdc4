"""What spaces of networks of square images have in common."""

from __future__ import annotations

from typing import ClassVar

from lswag_fast.spaces.layers import IN_CHANNELS
from lswag_fast.spaces.sizes import SizedSpace
from lswag_fast.spaces.traits import Mode


class ImageSpace(SizedSpace):
    """Networks of images (3, image_size, image_size) that end in logits.

    Attributes:
        num_classes: logits.
        image_size: side of the square images in pixels.
        default_mode: "train": in eval mode an untrained BatchNorm normalises nothing, and the networks rank worse.
        default_init: "own", the weights that training would begin with.

    Example:
        >>> class Squares(ImageSpace):
        ...     FIELDS = ("num_classes", "image_size")
        ...     def __init__(self, *, num_classes: int = 10, image_size: int = 8) -> None:
        ...         self._set_sizes(num_classes=num_classes, image_size=image_size)
        >>> Squares(image_size=16), Squares().input_shape
        (Squares(num_classes=10, image_size=16), (3, 8, 8))
    """

    num_classes: int
    image_size: int
    default_mode: ClassVar[Mode] = "train"
    default_init: ClassVar[str] = "own"

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape (3, image_size, image_size) of one input."""
        return (IN_CHANNELS, self.image_size, self.image_size)
