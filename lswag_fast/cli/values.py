"""How values are read from the command line (the `type` of an argument) and written back."""

from __future__ import annotations

import argparse
import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lswag_fast.errors import BudgetError, DataError, InputError, SpaceError, StorageError, TableError
from lswag_fast.files.shell import pasteable

if TYPE_CHECKING:
    from lswag_fast.study.budget import Window

AUTO = "auto"
STDOUT = "-"
_MISTAKES = (InputError, SpaceError, BudgetError, DataError, TableError, StorageError)


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def whole(text: str) -> int:
    """Read a whole number of at least 0."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def rate(text: str) -> float:
    """Read a number above 0 and up to 1; ValueError for what is no number, which argparse says."""
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0 and up to 1")
    return value


def seed(text: str) -> int:
    """Read a seed, which the generator of torch takes in 64 bits."""
    from lswag_fast.options import SEEDS  # late: the help is not to wait for torch

    if not text.isascii() or not text.isdigit() or int(text) >= SEEDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2**64 - 1")
    return int(text)


def seconds(text: str) -> float:
    """Read a time above 0 in seconds; ValueError for what is no number, which argparse says."""
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time above 0 seconds")
    return value


def threads(text: str) -> int:
    """Read a number of threads."""
    from lswag_fast.options import MAX_THREADS

    return _at_most(MAX_THREADS, text)


def workers(text: str) -> int:
    """Read a number of worker processes."""
    from lswag_fast.execution.workers import MAX_WORKERS

    return _at_most(MAX_WORKERS, text)


def _at_most(largest: int, text: str) -> int:
    count = positive(text)
    if count > largest:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {largest:,}, which no machine runs at once")
    return count


def positive_or_auto(text: str) -> int | str:
    """Read "auto" or a whole number of at least 1."""
    return text if text == AUTO else positive(text)


def window(text: str) -> Window:
    """Read LO..HI, LO.. or ..HI."""
    from lswag_fast.study.budget import Window  # late: the help is not to wait for torch

    try:
        return Window.parse(text)
    except BudgetError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


@dataclass(frozen=True)
class Interval:
    """The first and the last percentile bin of depth; written as it is read, LO,HI."""

    low: int
    high: int

    def __str__(self) -> str:
        return f"{self.low},{self.high}"


def interval(text: str) -> Interval | str:
    """Read "auto" or LO,HI."""
    low, comma, high = text.partition(",")
    if text == AUTO:
        return text
    if not (comma and low.isdecimal() and high.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is neither auto nor LO,HI")
    return Interval(int(low), int(high))


@dataclass(frozen=True)
class Assignment:
    """An option of something that is named elsewhere, and its value; written as it is read, OPTION=VALUE."""

    option: str
    value: Any

    def __str__(self) -> str:
        return f"{self.option}={_written(self.value)}"


def assignment(text: str) -> Assignment:
    """Read OPTION=VALUE, the value a number where it is one."""
    option, equals, value = text.partition("=")
    if not (equals and option and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not OPTION=VALUE")
    return Assignment(option, _number(value))


def proxy_assignment(text: str) -> Assignment:
    """Read PROXY.OPTION=VALUE."""
    proxy, dot, option = text.partition("=")[0].partition(".")
    if not (dot and proxy and option):
        raise argparse.ArgumentTypeError(f"{text!r} is not PROXY.OPTION=VALUE")
    return assignment(text)


def space_assignment(text: str) -> Assignment:
    """Read OPTION=VALUE of a space: a number, a word, true or false, or several of them with commas."""
    found = assignment(text)
    if not isinstance(found.value, str):
        return found
    items = [item.strip() for item in found.value.split(",")]
    if not all(items):
        raise argparse.ArgumentTypeError(f"{text!r} has an empty value")
    values = [_TRUTH.get(item.lower(), _number(item)) for item in items]
    return Assignment(found.option, values if len(values) > 1 else values[0])


_TRUTH = {"true": True, "false": False}


def _written(value: Any) -> str:
    """A value as `space_assignment` reads it."""
    if isinstance(value, list):
        return ",".join(map(_written, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def listed(text: str) -> list[str]:
    """The items of a list with commas, each once; raises InputError where one is empty."""
    items = [item.strip() for item in text.split(",")]
    if not all(items):
        raise InputError(f"{text!r} has an empty name; write NAME or NAME,NAME")
    return list(dict.fromkeys(items))


def file_target(text: str) -> Path:
    """Read the name of a file that is to be written, which is no folder."""
    try:
        is_folder = not text or Path(text).is_dir()
    except OSError as error:  # a name that is too long
        raise argparse.ArgumentTypeError(f"cannot write {text}: {error.strerror or error}") from error
    if is_folder:
        raise argparse.ArgumentTypeError(f"{text!r} is a folder; name a file" if text else "an empty name is no file")
    return Path(text)


def json_target(text: str) -> str:
    """Read the name of a file, or - for standard output."""
    return text if text == STDOUT else str(file_target(text))


def folder_target(text: str) -> Path:
    """Read the name of a folder."""
    if not text:
        raise argparse.ArgumentTypeError("an empty name is no folder")
    return Path(text)


@contextmanager
def naming(option: str) -> Iterator[None]:
    """Put the name of an option, or of a part of a value, before what is wrong with it."""
    try:
        yield
    except _MISTAKES as error:
        raise type(error)(f"{option}: {error}") from error


def command_words(
    parser: argparse.ArgumentParser, args: argparse.Namespace, leave_out: Collection[str] = ()
) -> list[str]:
    """The options in `args` that `parser` knows and that differ from its defaults, as words to be parsed again.

    Args:
        parser: whose options to write.
        args: what was parsed, by this parser or by one with more options.
        leave_out: options not to write, by their name in `args`.
    """
    words = []
    for action in parser._actions:  # argparse has no public list of its options
        value = getattr(args, action.dest, action.default)
        if action.dest in leave_out or value == action.default or action.dest == "help":
            continue
        for item in value if isinstance(value, list) else [value]:
            words += _words(action, str(item))
    return words


def _words(action: argparse.Action, text: str) -> list[str]:
    if not action.option_strings:
        return [text]
    option = action.option_strings[-1]
    if action.nargs == 0:  # a switch
        return [option]
    return [f"{option}={text}"] if text.startswith("-") else [option, text]


def shell_line(words: list[Any]) -> str:
    """A command of `lswag-fast` as a line to paste into a shell."""
    return pasteable(["lswag-fast", *words])
