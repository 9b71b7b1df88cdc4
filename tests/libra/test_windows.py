"""Correlations inside windows: by a loop over the architectures with scipy, at the edges, and refusals."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from lswag_fast.errors import InputError, TableError
from lswag_fast.libra.windows import ComparisonWindow

RNG = np.random.default_rng(0)
N = 120
SIZES = RNG.uniform(5e6, 9e6, N)
Y = SIZES / 1e6 + RNG.normal(size=N)
Z = np.round(Y + RNG.normal(size=N), 1)  # with ties
TABLE = pd.DataFrame({"params": SIZES, "embed_dim": RNG.choice([192, 216, 240], N)}, index=[f"a{n}" for n in range(N)])


def by_loop(sizes: np.ndarray, share: float, z: np.ndarray, y: np.ndarray) -> tuple[float, int]:
    """The mean over the architectures, one after the other, and how many were left out."""
    found = []
    for own in sizes:
        inside = np.abs(sizes - own) <= share * own
        if inside.sum() >= 10:
            found.append(spearmanr(z[inside], y[inside]).statistic)
    return float(np.mean(found)), len(sizes) - len(found)


@pytest.mark.parametrize("share", [0.03, 0.08, 0.3])
def test_the_mean_over_the_window_of_each_architecture(share: float) -> None:
    windows = ComparisonWindow("params", share).among(SIZES)
    rho, n_left_out = by_loop(SIZES, share, Z, Y)
    assert windows.spearman(Z, Y) == pytest.approx(rho, rel=1e-12)  # the same sums in another order
    assert windows.n_left_out == n_left_out


def test_one_value_of_a_column_is_a_group() -> None:
    window = ComparisonWindow("embed_dim")
    groups = TABLE.reset_index().groupby("embed_dim").groups.values()
    means = [(spearmanr(Z[rows], Y[rows]).statistic, len(rows)) for rows in groups]
    expected = sum(rho * count for rho, count in means) / N
    assert window.among(window.sizes(TABLE).to_numpy()).spearman(Z, Y) == pytest.approx(expected, rel=1e-12)


def test_a_group_may_be_named_by_text() -> None:
    texts = TABLE.assign(embed_dim=TABLE["embed_dim"].map("width {}".format))
    window = ComparisonWindow("embed_dim")
    by_text, by_number = (window.among(window.sizes(table).to_numpy()) for table in (texts, TABLE))
    assert by_text.spearman(Z, Y) == pytest.approx(by_number.spearman(Z, Y), rel=1e-12)


def test_resampled_rows_count_as_often_as_they_were_drawn() -> None:
    rows = np.random.default_rng(1).integers(N, size=N)
    windows = ComparisonWindow("params", 0.08).among(SIZES[rows])
    expected, _ = by_loop(SIZES[rows], 0.08, Z[rows], Y[rows])
    assert windows.spearman(Z[rows], Y[rows]) == pytest.approx(expected, rel=1e-12)


def test_what_is_the_same_in_a_window_ranks_nothing_there() -> None:
    sizes = np.repeat([1.0, 2.0], 10)
    y = np.arange(20.0)
    windows = ComparisonWindow("params", 0.1).among(sizes)
    assert windows.spearman(np.where(sizes == 1, 7.0, y), y) == pytest.approx(0.5)
    assert windows.spearman(y, np.where(sizes == 1, 7.0, y)) == pytest.approx(0.5)


def test_without_a_window_of_ten_there_is_no_figure() -> None:
    window = ComparisonWindow("params", 0.01)
    windows = window.among(np.arange(1.0, 10.0))
    assert math.isnan(windows.spearman(np.arange(9.0), np.arange(9.0)))
    with pytest.raises(TableError, match=r"no window of params \+-1 % holds 10 architectures"):
        windows.check(window)


@pytest.mark.parametrize("text", ["params", "params:8", "params:0%", "params:-8%", "params:100%", ":8%", "params:x%"])
def test_anything_but_a_column_and_a_share_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="a window is COLUMN:SHARE%"):
        ComparisonWindow.parse(text)


@pytest.mark.parametrize("share", [-0.1, 1, math.nan])
def test_a_share_outside_of_its_range_is_refused(share: float) -> None:
    with pytest.raises(InputError, match=rf"the share of a window must lie in \[0, 1\), got {share!r}"):
        ComparisonWindow("params", share)


@pytest.mark.parametrize(
    ("window", "column", "words"),
    [
        (ComparisonWindow("depth", 0.1), None, "no column 'depth' to compare inside of; there are params, embed_dim"),
        (ComparisonWindow("params", 0.1), [np.nan] * N, "column 'params' of 'a0' is empty"),
        (ComparisonWindow("params", 0.1), ["large"] * N, "found 'large', expected a number"),
        (ComparisonWindow("params"), ["large", None] * (N // 2), "column 'params' of 'a1' is empty"),
        (ComparisonWindow("params"), [[1]] * N, r"column 'params': its values name no groups \(unhashable"),
    ],
)
def test_a_column_that_gives_no_sizes_is_refused(
    window: ComparisonWindow, column: list[object] | None, words: str
) -> None:
    table = TABLE if column is None else TABLE.assign(params=column)
    with pytest.raises(TableError, match=words):
        window.sizes(table)


def test_tables_that_give_no_sizes_are_refused() -> None:
    window = ComparisonWindow("params")
    with pytest.raises(TableError, match="several columns are named 'params'; keep one of them"):
        window.sizes(pd.concat([TABLE, TABLE[["params"]]], axis=1))
    with pytest.raises(TableError, match="there are 1, 2"):
        window.sizes(pd.DataFrame({1: [1.0], 2: [2.0]}))
    with pytest.raises(TableError, match="a table is a pandas DataFrame"):
        window.sizes(TABLE["params"])
