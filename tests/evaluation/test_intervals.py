"""The packaged layer intervals."""

from __future__ import annotations

import pytest

from lswag_fast.errors import InputError
from lswag_fast.evaluation.intervals import interval_of, known_intervals
from lswag_fast.evaluation.layer_study import spike
from lswag_fast.spaces import names


def test_packaged_intervals_are_those_of_named_spaces_with_their_origin() -> None:
    for name, found in known_intervals().items():
        assert name in names()
        assert {"interval", "n_networks", "data", "bins"} <= set(found)
        means = {row["bin"]: row["mean"] for row in found["bins"]}
        assert interval_of(name) == spike(means)
    with pytest.raises(InputError, match="layers='auto' is known for autoformer"):
        interval_of("resnets")
