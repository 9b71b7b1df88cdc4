"""Whether a file of scores may be continued by a table: equal values in every form, what differs, what is gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lswag_fast.errors import StorageError
from lswag_fast.evaluation.kept import check_kept
from lswag_fast.evaluation.rows import RowFile


def opened(path: Path, table: pd.DataFrame) -> RowFile:
    """A file that was made of a table."""
    columns = ["arch", *table.columns, "nwot"]
    if not path.exists():
        rows = RowFile(path, columns, {})
        for arch, record in zip(table.index, table.to_dict(orient="records"), strict=True):
            rows.add({"arch": arch, **record, "nwot": 7.0})
        rows.close()
    return RowFile(path, columns, {})


def column(values: Any) -> pd.DataFrame:
    return pd.DataFrame({"x": values}, index=[f"a{place}" for place in range(len(values))])


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ([90.5, np.nan], [90.5, np.nan]),
        ([90, 91], [90.0, 91.0]),  # a whole number elsewhere in the column is NaN now
        ([0.1 + 0.2], [0.3]),
        (["b,c", None], ["b,c", np.nan]),
        ([True, False], [True, False]),
        ([np.inf, -np.inf], [np.inf, -np.inf]),
        (np.array([0.1], dtype=np.float32), np.array([0.1], dtype=np.float32)),
        (pd.array([1, None], dtype="Int64"), [1.0, np.nan]),
        (pd.to_datetime(["2026-01-02", None]), pd.to_datetime(["2026-01-02", None])),
    ],
)
def test_equal_values_are_continued(tmp_path: Path, before: Any, now: Any) -> None:
    rows = opened(tmp_path / "scores.csv", column(before))
    check_kept(rows, column(now))
    rows.close()


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ([1.0, 2.0, 3.0], [1.0, 2.5, 4.0], "'a1' has x 2.0 there and 2.5 in the table; name another file"),
        ([1.0, np.nan], [1.0, 2.0], "'a1' has x nan there and 2.0"),
        ([1.0, 2.0], [1.0, np.nan], "'a1' has x 2.0 there and nan"),
        (["b", "c"], ["b", "d"], "'a1' has x c there and d"),
        (["007"], ["7"], "'a0' has x 007 there and 7"),
        ([None], ["b"], "'a0' has x empty there and b"),
    ],
)
def test_the_first_value_that_differs_is_named(tmp_path: Path, before: Any, now: Any, words: str) -> None:
    rows = opened(tmp_path / "scores.csv", column(before))
    with pytest.raises(StorageError, match=words):
        check_kept(rows, column(now))
    rows.close()


def test_an_architecture_that_the_table_no_longer_has_is_named(tmp_path: Path) -> None:
    table = column([1.0, 2.0, 3.0])
    rows = opened(tmp_path / "scores.csv", table)
    with pytest.raises(StorageError, match=r"scores\.csv has a row of 'a1', which the table does not have; name"):
        check_kept(rows, table.drop(index="a1"))
    check_kept(rows, pd.concat([table, table.rename(index=lambda name: f"new {name}")]).iloc[::-1])
    rows.close()
