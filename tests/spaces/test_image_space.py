"""What spaces of networks of square images share: whole numbers, shown as the call that makes an equal space."""

from __future__ import annotations

import numpy as np
import pytest

from lswag_fast.errors import SpaceError
from lswag_fast.spaces import NasBench201, get
from lswag_fast.spaces.image_space import ImageSpace

NAMES = ["nasbench101", "nasbench201", "transnas-micro", "transnas-macro", "darts-imagenet"]
NAMES += ["proxylessnas", "burgerformer"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_shown_makes_an_equal_space(name: str) -> None:
    space = get(name)
    assert isinstance(space, ImageSpace)
    again = eval(repr(space), {type(space).__name__: type(space)})
    assert repr(again) == repr(space)
    assert [getattr(again, field) for field in again.FIELDS] == [getattr(space, field) for field in space.FIELDS]


def test_numbers_of_numpy_become_those_of_python() -> None:
    space = NasBench201(image_size=np.int64(16))
    assert type(space.image_size) is int
    assert (space.input_shape, repr(space)) == (
        (3, 16, 16),
        "NasBench201(num_classes=10, image_size=16, channels=16, cells_per_stage=5)",
    )


@pytest.mark.parametrize("size", [0, -4, 8.0, True, "8"])
def test_another_size_is_refused(size: object) -> None:
    with pytest.raises(SpaceError, match=r"image_size: found .* expected a positive whole number"):
        NasBench201(image_size=size)  # type: ignore[arg-type]
