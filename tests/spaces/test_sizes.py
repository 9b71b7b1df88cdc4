"""Sizes of spaces: taken as whole numbers, shown as what makes an equal space, refused otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.sizes import SizedSpace


class Squares(SizedSpace):
    FIELDS = ("side",)
    side: int

    def __init__(self, side: Any) -> None:
        self._set_sizes(side=side)


def test_a_size_is_a_plain_whole_number_whatever_it_was_given_as() -> None:
    assert type(Squares(np.int64(16)).side) is int
    assert repr(Squares(np.int64(16))) == "Squares(side=16)"


@pytest.mark.parametrize("side", [0, -1, 2.5, "8", True, None])
def test_anything_else_is_refused_by_its_name(side: Any) -> None:
    with pytest.raises(SpaceError, match="side"):
        Squares(side)
