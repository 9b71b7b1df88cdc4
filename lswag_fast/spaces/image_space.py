"""What spaces of networks of square images have in common: sizes that are set once, and shown."""

from __future__ import annotations

from typing import ClassVar

from lswag_fast.spaces.checks import check_positive
from lswag_fast.spaces.layers import IN_CHANNELS
from lswag_fast.spaces.traits import Mode


class ImageSpace:
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

    FIELDS: ClassVar[tuple[str, ...]]
    """The arguments that a space is made with, in the order in which it shows them."""

    num_classes: int
    image_size: int
    default_mode: ClassVar[Mode] = "train"
    default_init: ClassVar[str] = "own"

    def _set_sizes(self, **sizes: int) -> None:
        """Take positive whole numbers, numpy's too, as attributes; raises SpaceError for anything else."""
        check_positive(**sizes)
        for field, size in sizes.items():
            setattr(self, field, int(size))

    def __repr__(self) -> str:
        """Write what makes an equal space."""
        return f"{type(self).__name__}({', '.join(f'{field}={getattr(self, field)!r}' for field in self.FIELDS)})"

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape (3, image_size, image_size) of one input."""
        return (IN_CHANNELS, self.image_size, self.image_size)
