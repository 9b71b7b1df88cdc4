"""`bench.score.bfloat16`: every method runs, and ratios are those of the plain pass."""

from __future__ import annotations

import math

import pytest

from bench.score import bfloat16
from lswag_fast import kernels


@pytest.mark.skipif(kernels.bfloat16_problem() is not None, reason="no products of bfloat16 here")
def test_every_method_has_a_row() -> None:
    rows = bfloat16.measure("cells_toy", 16, 1)
    assert [row["method"] for row in rows] == list(bfloat16.METHODS)
    assert list(bfloat16.methods_for(4)) == ["plain", "plain_bfloat16", "score", "score_bfloat16"]
    assert all(set(row) == set(bfloat16.COLUMNS) for row in rows)
    assert rows[0]["processor_ratio"] == rows[0]["wall_ratio"] == 1
    exact, rounded = (row["result"] for row in rows if row["method"] in ("score", "score_bfloat16"))
    assert exact != rounded
    assert math.isclose(exact, rounded, rel_tol=2**-6)  # see tests/passes/standard/test_bfloat16.py
