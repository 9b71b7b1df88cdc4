"""`bench.search.fast_settings`: what its rows say about networks whose scores are made up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bench.search.fast_settings import EXACT, SETTING, summary_of

N = 12
REVERSED, SHORT = ("8", "auto", "float32"), ("8", "auto", "bfloat16")


def rows_of_seed(seed: str) -> list[dict[str, object]]:
    """Networks whose accuracies fall as the exact values rise; by 8 gradients L-SWAG ranks them the other way round."""
    rows = []
    for setting, sign, seconds in ((EXACT, 1, 4.0), (REVERSED, -1, 2.0), (SHORT, 1, 1.0)):
        for k in range(N):
            value = np.nan if (setting, k) == (SHORT, 0) else float(sign * k)
            row = {"seed": seed, "arch": f"net{k}", **dict(zip(SETTING, setting, strict=True)), "accuracy": float(-k)}
            rows.append({**row, "lswag": value, "zico": float(k), "seconds": seconds})
    return rows


@pytest.fixture(name="found")
def _found() -> pd.DataFrame:
    rows = [row for seed in "01" for row in rows_of_seed(seed)]
    rows = [row for row in rows if (row["seed"], row["precision"]) != ("1", "bfloat16")]  # one seed has it
    return summary_of(pd.DataFrame(rows)).set_index(SETTING)


def test_the_exact_score_comes_first_then_float32(found: pd.DataFrame) -> None:
    assert list(found.index) == [EXACT, REVERSED, SHORT]


def test_a_setting_is_compared_with_the_exact_values_and_the_accuracies(found: pd.DataFrame) -> None:
    exact, other = found.loc[EXACT], found.loc[REVERSED]
    assert (exact["price"], other["price"]) == (1, 0.5)
    assert (exact["lswag_exact"], exact["lswag_accuracy"], exact["lswag_gain"]) == (1, -1, 0)
    assert (other["lswag_exact"], other["lswag_exact_least"], other["lswag_accuracy"]) == (-1, -1, 1)
    assert (other["lswag_gain_low"], other["lswag_gain"], other["lswag_gain_high"]) == (2, 2, 2)
    assert (other["zico_exact"], other["zico_gain_low"], other["zico_gain_high"]) == (1, 0, 0)


def test_networks_without_a_value_and_the_seeds_are_counted(found: pd.DataFrame) -> None:
    assert list(found["n"]) == [2 * N, 2 * N, N - 1]
    assert list(found["n_left_out"]) == [0, 0, 1]
    assert list(found["seeds"]) == [2, 2, 1]
