"""Whether a BatchNorm call normalises by the statistics of the batch, however its arguments are written."""

from __future__ import annotations

import pytest

from lswag_fast.observe.operations import in_train_mode


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        (("x", None, None), {}, False),
        (("x", None, None), {"training": True}, True),
        (("x", None, None), {"training": False}, False),
        (("x", None, None, None, None, True), {}, True),
        (("x", None, None, None, None, False, 0.1, 1e-5), {}, False),
    ],
)
def test_training_is_the_sixth_argument_or_a_keyword(args, kwargs, expected) -> None:
    assert in_train_mode(args, kwargs) is expected
