"""Members in canonical form: lists of their own, one type per field, and the illegal field named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.autoformer.choices import Choices
from lswag_fast.spaces.autoformer.members import Members

MEMBERS = Members("mine", Choices(embed_dim=(64,), depth=(1, 2), num_heads=(1, 2), mlp_ratio=(2.0, 4.0)))
ARCH: dict[str, Any] = {"embed_dim": 64, "depth": 2, "num_heads": [1, 2], "mlp_ratio": [2.0, 4.0]}


def test_lists_are_its_own() -> None:
    found = MEMBERS.canonical(ARCH)
    assert found == ARCH
    assert found["num_heads"] is not ARCH["num_heads"]
    assert found["mlp_ratio"] is not ARCH["mlp_ratio"]


def test_equal_values_of_other_types_become_those_of_the_choices() -> None:
    found = MEMBERS.canonical(ARCH | {"embed_dim": np.int64(64), "num_heads": (1, np.int8(2)), "mlp_ratio": [2, 4]})
    assert found == ARCH
    assert list(found) == list(ARCH)
    values = [found["embed_dim"], *found["num_heads"], *found["mlp_ratio"]]
    assert list(map(type, values)) == [int, int, int, float, float]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"embed_dim": 65}, "embed_dim: found 65, mine allows 64"),
        ({"depth": True}, "depth: found True, mine allows 1, 2"),
        ({"num_heads": [1, 3]}, r"num_heads\[1\]: found 3, mine allows 1, 2"),
        ({"num_heads": [1]}, "num_heads: found 1 values, expected 2, one per block"),
        ({"mlp_ratio": 2.0}, "mlp_ratio: found 2.0, expected a list of 2 values, one per block"),
    ],
)
def test_the_illegal_field_is_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(SpaceError, match=words):
        MEMBERS.canonical(ARCH | change)
