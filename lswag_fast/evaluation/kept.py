"""Whether a table still says of architectures what the rows say that were made of it earlier."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from lswag_fast.errors import StorageError
from lswag_fast.evaluation.rows import RowFile

_MISSING = frozenset({"", "nan", "NaN", "None", "<NA>", "NaT"})
# A reader of decimals may miss the last bits of a number, and the same table may lie in another format now.
_READING_ERROR = 1e-12


def check_kept(rows: RowFile, table: pd.DataFrame) -> None:
    """Refuse to continue a file whose rows hold other values of the table's columns than the table has now.

    Args:
        rows: the opened file, its first column the architecture and the table's own columns after it.
        table: indexed by architecture, each once.

    Raises:
        StorageError: an architecture of the file is not in the table, or has another value there; names the first.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> path = Path(tempfile.mkdtemp(), "scores.csv")
        >>> rows = RowFile(path, ["arch", "accuracy", "nwot"], {})
        >>> rows.add({"arch": "a", "accuracy": 90.5, "nwot": 7.0})
        >>> rows.close()
        >>> check_kept(RowFile(path, rows.columns, {}), pd.DataFrame({"accuracy": [91.0]}, index=["a"]))
        Traceback (most recent call last):
        lswag_fast.errors.StorageError: ...: 'a' has accuracy 90.5 there and 91.0 in the table; name another file...
    """
    if not rows.kept:
        return
    known = table.set_axis(table.index.map(str), axis=0)
    gone = next((arch for arch in rows.kept if arch not in known.index), None)
    if gone is not None:
        raise StorageError(f"{rows.path} has a row of {gone!r}, which the table does not have; name another file")
    now = known.loc[list(rows.kept)].to_dict(orient="records")
    for (arch, fields), record in zip(rows.kept.items(), now, strict=True):
        kept = dict(zip(rows.columns, fields, strict=False))
        for column, value in record.items():
            found = kept.get(str(column), "")
            if not _is_same(found, value):
                raise StorageError(
                    f"{rows.path}: {arch!r} has {column} {found or 'empty'} there and {value} in the table; name "
                    "another file, or the rows would be of two tables"
                )


def _is_same(text: str, value: Any) -> bool:
    """Whether a field of a CSV is a value of the table."""
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return text in _MISSING
    if text == str(value):
        return True
    if isinstance(value, str):
        return False
    try:
        return math.isclose(float(text), float(value), rel_tol=_READING_ERROR)
    except (TypeError, ValueError, OverflowError):
        return False
