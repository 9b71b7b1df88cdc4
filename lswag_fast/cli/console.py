"""The one place that writes to the terminal: results to stdout, everything else to stderr."""

from __future__ import annotations

import codecs
import io
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.table import Table

from lswag_fast.errors import LswagWarning, StorageError


def _bytes_or_escapes(error: UnicodeError) -> tuple[str | bytes, int]:
    """What to write in place of what a terminal cannot show.

    A name of a file that is no UTF-8 as the bytes that it is, anything else as an escape.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    if all(_FIRST_BYTE <= character <= _LAST_BYTE for character in text):
        return text.encode("utf-8", "surrogateescape"), error.end
    return "".join(c.encode("unicode_escape").decode() for c in text), error.end


# How Python holds the bytes of a name that is no UTF-8.
_FIRST_BYTE, _LAST_BYTE = "\udc80", "\udcff"
_HANDLER = "lswag-fast"
codecs.register_error(_HANDLER, _bytes_or_escapes)


@contextmanager
def any_text() -> Iterator[None]:
    """Inside, every text can be written to stdout and stderr, whatever the terminal can show."""
    before = []
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            before.append((stream, stream.errors))
            stream.reconfigure(errors=_HANDLER)
    try:
        yield
    finally:
        for stream, errors in before:
            with suppress(ValueError):  # closed meanwhile
                stream.reconfigure(errors=errors)


class _Output(Console):
    """Says in one line that standard output cannot be written, as on a full disk."""

    def print(self, *objects: Any, **options: Any) -> None:
        try:
            super().print(*objects, **options)
        except OSError as error:
            raise StorageError(f"cannot write to standard output: {error.strerror or error}") from error


_LONGEST_LINE = 10_000
OUT = _Output(highlight=False, emoji=False)
ERR = Console(highlight=False, emoji=False, stderr=True)


def say(text: str, console: Console = OUT) -> None:
    """Write text as it is: no markup, no wrapping, so that it can be copied and searched."""
    console.print(text, markup=False, soft_wrap=True)


def say_error(error: object) -> None:
    """Write one line on stderr."""
    say(f"lswag-fast: error: {_one_line(error)}", ERR)


def say_warning(text: object) -> None:
    """Write one line on stderr."""
    say(f"lswag-fast: warning: {_one_line(text)}", ERR)


def table(*columns: str, left: tuple[str, ...] = ()) -> Table:
    """Return an empty table; columns are numbers, aligned to the right, but for those in `left`."""
    result = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        result.add_column(column, justify="left" if column in left else "right", overflow="fold")
    return result


def show_table(rows: Table) -> None:
    """Write a table; where it is too wide, headings and names go on in the next line, numbers never do."""
    for column in rows.columns:
        if column.justify == "right":
            column.min_width = max((cell_len(str(cell)) for cell in column.cells), default=0)
            column.no_wrap = column.min_width >= cell_len(str(column.header))
    OUT.print(rows, crop=False)


def fits(rows: Table) -> bool:
    """Whether the terminal is wide enough for a table; a file or a pipe always is."""
    return not OUT.is_terminal or OUT.measure(rows, options=_unlimited()).maximum <= OUT.width


def show_whole(rows: Table) -> None:
    """Write a table with each row on a line of its own, however long."""
    lines = OUT.render_lines(rows, _unlimited(), pad=False)
    for line in lines:
        say("".join(segment.text for segment in line).rstrip())


def _unlimited() -> ConsoleOptions:
    return OUT.options.update(max_width=_LONGEST_LINE)


@contextmanager
def warnings_once(in_words: Callable[[object], str] = str) -> Iterator[None]:
    """Inside, show each `LswagWarning` as one line on stderr, as `in_words` says it; other warnings as Python does.

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
            elif not shown.intersection((text := _one_line(message), place := _place(message, filename, lineno))):
                say_warning(in_words(text))
                shown.update((text, place))

        warnings.showwarning = show
        yield


def _place(message: object, filename: str, lineno: int) -> tuple[str, int]:
    """Where the reason to warn was found; what Python is shown is the caller's line, the same for many warnings."""
    return getattr(message, "place", None) or (filename, lineno)


def _one_line(message: object) -> str:
    return " ".join(str(message).split())
