"""Jobs for the tests of the executors; at the top level of a module, so that worker processes find them."""

from __future__ import annotations

import os
import signal
import time
import warnings
from pathlib import Path
from typing import Any

from lswag_fast.errors import LswagWarning


def shout(argument: str) -> str:
    return argument.upper()


def process_of(argument: str) -> int:
    return os.getpid()


def length_after_a_while(argument: str) -> int:
    """The first ones take longest, so that they finish last."""
    time.sleep(0.05 * (5 - len(argument)))
    return len(argument)


class OwnEnding(BaseException):
    """Of a user's."""


ENDINGS: dict[str, type[BaseException]] = {
    ending.__name__: ending for ending in (KeyboardInterrupt, SystemExit, GeneratorExit, OwnEnding)
}


class TwoArguments(Exception):  # noqa: N818
    """Pickles, but does not unpickle."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(f"{number}: {text}")


def refuse(argument: str) -> None:
    if argument == "own":
        raise TwoArguments(3, "of its own")
    raise ValueError(f"{argument} is refused")


def warn(argument: str) -> str:
    """Warns of each architecture, and of something that is not this package's."""
    warnings.warn(f"{argument} is short", LswagWarning, stacklevel=1)
    warnings.warn("old", DeprecationWarning, stacklevel=1)
    return argument.upper()


def unsendable_result(argument: str) -> Any:
    return lambda: argument


class Job:
    """Writes a line into a file of `folder` for each time that a process reads it and for each call."""

    def __init__(self, folder: Path, dies_on: str = "", times: int = 0) -> None:
        self.folder, self.dies_on, self.times = folder, dies_on, times

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._note("read", str(os.getpid()))

    def __call__(self, argument: str) -> str:
        self._note("calls", argument)
        if argument == self.dies_on and lines(self.folder / "calls").count(argument) <= self.times:
            os.kill(os.getpid(), signal.SIGKILL)
        return argument.upper()

    def _note(self, name: str, text: str) -> None:
        with (self.folder / name).open("a") as file:
            file.write(f"{text}\n")


def raise_what_ends_programs(argument: str) -> str:
    """Leave a line, and raise what is named; `stay` never ends."""
    folder, _, what = argument.rpartition("/")
    with (Path(folder) / "calls").open("a") as file:
        file.write(f"{what}\n")
    if what == "stay":
        while True:
            time.sleep(0.01)
    if what in ENDINGS:
        raise ENDINGS[what]("now")
    return what


def sleeping(folder: str) -> None:
    """Leave the process's id in a folder and stay."""
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(600)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
