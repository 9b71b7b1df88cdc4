"""The one place that writes to the terminal: results to stdout, everything else to stderr."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.table import Table

from lswag_fast.errors import LswagWarning

OUT = Console(highlight=False, emoji=False)
ERR = Console(highlight=False, emoji=False, stderr=True)


def say(text: str, console: Console = OUT) -> None:
    """Write text as it is: no markup, no wrapping, so that it can be copied and searched."""
    console.print(text, markup=False, soft_wrap=True)


def say_error(error: object) -> None:
    """Write one line on stderr."""
    say(f"lswag-fast: error: {_one_line(error)}", ERR)


def table(*columns: str, left: tuple[str, ...] = ()) -> Table:
    """Return an empty table; columns are numbers, aligned to the right, but for those in `left`."""
    result = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        result.add_column(column, justify="left" if column in left else "right", overflow="fold")
    return result


@contextmanager
def warnings_once() -> Iterator[None]:
    """Inside, show each `LswagWarning` as one line on stderr; other warnings as Python does.

    The same text is shown once, and of the texts from one place in the code the first: a search would repeat them for
    every network, with other names of layers.
    """
    shown: set[object] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("always", LswagWarning)
        as_python_does = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if not issubclass(category, LswagWarning):
                as_python_does(message, category, filename, lineno, file, line)
            elif not shown.intersection((text := _one_line(message), place := (filename, lineno))):
                say(f"lswag-fast: warning: {text}", ERR)
                shown.update((text, place))

        warnings.showwarning = show
        yield


def _one_line(message: object) -> str:
    return " ".join(str(message).split())
