"""Checks that several spaces make of what they are given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lswag_fast.errors import SpaceError


def check_positive(**values: Any) -> None:
    """Refuse values that are not positive whole numbers, by their names.

    Raises:
        SpaceError: a value is something else.

    Example:
        >>> check_positive(num_classes=10, channels=16)
    """
    for field, value in values.items():
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
            raise SpaceError(f"{field}: found {value!r}, expected a positive whole number")


def check_halvings(image_size: int, halvings: int) -> None:
    """Refuse images whose side does not stay whole when it is halved.

    Raises:
        SpaceError: the side is no multiple of two to the power `halvings`.

    Example:
        >>> check_halvings(32, 2)
    """
    if image_size % (1 << halvings):
        raise SpaceError(f"image_size: {image_size} pixels cannot be halved {halvings} times")


def check_no_weights(space: str, weights: Mapping[str, Any] | None) -> None:
    """Refuse weights for the networks of a space that share none.

    Args:
        space: its name.
        weights: what `build` was given.

    Raises:
        SpaceError: it is not None.

    Example:
        >>> check_no_weights("nasbench201", None)
    """
    if weights is not None:
        raise SpaceError(f"weights: the networks of {space} share none; leave them out")


def check_fields(arch: Any, *fields: str) -> None:
    """Refuse what is not a mapping with just these fields.

    Raises:
        SpaceError: it is something else.

    Example:
        >>> check_fields({"cell": "..."}, "cell")
    """
    if not isinstance(arch, Mapping) or set(arch) != set(fields):
        wanted = f"field {fields[0]}" if len(fields) == 1 else f"fields {', '.join(fields)}"
        raise SpaceError(f"architecture: found {str(arch)[:120]}, expected an object with the {wanted}")
