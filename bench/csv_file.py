"""A CSV to which each row is appended as soon as it is measured, so that a command can be cut and run again."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV that may not exist yet."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def measured_rows(path: Path, command: str) -> list[dict[str, str]]:
    """The rows of a CSV to make a table of; ends the program where there are none, naming the command that measures."""
    rows = rows_of(path)
    if not rows:
        raise SystemExit(f"{path} holds no rows; measure with python -m {command} --out {path}")
    return rows


def append(path: Path, columns: Sequence[str], row: dict[str, Any]) -> None:
    """Append one row, with a header if the file is new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        if is_new:
            writer.writeheader()
        writer.writerow(row)
