"""Where a page shows a generated table: between `<!-- table: NAME -->` and `<!-- end -->`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_BEGIN = re.compile(r"^<!-- table: (?P<name>[\w-]+) -->$", re.MULTILINE)
_END = "<!-- end -->"


def names(text: str) -> list[str]:
    """The tables that a page shows, in its order."""
    return [match["name"] for match in _BEGIN.finditer(text)]


def filled(text: str, table_of: Callable[[str], str]) -> str:
    """The page with each of its tables as `table_of(name)` gives it.

    Raises:
        ValueError: A table begins and does not end before the next one.

    Example:
        >>> print(filled("<!-- table: sizes -->\\n<!-- end -->\\n", lambda name: f"| {name} |"), end="")
        <!-- table: sizes -->
        | sizes |
        <!-- end -->
    """
    return "".join(_pieces(text, table_of))


def _pieces(text: str, table_of: Callable[[str], str]) -> Iterator[str]:
    done = 0
    for begin in _BEGIN.finditer(text):
        end = text.find(f"\n{_END}", begin.end())
        if end < 0 or _BEGIN.search(text, begin.end(), end):
            raise ValueError(f"the table {begin['name']} has no line {_END}")
        yield f"{text[done : begin.end()]}\n{table_of(begin['name'])}"
        done = end
    yield text[done:]
