"""Tables, the numbers in their cells, and the sentence below them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pandas as pd


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, n_words: int = 1) -> str:
    """A table whose first `n_words` columns are words and whose other columns are numbers."""
    rule = ["---" if place < n_words else "---:" for place in range(len(titles))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (titles, rule, *rows))


def number(value: float, digits: int = 3) -> str:
    """A number as correlations are written, .873; nothing where there is none, and no minus before a zero."""
    if math.isnan(value):
        return ""
    text = f"{round(value, digits) + 0.0:.{digits}f}"
    return text.replace("0.", ".", 1) if abs(float(text)) < 1 else text


def signed(value: float, digits: int = 3) -> str:
    """A difference with its sign; what rounds to nothing has none."""
    rounded = round(value, digits)
    return f"{'+' if rounded > 0 else ''}{number(rounded, digits)}"


def bracketed(low: str, high: str) -> str:
    """An interval that no page breaks into two lines."""
    return f"[{low},\N{NO-BREAK SPACE}{high}]"


def with_range(value: float, low: float, high: float, digits: int = 3) -> str:
    """A number and, one digit shorter, its interval or range."""
    return f"{number(value, digits)} {bracketed(number(low, digits - 1), number(high, digits - 1))}"


def measured_on(row: pd.Series) -> str:
    """A sentence on the machine, and the day, that a row of a CSV was measured on."""
    threads = f"{row['threads']} thread{'' if row['threads'] == 1 else 's'}"
    date = f", {row['date']}" if "date" in row else ""
    return f"Measured on: {row['cpu']}, {threads}, {row['isa']}, torch {row['torch']}{date}."
