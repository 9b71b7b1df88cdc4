"""What stands in the place of the programs that pages call, so that each command is tested in seconds.

`lswag-fast` and `python` are the real ones; a search is cut to a few trials. What installs, builds, or needs a cluster
or a browser is checked as far as a test can: the extras of `pip install`, the targets of `make`, the options of a
benchmark. A program that is neither here nor on the machine fails.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[3]
MOST_TRIALS = 4
ONLY_CHECK = "PAGES_ONLY_CHECK"
"""The variable that says that nothing is to be scored."""
SCHEDULER = "scheduler"  # the host of the pages' Dask cluster, which no test has
_EXTRAS = re.compile(r"lswag-fast\[([\w,-]+)\]")


def install(folder: Path, root: Path) -> None:
    """Put the programs into a folder, for the PATH."""
    folder.mkdir(parents=True)
    for name in (*PROGRAMS, *NOT_RUN):
        command = shlex.join([sys.executable, str(root / "tests/support/pages/programs.py"), name])
        (folder / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (folder / name).chmod(0o755)


def lswag_fast(arguments: Sequence[str]) -> NoReturn:
    """Run the command line with few trials; what would go to a cluster is only read by its parser."""
    if ONLY_CHECK in os.environ or any(f"//{SCHEDULER}" in argument for argument in arguments):
        read = "import sys; from lswag_fast.cli import make_parser; make_parser().parse_args(sys.argv[1:])"
        _become(["-c", read, *arguments])
    _become(["-m", "lswag_fast.cli", *few_trials(arguments)])


def few_trials(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with `--trials N` cut to what a test has time for."""
    found = list(arguments)
    for i, option in enumerate(arguments[:-1]):
        if option == "--trials":
            found[i + 1] = str(min(int(arguments[i + 1]), MOST_TRIALS))
    return found


def python(arguments: Sequence[str]) -> NoReturn:
    """Run Python; of a benchmark only look whether it has the options; of a virtual environment make the outside."""
    if list(arguments[:2]) == ["-m", "venv"]:
        folder = Path(arguments[2], "bin")
        install(folder, ROOT)
        (folder / "activate").touch()
        sys.exit(0)
    if arguments[0] == "-m" and arguments[1].startswith("bench."):
        options = [argument for argument in arguments[2:] if argument.startswith("-")]
        check = f"import runpy, sys; sys.argv[1:] = ['--help']; runpy.run_module({arguments[1]!r}, run_name='__main__')"
        text = os.popen(shlex.join([sys.executable, "-c", check])).read()
        _refuse([f"{arguments[1]} has no option {option}" for option in options if option not in text])
    _become(arguments)


def pip(arguments: Sequence[str]) -> NoReturn:
    """Check that what is to be installed has the extras that are named."""
    known = _table_of_extras()
    named = [extra for argument in arguments for found in _EXTRAS.findall(argument) for extra in found.split(",")]
    _refuse([f"lswag-fast has no extra {extra!r}" for extra in named if extra not in known])


def make(arguments: Sequence[str]) -> NoReturn:
    """Check that the targets are there."""
    rules = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    targets = [argument for argument in arguments if "=" not in argument]
    _refuse([f"the Makefile has no target {target!r}" for target in targets if target not in " ".join(rules).split()])


def git(arguments: Sequence[str]) -> NoReturn:
    """Make the folder that a clone makes."""
    if arguments[0] == "clone":
        Path(arguments[-1].rpartition("/")[2].removesuffix(".git")).mkdir(exist_ok=True)
    sys.exit(0)


def _table_of_extras() -> list[str]:
    text = (ROOT / "pyproject.toml").read_text().partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    return re.findall(r"^([\w-]+) = \[", text, re.MULTILINE)


def _refuse(reasons: Sequence[str]) -> NoReturn:
    sys.exit("\n".join(reasons) or 0)


def _become(arguments: Sequence[str]) -> NoReturn:
    os.execv(sys.executable, [sys.executable, *arguments])


PROGRAMS: dict[str, Callable[[Sequence[str]], NoReturn]] = {
    "lswag-fast": lswag_fast,
    "python": python,
    "python3": python,
    "pip": pip,
    "make": make,
    "git": git,
}
NOT_RUN = ("cmake", "ctest", "dask", "sbatch", "srun", "ssh", "tensorboard", "mlflow", "optuna-dashboard", "torchrun")

if __name__ == "__main__":
    program = sys.argv[1]
    PROGRAMS.get(program, lambda arguments: sys.exit(0))(sys.argv[2:])
