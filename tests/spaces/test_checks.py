"""What spaces refuse, each in one line that names the field."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.checks import check_fields, check_halvings, check_no_weights, check_positive


@pytest.mark.parametrize("value", [0, -3, 2.0, "4", None, True])
def test_what_is_not_positive_and_whole_is_refused_by_its_name(value: Any) -> None:
    with pytest.raises(SpaceError, match=f"channels: found {value!r}, expected a positive whole number"):
        check_positive(num_classes=10, channels=value)
    check_positive(num_classes=np.int64(10), channels=1)


def test_sides_stay_whole() -> None:
    check_halvings(12, 2)
    with pytest.raises(SpaceError, match="image_size: 12 pixels cannot be halved 3 times"):
        check_halvings(12, 3)


def test_weights_are_refused() -> None:
    check_no_weights("cells", None)
    with pytest.raises(SpaceError, match="weights: the networks of cells share none; leave them out"):
        check_no_weights("cells", {})


@pytest.mark.parametrize("arch", [{"ops": []}, {"ops": [], "matrix": [], "x": 1}, ["ops", "matrix"], None])
def test_an_architecture_has_just_its_fields(arch: Any) -> None:
    with pytest.raises(SpaceError, match="expected an object with the fields matrix, ops"):
        check_fields(arch, "matrix", "ops")
    check_fields({"ops": 1, "matrix": 2}, "matrix", "ops")
