"""Benchmark tables: every format goes round, joins, numbers, refusals that name row and column, published tables."""

from __future__ import annotations

import gzip
import json
import math
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lswag_fast.data.tables import (
    finite_numbers,
    join,
    numbers,
    read_table,
    suite_dict,
    suite_table,
    write_table,
)
from lswag_fast.errors import LswagError, StorageError, TableError
from support.published import published_file
from support.stand_ins.full_disk import fill

WRITTEN = ["table.csv", "table.csv.gz", "table.parquet"]


def example() -> pd.DataFrame:
    """Names with leading zeros, in no order; a fraction without an end, a large, a small and a missing number."""
    index = pd.Index(["010", "001", "100", "1"], name="arch")
    values = {"nwot": [1 / 3, -1e300, 5e-7, math.nan], "params": [3, 2, 1, 0], "val_accuracy": [9.5, 10.0, 93.25, 0.1]}
    return pd.DataFrame(values, index=index)


def assert_same_table(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    # Reading decimals, older pandas may miss the nearest double by one.
    pd.testing.assert_frame_equal(found, expected, rtol=3e-16, atol=0, check_index_type=False)
    assert all(isinstance(name, str) for name in found.index)


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    write_table(example(), tmp_path / name)
    assert_same_table(read_table(tmp_path / name), example())
    fill(monkeypatch)
    with pytest.raises(StorageError, match="No space left on device"):
        write_table(example().iloc[:1], tmp_path / name)
    assert_same_table(read_table(str(tmp_path / name)), example())


@pytest.mark.parametrize("name", WRITTEN)
def test_the_key_may_be_any_column(tmp_path: Path, name: str) -> None:
    write_table(example().rename_axis("ops"), tmp_path / name)
    assert_same_table(read_table(tmp_path / name, key="ops"), example().rename_axis("ops"))


def test_parquet_written_elsewhere_has_its_key_as_a_column(tmp_path: Path) -> None:
    example().reset_index().to_parquet(tmp_path / "plain.parquet", index=False)
    assert_same_table(read_table(tmp_path / "plain.parquet"), example())


def test_numeric_keys_of_parquet_become_text(tmp_path: Path) -> None:
    pd.DataFrame({"arch": [7, 12], "nwot": [0.5, 1.5]}).to_parquet(tmp_path / "numeric.parquet")
    assert read_table(tmp_path / "numeric.parquet").index.tolist() == ["7", "12"]


def test_parquet_without_pyarrow_is_an_import_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(example(), tmp_path / "table.parquet")
    for package in ("pyarrow", "fastparquet"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match="pyarrow"):
        read_table(tmp_path / "table.parquet")
    with pytest.raises(ImportError, match="pyarrow"):
        write_table(example(), tmp_path / "other.parquet")


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", WRITTEN)
def test_a_key_that_is_no_column_lists_the_columns(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_table(example().rename_axis("ops"), path)
    with pytest.raises(
        TableError, match=rf"{name}: no column 'arch' names the architectures; there are .*nwot, params"
    ):
        read_table(path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv.gz", gzip.compress(b"arch,nwot\na,1\n", mtime=0)[:-12], "cannot be read .Compressed file ended"),
        ("t.csv.gz", gzip.compress(b"arch,nwot\na,1\n", mtime=0)[:10] + b"\xff" * 20, "cannot be read .Error -3"),
        ("t.csv.gz", b"arch,nwot\na,1\n", "cannot be read .Not a gzipped file"),
        ("t.csv", b"", "cannot be read .No columns"),
        ("t.csv", b"arch,nwot\n\xff,1\n", "cannot be read .'utf-8'"),
        ("t.csv", b"arch,nwot\na,1\nb,1,2\n", "cannot be read .*line 3"),
        ("t.csv", b"arch,nwot\na,1,2\nb,1,2\n", "its rows have more fields than its header"),
        ("t.parquet", b"PAR1", "cannot be read .*Parquet"),
        ("t.json", b'{"cifar10": {', "cannot be read .*line 1"),
        ("t.xlsx", b"arch", "the name of a table ends in .csv, .csv.gz, .parquet or .json"),
    ],
)
def test_files_that_are_no_tables_are_refused(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TableError, match=f"{name}: {words}"):
        read_table(path)


@pytest.mark.parametrize("name", [*WRITTEN, "table.json"])
def test_a_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(TableError, match=f"{name}: cannot be read"):
        read_table(tmp_path / name)


def test_only_three_endings_are_written(tmp_path: Path) -> None:
    with pytest.raises(
        TableError, match=r"t.json: .* written as .csv, .csv.gz or .parquet; `suite_dict` gives the JSON"
    ):
        write_table(example(), tmp_path / "t.json")
    assert not (tmp_path / "t.json").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("ops,nwot\na,1\n", "no column 'arch' names the architectures; there are ops, nwot"),
        ("arch,nwot\na,1\n,2\n", "row 2 names no architecture"),
        ("arch,nwot\na,1\nb,2\na,3\n", "row 3 names 'a' again"),
    ],
)
def test_keys_name_each_architecture_once(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(TableError, match=f"t.csv: {words}"):
        read_table(write(tmp_path / "t.csv", content))


def test_parquet_without_a_name_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"arch": ["a", None], "nwot": [1.0, 2.0]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(TableError, match=r"t.parquet: row 2 names no architecture"):
        read_table(tmp_path / "t.parquet")


SUITE: dict[str, Any] = {
    "cifar10": {
        "012": {"nwot": {"score": 1.5, "time": 0.25}, "flops": {"score": 30}, "val_accuracy": 90.5},
        "001": {"nwot": {"score": -math.inf, "time": 0.5}, "flops": {"score": 20}, "val_accuracy": 10},
    },
    "svhn": {"012": {"nwot": {"score": 2.5}, "val_accuracy": 95.0}},
}


def suite(entry: Any) -> dict[str, Any]:
    return {"cifar10": {"012": {"nwot": {"score": 1.5}}, "001": {"nwot": entry}}}


def test_suite_json_is_a_table_of_one_data_set(tmp_path: Path) -> None:
    expected = pd.DataFrame(
        {"nwot": [1.5, -math.inf], "nwot_time": [0.25, 0.5], "flops": [30.0, 20.0], "val_accuracy": [90.5, 10.0]},
        index=pd.Index(["012", "001"], name="arch"),
    )
    path = write(tmp_path / "zc.json", json.dumps(SUITE))
    pd.testing.assert_frame_equal(read_table(path, dataset="cifar10"), expected, check_exact=True)
    assert read_table(path, dataset="svhn").to_dict() == {"nwot": {"012": 2.5}, "val_accuracy": {"012": 95.0}}


def test_the_only_data_set_needs_no_name(tmp_path: Path) -> None:
    path = write(tmp_path / "zc.json", json.dumps({"svhn": SUITE["svhn"]}))
    assert read_table(path).equals(read_table(path, dataset="svhn"))


def test_a_proxy_that_an_architecture_lacks_is_nan() -> None:
    table = suite_table({"d": {"b": {"nwot": 1.0}, "a": {"nwot": 2.0, "zen": 3.0}}})
    assert table.index.tolist() == ["b", "a"]
    np.testing.assert_array_equal(table["zen"], [math.nan, 3.0])


def test_suite_json_goes_round(tmp_path: Path) -> None:
    table = suite_table(SUITE, "cifar10")
    assert suite_dict(table, "cifar10", ["nwot", "flops"], "val_accuracy") == {"cifar10": SUITE["cifar10"]}
    path = write(tmp_path / "again.json", json.dumps(suite_dict(table, "new", ["nwot", "flops"], "val_accuracy")))
    pd.testing.assert_frame_equal(read_table(path, dataset="new"), table, check_exact=True)


def test_suite_dict_renames_the_accuracy_and_takes_only_what_is_named() -> None:
    table = example().rename(columns={"val_accuracy": "top1"})
    assert suite_dict(table, "svhn", ["params"], "top1")["svhn"]["010"] == {"params": {"score": 3}, "val_accuracy": 9.5}
    with pytest.raises(TableError, match="no column 'zen'; there are nwot, params, top1"):
        suite_dict(table, "svhn", ["zen"], "top1")


@pytest.mark.parametrize("content", [SUITE, {}, [1, 2], {"cifar10": [1]}])
def test_a_data_set_is_named(content: Any) -> None:
    listed = ", ".join(content) if isinstance(content, dict) and content else "none"
    with pytest.raises(TableError, match=rf"table: name one of its data sets \({listed}\), found None"):
        suite_table(content)


def test_an_unknown_data_set_lists_the_known(tmp_path: Path) -> None:
    path = write(tmp_path / "zc.json", json.dumps(SUITE))
    with pytest.raises(TableError, match=r"zc.json: name one of its data sets \(cifar10, svhn\), found 'mnist'"):
        read_table(path, dataset="mnist")


@pytest.mark.parametrize(
    "entry", [None, "high", True, [1.0], {"time": 1.0}, {"score": None}, {"score": "1"}, {"score": 1.0, "time": None}]
)
def test_what_is_no_number_in_suite_json(tmp_path: Path, entry: Any) -> None:
    path = write(tmp_path / "zc.json", json.dumps(suite(entry)))
    with pytest.raises(TableError, match=r"zc.json: 001: nwot: found .*, expected a number or \{score, time\}"):
        read_table(path)


def test_an_architecture_without_scores_by_proxy() -> None:
    with pytest.raises(TableError, match="zc: 001: found float, expected the scores by proxy"):
        suite_table({"cifar10": {"001": 93.0}}, source="zc")


def test_json_that_names_an_architecture_twice(tmp_path: Path) -> None:
    path = write(tmp_path / "zc.json", '{"d": {"001": {"nwot": 1.0}, "001": {"nwot": 2.0}}}')
    with pytest.raises(TableError, match=r"zc.json: cannot be read .one object has '001' twice"):
        read_table(path)


def column(name: str, values: dict[str, float]) -> pd.DataFrame:
    return pd.Series(values).to_frame(name)


A = column("a", {"z": 1.0, "m": 2.0, "b": 3.0, "k": 4.0})
B = column("b", {"b": 30.0, "k": 40.0, "q": 50.0, "z": 10.0})
C = column("c", {"k": 400.0, "z": 100.0, "m": 200.0})


def test_join_keeps_what_all_tables_hold_in_the_order_of_the_first() -> None:
    assert join([A, B]).to_dict() == {"a": {"z": 1, "b": 3, "k": 4}, "b": {"z": 10, "b": 30, "k": 40}}
    assert join([A, B]).index.tolist() == ["z", "b", "k"]
    assert join([B, A]).index.tolist() == ["b", "k", "z"]


def test_join_of_three_and_of_one() -> None:
    expected = pd.DataFrame({"a": [1.0, 4.0], "b": [10.0, 40.0], "c": [100.0, 400.0]}, index=["z", "k"])
    pd.testing.assert_frame_equal(join([A, B, C]), expected, check_exact=True)
    pd.testing.assert_frame_equal(join([A]), A, check_exact=True)


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ([], "no table to join"),
        ([A, B, column("a", {"z": 1.0})], "two tables have the column 'a'; rename it"),
        ([A, column("d", {"x": 1.0})], "no architecture in common; do their keys mean the same"),
        ([column("d", {"m": 1.0}), A, B], "no architecture in common"),
        ([A, pd.DataFrame({"d": [1.0]}, index=[7])], "no architecture in common"),
        ([A.iloc[:0]], "table 1 has no architectures"),
        ([A, B.iloc[:0]], "table 2 has no architectures"),
        ([A, pd.concat([B, B])], "table 2: row 5 names 'b' again"),
        ([column("d", {"": 1.0}), A], "table 1: row 1 names no architecture"),
    ],
)
def test_tables_that_do_not_join(tables: list[pd.DataFrame], words: str) -> None:
    with pytest.raises(TableError, match=words):
        join(tables)


def test_numbers_reads_text_and_keeps_what_is_not_finite() -> None:
    table = pd.DataFrame({"x": ["1.5", "inf", "-Infinity", "NaN", None], "n": [1, 2, 3, 4, 5], "t": list("abcde")})
    found = numbers(table, ["n", "x", "n"])
    assert found.columns.tolist() == ["n", "x"]
    assert set(found.dtypes) == {np.dtype(np.float64)}
    np.testing.assert_array_equal(found["x"], [1.5, math.inf, -math.inf, math.nan, math.nan])


def test_numbers_names_row_and_column() -> None:
    table = pd.DataFrame({"x": ["1", "n/a", "3", "?"]}, index=["p", "q", "r", "s"])
    with pytest.raises(TableError, match="column 'x' of 'q': found 'n/a', expected a number"):
        numbers(table, ["x"])
    with pytest.raises(TableError, match="no column 'y'; there are x"):
        numbers(table, ["x", "y", "w"])
    with pytest.raises(TableError, match="several columns are named 'a'; keep one of them"):
        numbers(pd.concat([A, A], axis=1), ["a"])


@pytest.mark.parametrize(
    "values", [pd.date_range("2020", periods=2), pd.period_range("2020", periods=2), pd.to_timedelta([1, 2]), [1j, 2]]
)
def test_numbers_counts_no_dates_and_no_real_parts(values: Any) -> None:
    table = pd.DataFrame({"x": values})
    with pytest.raises(TableError, match=f"column 'x' holds {re.escape(str(table['x'].dtype))} values, expected num"):
        numbers(table, ["x"])


def broken(n_rows: int = 14) -> pd.DataFrame:
    """Rows 0 and 1 are NaN in b, rows 1 and 2 infinite in c, row 3 NaN in d."""
    table = pd.DataFrame({name: np.arange(n_rows, dtype=float) for name in "abcd"})
    table.loc[[0, 1], "b"], table.loc[[1, 2], "c"], table.loc[3, "d"] = math.nan, [math.inf, -math.inf], math.nan
    return table


@pytest.mark.parametrize(
    ("columns", "dropped"), [("a", []), ("ab", [0, 1]), ("abc", [0, 1, 2]), ("abcd", [0, 1, 2, 3])]
)
def test_rows_that_are_not_finite_are_left_out_and_counted(columns: str, dropped: list[int]) -> None:
    kept, n_dropped = finite_numbers(broken(), columns)
    assert n_dropped == len(dropped)
    assert kept.index.tolist() == [row for row in range(14) if row not in dropped]
    assert np.isfinite(kept.to_numpy()).all()


def test_ten_finite_rows_are_enough_and_nine_name_the_worst_column() -> None:
    assert len(finite_numbers(broken(12), "ab")[0]) == 10
    table = broken(12)
    table.loc[5, "c"] = math.nan
    with pytest.raises(
        TableError, match="7 of 12 rows are finite, at least 10 are needed; 'c' is NaN or infinite in 3"
    ):
        finite_numbers(table, "abcd")


def test_a_short_table_blames_no_column() -> None:
    with pytest.raises(TableError, match=r"4 of 4 rows are finite, at least 10 are needed$"):
        finite_numbers(A, ["a"])


def test_table_errors_are_value_errors_of_the_library() -> None:
    assert issubclass(TableError, ValueError)
    assert issubclass(TableError, LswagError)


TEXTS = {
    "a column twice": ("table.csv", "arch,zico,zico\na,1,2\n", "two columns are named 'zico'; keep one of them"),
    "a NUL byte": ("table.csv", "arch,zico\na,1\nb\0,2\n", "line 3 holds a NUL byte"),
    "deep": ("table.json", "[" * 100_000, "cannot be read"),
    "beyond float": ("table.json", json.dumps({"c": {"a": {"zico": {"score": 10**400}}}}), "has 401 digits"),
}


@pytest.mark.parametrize(("name", "content", "message"), TEXTS.values(), ids=TEXTS)
def test_what_would_be_read_as_something_else_is_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(TableError, match=message):
        read_table(write(tmp_path / name, content))


def test_whole_numbers_beyond_64_bits_are_floats_and_beyond_those_refused(tmp_path: Path) -> None:
    table = read_table(write(tmp_path / "a.csv", f"arch,zico,snip\na,{10**30},{10**400}\nb,1,2\n"))
    assert numbers(table, ["zico"])["zico"].tolist() == [1e30, 1.0]
    # pandas 2.0 reads such a number as text.
    with pytest.raises(TableError, match=r"column 'snip' (holds a whole number of 401 digits|.*, expected a number)"):
        numbers(table, ["snip"])


@pytest.fixture
def published() -> Callable[[str], Path]:
    """The path of a published NAS-Bench-201 table."""

    return partial(published_file, "nasbench201")


def test_published_accuracies(published: Callable[[str], Path]) -> None:
    table = read_table(published("nb201_accuracy.csv.gz"), key="ops")
    assert len(table) == 15_625
    assert {len(ops) for ops in table.index} == {6}
    assert table.loc["000000", "cifar10_test"] == 10.0  # the cell without operations guesses
    assert table["cifar10_test"].max() == pytest.approx(94.37, abs=0.005)  # as published, to two decimals
    assert table["index"].idxmin() == "421211"
    with pytest.raises(TableError, match=r"column 'cifar10_test_seeds' of '421211': found '85.62;86.18;85.79'"):
        numbers(table, ["cifar10_test_seeds"])


@pytest.mark.parametrize("name", ["cifar10", "imagenet16"])
def test_published_proxies_join_the_accuracies(published: Callable[[str], Path], name: str) -> None:
    proxies = read_table(published(f"nb201_proxies_suite_{name}.csv.gz"), key="index")
    accuracies = read_table(published("nb201_accuracy.csv.gz"), key="index")
    joined = join([proxies, accuracies])
    assert joined.index.equals(proxies.index)
    assert len(joined) == 9_445
    assert finite_numbers(joined, proxies.columns)[1] == 0
    size = joined[f"params_m_{name}"]
    np.testing.assert_allclose(joined["params"], size, rtol=0, atol=1e-6)  # millions, of single parameters


def test_published_proxies_go_round_as_suite_json(published: Callable[[str], Path], tmp_path: Path) -> None:
    table = read_table(published("nb201_proxies_suite_cifar10.csv.gz"), key="index").head(50).rename_axis("arch")
    table = table.rename(columns={"val_accuracy_suite": "val_accuracy"}).astype(float)
    content = suite_dict(table, "cifar10", [name for name in table.columns if name != "val_accuracy"], "val_accuracy")
    path = write(tmp_path / "zc.json", json.dumps(content))
    pd.testing.assert_frame_equal(read_table(path), table, check_exact=True)
