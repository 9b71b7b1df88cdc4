"""How far accuracies and proxies follow the size, on numbers that do so to a known degree."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bench.table1.bias import measured

N = 20
SIZES = np.arange(1.0, N + 1)


def test_values_and_ranks_are_compared_and_networks_without_a_score_left_out() -> None:
    table = pd.DataFrame({"cifar10_test": -SIZES, "params": SIZES, "lswag": SIZES**3, "zico": SIZES})
    table.loc[0, "zico"] = np.inf
    found = {row["of"]: row for row in measured("nb201-cifar10", table, resamples=5, seed=0)}
    assert set(found) == {"accuracy", "lswag", "zico"}
    assert (found["accuracy"]["pearson"], found["accuracy"]["ranks"]) == (pytest.approx(-1), pytest.approx(-1))
    expected = np.corrcoef(SIZES, SIZES**3)[0, 1]
    assert (found["lswag"]["pearson"], found["lswag"]["ranks"]) == (pytest.approx(expected), pytest.approx(1))
    assert [found[of]["published"] for of in ("accuracy", "lswag", "zico")] == [0.41, 0.23, 0.60]
    assert [found[of]["n"] for of in ("lswag", "zico")] == [N, N - 1]
