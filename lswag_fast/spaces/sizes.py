"""Spaces that are made with a few sizes."""

from __future__ import annotations

from typing import ClassVar

from lswag_fast.spaces.checks import check_positive


class SizedSpace:
    """A space whose sizes are set once, and shown.

    Example:
        >>> class Squares(SizedSpace):
        ...     FIELDS = ("num_classes", "image_size")
        ...     def __init__(self, *, num_classes: int = 10, image_size: int = 8) -> None:
        ...         self._set_sizes(num_classes=num_classes, image_size=image_size)
        >>> Squares(image_size=16)
        Squares(num_classes=10, image_size=16)
    """

    FIELDS: ClassVar[tuple[str, ...]]
    """The arguments that a space is made with, in the order in which it shows them."""

    def _set_sizes(self, **sizes: int) -> None:
        """Take positive whole numbers, numpy's too, as attributes; raises SpaceError for anything else."""
        check_positive(**sizes)
        for field, size in sizes.items():
            setattr(self, field, int(size))

    def __repr__(self) -> str:
        """Write what makes an equal space."""
        return f"{type(self).__name__}({', '.join(f'{field}={getattr(self, field)!r}' for field in self.FIELDS)})"
