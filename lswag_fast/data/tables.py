"""Benchmark tables: architectures by name, with their accuracies, proxies and sizes as columns of a `DataFrame`.

The index holds the architectures, each once, as text. The JSON layout is that of NAS-Bench-Suite-Zero (Krishnakumar et
al., NeurIPS 2022).
"""

from __future__ import annotations

import difflib
import gzip
import io
import json
import os
import zlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lswag_fast.errors import TableError, reason
from lswag_fast.files.durable import write_whole

MIN_ROWS = 10
"""Fewer architectures say nothing about a rank correlation."""
NEW_LINE = b"\n"
_MOST_DIGITS = 308  # of a whole number that a float holds

_MOMENTS = (np.datetime64, np.timedelta64, pd.Timestamp, pd.Period)  # what pandas counts in nanoseconds, or in days
_ACCURACY = "val_accuracy"  # of the NAS-Bench-Suite-Zero layout; every other entry is a proxy's {score, time}


def read_table(path: str | os.PathLike[str], key: str = "arch", dataset: str | None = None) -> pd.DataFrame:
    """Read a table of CSV (also compressed: .csv.gz), Parquet or JSON in the layout of NAS-Bench-Suite-Zero.

    Args:
        path: the file; its name ends in .csv, .csv.gz, .parquet or .json.
        key: the column that names the architectures; read as text, leading zeros kept. Of no use in JSON.
        dataset: for JSON, which data set to take; may be left out where the file holds one.

    Returns:
        A DataFrame indexed by `key`. JSON gives a column for each proxy's score, one named PROXY_time where times are
        there, and val_accuracy.

    Raises:
        TableError: the file cannot be read or is of another kind, a row is longer than the header, the key is missing
            or empty, an architecture is named twice, or the data set is unknown.
        ImportError: Parquet without pyarrow (`pip install lswag-fast[parquet]`).

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        ...     print("arch,accuracy", "007,91.5", sep=chr(10), file=file, flush=True)
        ...     read_table(file.name).to_dict(orient="index")
        {'007': {'accuracy': 91.5}}
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise TableError(f"{path}: is no file")
        if path.suffix == ".json":
            content = json.loads(
                path.read_text(encoding="utf-8"), object_pairs_hook=_each_once, parse_int=_representable
            )
            return suite_table(content, dataset, str(path))
        table = _read_columns(path, key)
    except (OSError, ValueError, EOFError, zlib.error, RecursionError) as error:  # EOF and zlib: damaged gzip
        if isinstance(error, TableError):
            raise
        raise TableError(f"{path}: cannot be read ({reason(error)})") from error
    if key not in table.columns:
        raise TableError(f"{path}: no column {key!r} names the architectures; there are {_listed(table.columns)}")
    return checked_table(table.set_index(key), str(path))


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; ValueError where it has a name twice, of which `json` would keep the last."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"one object has {name!r} twice")
        found[name] = value
    return found


def _representable(digits: str) -> int:
    """A whole number of JSON; ValueError for one beyond what a float holds."""
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"the number {digits[:20]}... has {len(digits)} digits")
    return int(digits)


def _read_columns(path: Path, key: str) -> pd.DataFrame:
    if path.suffix == ".parquet":
        table = pd.read_parquet(path)
        if table.index.name == key:  # as `write_table` leaves it
            table = table.reset_index()
        if key in table.columns:
            table[key] = table[key].map(str, na_action="ignore")
        return table
    if path.name.endswith((".csv", ".csv.gz")):
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            content = file.read()
        _check_text(content)
        table = pd.read_csv(io.BytesIO(content), dtype={key: str})
        if not isinstance(table.index, pd.RangeIndex):  # pandas then takes the first fields for an index
            raise TableError(f"{path}: its rows have more fields than its header names")
        return table
    raise TableError(f"{path}: the name of a table ends in .csv, .csv.gz, .parquet or .json")


def _check_text(content: bytes) -> None:
    """Refuse what pandas reads without a word: a NUL byte, where it ends a text, and two columns of one name."""
    place = content.find(b"\0")
    if place >= 0:
        raise ValueError(f"line {content.count(NEW_LINE, 0, place) + 1} holds a NUL byte")
    header = pd.read_csv(io.BytesIO(content), header=None, nrows=1, dtype=str).iloc[0].dropna()
    repeated = header[header.duplicated()]
    if len(repeated):
        raise ValueError(f"two columns are named {repeated.iloc[0]!r}; keep one of them")


def write_table(table: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write a table as CSV or Parquet, which `read_table` gives back.

    Args:
        table: indexed by architecture; an index without a name is called arch.
        path: the file; its name ends in .csv, .csv.gz or .parquet.

    Raises:
        TableError: another name.
        StorageError: the file cannot be written; an old one is then as it was.
        ImportError: Parquet without pyarrow (`pip install lswag-fast[parquet]`).

    Example:
        >>> import tempfile
        >>> table = pd.DataFrame({"accuracy": [91.5]}, index=["007"])
        >>> with tempfile.NamedTemporaryFile(suffix=".csv.gz") as file:
        ...     write_table(table, file.name)
        ...     read_table(file.name).index.tolist()
        ['007']
    """
    path = Path(path)
    table = table.rename_axis(str(table.index.name or "arch"))
    content = io.BytesIO()
    if path.suffix == ".parquet":
        table.to_parquet(content)
    elif path.name.endswith((".csv", ".csv.gz")):
        table.to_csv(content, compression="gzip" if path.suffix == ".gz" else None)
    else:
        raise TableError(f"{path}: a table is written as .csv, .csv.gz or .parquet; `suite_dict` gives the JSON layout")
    write_whole(path, content.getvalue())


def suite_table(content: Mapping[str, Any], dataset: str | None = None, source: str = "table") -> pd.DataFrame:
    """Turn the layout of NAS-Bench-Suite-Zero into a table of one data set.

    Args:
        content: {dataset: {arch: {proxy: {score, time}, ..., val_accuracy}}}.
        dataset: which data set to take; may be left out where there is one.
        source: what messages call the content.

    Returns:
        As `read_table` of JSON.

    Raises:
        TableError: the data set is unknown, there are several and none is named, or the layout is another.

    Example:
        >>> content = {"cifar10": {"a": {"nwot": {"score": 7.0}, "val_accuracy": 90.0}}}
        >>> suite_table(content).to_dict(orient="index")
        {'a': {'nwot': 7.0, 'val_accuracy': 90.0}}
    """
    known = dict(content) if isinstance(content, Mapping) else {}
    name = next(iter(known)) if dataset is None and len(known) == 1 else dataset
    if name not in known or not isinstance(known[name], Mapping):
        raise TableError(f"{source}: name one of its data sets ({_listed(known)}), found {dataset!r}")
    rows = {}
    for arch, entries in known[name].items():
        if not isinstance(entries, Mapping):
            raise TableError(f"{source}: {arch}: found {type(entries).__name__}, expected the scores by proxy")
        rows[arch] = _suite_row(entries, f"{source}: {arch}")
    table = pd.DataFrame.from_dict(rows, orient="index")
    return checked_table(table.rename_axis("arch"), source)


def _suite_row(entries: Mapping[str, Any], where: str) -> dict[str, float]:
    row: dict[str, float] = {}
    for name, entry in entries.items():
        parts = entry if isinstance(entry, Mapping) else {"score": entry}
        columns = {name: parts.get("score")}
        if "time" in parts:
            columns[f"{name}_time"] = parts["time"]
        for column, value in columns.items():
            if not isinstance(value, (int, float)) or isinstance(value, bool):
                raise TableError(f"{where}: {name}: found {entry!r}, expected a number or {{score, time}} of numbers")
            row[column] = float(value)
    return row


def suite_dict(table: pd.DataFrame, dataset: str, proxies: Sequence[str], accuracy: str) -> dict[str, Any]:
    """Turn a table into the layout of NAS-Bench-Suite-Zero.

    Args:
        table: indexed by architecture.
        dataset: name of the data set.
        proxies: the columns that become scores; a column PROXY_time becomes the time of PROXY.
        accuracy: the column that becomes val_accuracy.

    Returns:
        {dataset: {arch: {proxy: {score, time}, ..., val_accuracy}}}.

    Raises:
        TableError: a column is not there, or holds no numbers.

    Example:
        >>> suite_dict(pd.DataFrame({"nwot": [7], "acc": [90]}, index=["a"]), "cifar10", ["nwot"], "acc")
        {'cifar10': {'a': {'nwot': {'score': 7.0}, 'val_accuracy': 90.0}}}
    """
    times = [time for name in proxies if (time := f"{name}_time") in table.columns]
    columns = numbers(table, [*proxies, accuracy, *times])
    rows: dict[str, Any] = {}
    for arch, row in zip(columns.index, columns.to_dict(orient="records"), strict=True):
        rows[str(arch)] = {**{name: _suite_entry(row, name) for name in proxies}, _ACCURACY: row[accuracy]}
    return {dataset: rows}


def _suite_entry(row: Mapping[Any, float], name: str) -> dict[str, float]:
    time = f"{name}_time"
    return {"score": row[name], "time": row[time]} if time in row else {"score": row[name]}


def checked_table(table: pd.DataFrame, source: str = "table") -> pd.DataFrame:
    """Return the table itself, checked.

    Args:
        table: indexed by architecture.
        source: what messages call it.

    Raises:
        TableError: it is no table, or an architecture has no name, or is named twice; gives its row, from 1.

    Example:
        >>> checked_table(pd.DataFrame(index=["a", "a"]))
        Traceback (most recent call last):
            ...
        lswag_fast.errors.TableError: table: row 2 names 'a' again
    """
    check_frame(table)
    names = table.index.astype(str)
    missing = np.flatnonzero(table.index.isna() | (names == ""))
    if len(missing):
        raise TableError(f"{source}: row {missing[0] + 1} names no architecture")
    repeated = np.flatnonzero(names.duplicated())
    if len(repeated):
        row = repeated[0]
        raise TableError(f"{source}: row {row + 1} names {table.index[row]!r} again")
    return table


def join(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the columns of all tables for the architectures that all of them hold, in the order of the first.

    Args:
        tables: each indexed by architecture.

    Raises:
        TableError: there is no table, an architecture is named twice in one of them, two of them have the same column,
            one has none, or they have none in common.

    Example:
        >>> join([pd.DataFrame({"x": [1, 2]}, index=["a", "b"]), pd.DataFrame({"y": [3]}, index=["b"])])
           x  y
        b  2  3
    """
    if not tables:
        raise TableError("no table to join")
    checked = [checked_table(table, f"table {n}") for n, table in enumerate(tables, 1)]
    for n, table in enumerate(checked, 1):
        if not len(table):
            raise TableError(f"table {n} has no architectures")
    joined = reduce(_join_two, checked)
    if not len(joined):
        raise TableError("the tables have no architecture in common; do their keys mean the same?")
    return joined


def _join_two(left: pd.DataFrame, right: pd.DataFrame) -> pd.DataFrame:
    shared = [name for name in right.columns if name in left.columns]
    if shared:
        raise TableError(f"two tables have the column {shared[0]!r}; rename it in one of them")
    return left.join(right, how="inner")


def check_frame(table: object) -> None:
    """Refuse what is no `DataFrame`.

    Raises:
        TableError: it is of another class, which is named.

    Example:
        >>> check_frame([1.0, 2.0])
        Traceback (most recent call last):
        lswag_fast.errors.TableError: a table is a pandas DataFrame, one row for each architecture; found a list
    """
    if not isinstance(table, pd.DataFrame):
        found = type(table).__name__
        raise TableError(f"a table is a pandas DataFrame, one row for each architecture; found a {found}")


def numbers(table: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Return some columns of a table as float64.

    Args:
        table: indexed by architecture.
        columns: their names; one that is named again counts once.

    Raises:
        TableError: it is no table, or a column is not there, is there twice, or holds a value that is not a number;
            names row and column.

    Example:
        >>> numbers(pd.DataFrame({"x": ["1", "2.5"], "y": ["a", "b"]}), ["x"])["x"].tolist()
        [1.0, 2.5]
    """
    check_frame(table)
    columns = list(columns)
    for name in columns:
        if not isinstance(name, Hashable):
            raise TableError(f"a column has one name, got {name!r}")
    columns = list(dict.fromkeys(columns))
    absent = [name for name in columns if name not in table.columns]
    if absent:
        near = difflib.get_close_matches(str(absent[0]), map(str, table.columns), n=1)
        meant = f"did you mean {near[0]!r}? " if near else ""
        raise TableError(f"no column {absent[0]!r}; {meant}there are {_listed(table.columns)}")
    repeated = [name for name in columns if list(table.columns).count(name) > 1]
    if repeated:
        raise TableError(f"several columns are named {repeated[0]!r}; keep one of them")
    converted = {}
    for name in columns:
        values = pd.to_numeric(_as_floats(table, name), errors="coerce")
        if table[name].dtype.type in _MOMENTS or pd.api.types.is_complex_dtype(values):
            raise TableError(f"column {name!r} holds {table[name].dtype} values, expected numbers")
        wrong = np.flatnonzero(values.isna() & table[name].notna() & (table[name].astype(str).str.lower() != "nan"))
        if len(wrong):
            arch, found = table.index[wrong[0]], table[name].iloc[wrong[0]]
            raise TableError(f"column {name!r} of {arch!r}: found {found!r}, expected a number")
        converted[name] = values.astype(float)
    return pd.DataFrame(converted, index=table.index)


def _as_floats(table: pd.DataFrame, name: str) -> pd.Series:
    """A column, its whole numbers beyond 64 bits as floats; raises TableError for one beyond those."""

    def each(value: Any) -> Any:
        if type(value) is not int:
            return value
        try:
            return float(value)
        except OverflowError:
            raise TableError(f"column {name!r} holds a whole number of {len(str(value))} digits") from None

    return table[name].map(each) if table[name].dtype == object else table[name]


def finite_numbers(table: pd.DataFrame, columns: Iterable[str]) -> tuple[pd.DataFrame, int]:
    """Return some columns as float64, without the rows where one of them is NaN or infinite.

    Args:
        table: indexed by architecture.
        columns: their names.

    Returns:
        The rows that are left, and how many were left out.

    Raises:
        TableError: as of `numbers`; or fewer than 10 rows are left, naming the column that costs most rows.

    Example:
        >>> kept, n_dropped = finite_numbers(pd.DataFrame({"x": [np.nan, *range(10)]}), ["x"])
        >>> len(kept), n_dropped
        (10, 1)
    """
    chosen = numbers(table, columns)
    is_finite = np.isfinite(chosen.to_numpy())
    kept = chosen.iloc[np.flatnonzero(is_finite.all(axis=1))]
    if len(kept) < MIN_ROWS:
        counts = (~is_finite).sum(axis=0)
        worst = ""
        if counts.any():
            worst = f"; {chosen.columns[counts.argmax()]!r} is NaN or infinite in {counts.max()}"
        raise TableError(f"{len(kept)} of {len(chosen)} rows are finite, at least {MIN_ROWS} are needed{worst}")
    return kept, len(chosen) - len(kept)


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(map(str, names)) or "none"
