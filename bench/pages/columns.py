"""A table that shows columns of a CSV as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.pages import markdown


@dataclass(frozen=True)
class Numbers:
    """A column of numbers.

    Attributes:
        title: Above it in the table.
        value: Its name in the CSV.
        ends: The names of the two ends of an interval around it, if it has one.
        is_difference: Shown with its sign.
        digits: After the point; none for a count.
    """

    title: str
    value: str
    ends: tuple[str, str] | None = None
    is_difference: bool = False
    digits: int = 3

    def cell(self, row: pd.Series) -> str:
        """What the table says for a row of the CSV."""
        written = markdown.signed if self.is_difference else markdown.number
        value = written(row[self.value], self.digits)
        if self.ends is None:
            return value
        low, high = (written(row[end], self.digits) for end in self.ends)
        return f"{value} {markdown.bracketed(low, high)}"


def of_csv(
    words: Mapping[str, str], numbers: tuple[Numbers, ...], names: Mapping[str, str] | None = None
) -> Callable[[Path], str]:
    """A line per row of the CSV, in its order.

    Args:
        words: The columns of words, each with its title.
        numbers: The columns of numbers after them.
        names: What the table says instead of some words of the CSV.
    """
    known = names or {}

    def make(path: Path) -> str:
        rows = [
            [*(known.get(row[column], f"`{row[column]}`") for column in words), *(n.cell(row) for n in numbers)]
            for _, row in pd.read_csv(path).iterrows()
        ]
        return markdown.table([*words.values(), *(n.title for n in numbers)], rows, n_words=len(words))

    return make
