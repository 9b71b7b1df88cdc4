"""The blocks of a page that are run, one after the other, in a temporary folder that is the page's own.

- ```python: run; with `>>>`, its output is compared too. A block whose first line is `# NAME.py` is also saved there.
- ```bash: run by bash, and must end well. What is too long or changes the machine is not done: see `programs`.
- ```sh: as ```bash, but what scores or measures is only checked, because it takes hours.
- ```console: lines that begin with `$ ` are run, the others are their output; `...` stands for any text.

The folder holds what readers are supposed to have: the package `mypackage`, a table, a folder of pictures.
"""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

from bench.score.models import libraries
from support.pages import programs
from support.pages.project import make_project

ROOT = Path(__file__).parents[3]
LOOSELY = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MOST_SECONDS = 300
_FILE_NAME = re.compile(r"# ([\w/]+\.py)\n")
_FOLDER, _BEFORE = "page_folder", "folder_before_the_page"


class _SavingEvaluator(PythonEvaluator):
    """Runs Python, and saves what begins with the name of a file under this name."""

    def __call__(self, example: Example) -> None:
        """Save and run a block."""
        if name := _FILE_NAME.match(example.parsed):
            path = Path(name[1])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(example.parsed, encoding="utf-8")
        super().__call__(example)


class _PythonParser(PythonCodeBlockParser):
    """Finds Python, whose output is compared loosely."""

    def __init__(self) -> None:
        super().__init__(doctest_optionflags=LOOSELY)
        self.codeblock_parser = CodeBlockParser("python", _SavingEvaluator())


def tested_pages(*patterns: str, path: Path, excludes: Sequence[str] = ()) -> Sybil:
    """Return the pages below `path` whose names match, as tests."""
    parsers = (
        _PythonParser(),
        CodeBlockParser("bash", run_script),
        CodeBlockParser("sh", check_script),
        CodeBlockParser("console", run_session),
        SkipParser(),
    )
    return Sybil(
        parsers=parsers, path=str(path), patterns=patterns, excludes=excludes, setup=enter_folder, teardown=leave_folder
    )


def enter_folder(namespace: dict[str, Any]) -> None:
    """Make the folder of a page and go there."""
    namespace.update(loadable=loadable, importable=importable)
    namespace[_BEFORE] = Path.cwd()
    namespace[_FOLDER] = folder = Path(tempfile.mkdtemp(prefix="page-"))
    make_project(folder)
    programs.install(folder / ".bin", ROOT)
    os.chdir(folder)
    sys.path.insert(0, str(folder))


def leave_folder(namespace: dict[str, Any]) -> None:
    """Leave nothing of a page behind: neither its folder nor what was imported from there."""
    folder = str(namespace[_FOLDER])
    os.chdir(namespace[_BEFORE])
    sys.path.remove(folder)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(folder):
            del sys.modules[name]
    shutil.rmtree(folder, ignore_errors=True)


def loadable(library: str) -> bool:
    """Return whether a library is there, and import it, for the blocks that are skipped without it."""
    return libraries.is_installed(library) and bool(libraries.library(library))


def importable(*libraries: str) -> bool:
    """Return whether a command can import the libraries; they may be there and not fit the torch that is."""
    command = [sys.executable, "-c", f"import {', '.join(libraries)}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def run_script(example: Example) -> str | None:
    """Run a block of commands; return what went wrong."""
    return _failure(_run(example.parsed, example.namespace[_FOLDER]))


def check_script(example: Example) -> str | None:
    """Read a block of commands that take long; return what is wrong with it."""
    return _failure(_run(f"export {programs.ONLY_CHECK}=1\n{example.parsed}", example.namespace[_FOLDER]))


def run_session(example: Example) -> str | None:
    """Run the commands of a block and compare their outputs; return the first that is another."""
    checker = doctest.OutputChecker()
    for command, wanted in commands_of(example.parsed):
        found = _run(command, example.namespace[_FOLDER]).stdout
        if not checker.check_output(wanted, found, LOOSELY):
            return f"$ {command}\n{checker.output_difference(doctest.Example(command, wanted), found, 0)}"
    return None


def commands_of(session: str) -> list[tuple[str, str]]:
    """Cut a session into its commands and their outputs."""
    found: list[list[str]] = []
    for line in session.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append([line[2:], ""])
        elif not found:
            raise ValueError(f"a session begins with a command, `$ ...`, and not with {line!r}")
        else:
            continued = not found[-1][1] and found[-1][0].endswith("\\\n")
            found[-1][0 if continued else 1] += line
    return [(command, output) for command, output in found]


def _failure(done: subprocess.CompletedProcess[str]) -> str | None:
    return None if done.returncode == 0 else f"exit code {done.returncode}\n{done.stdout}"


def _run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join((str(folder / ".bin"), os.environ["PATH"]))
    python_path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PATH": path, "PYTHONPATH": python_path, "COLUMNS": "100"}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=MOST_SECONDS,
    )
