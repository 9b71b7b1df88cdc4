"""The commands of the pages of results are those that exist, with the options that they have."""

from __future__ import annotations

import argparse
import ast
import json
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lswag_fast.cli import main

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs/results"
MEASURED = ROOT / "bench/results"
RECORDER = """#!{python}
import json, pathlib, sys
with pathlib.Path({log!r}).open("a") as log:
    log.write(json.dumps([{name!r}, *sys.argv[1:]]) + "\\n")
"""


class ParsedError(Exception):
    """A command line was parsed; nothing of it is run."""


@pytest.fixture
def parsed_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs end once they have understood their command line."""
    parse = argparse.ArgumentParser.parse_args

    def stop(self: argparse.ArgumentParser, *args: Any, **kwargs: Any) -> None:
        parse(self, *args, **kwargs)
        raise ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)


def blocks() -> Iterator[str]:
    """The shell of the pages: fenced, or indented."""
    for page in sorted(RESULTS.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        yield from re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        yield from re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)


def recorded(script: str, folder: Path) -> list[list[str]]:
    """The words of each call of this package's programs that a script makes, with its variables filled in."""
    log = folder / "calls"
    for name in ("python", "lswag-fast"):
        (folder / name).write_text(RECORDER.format(python=sys.executable, log=str(log), name=name))
        (folder / name).chmod(0o755)
    other = "".join(f"{name}() {{ :; }}\n" for name in ("pip", "make", "pytest", "rm", "bench"))
    script = f"PATH={folder}:$PATH\n{other}{script.replace('.venv/bin/', '')}"
    subprocess.run(["bash", "-eu", "-c", script], cwd=folder, check=True, capture_output=True)
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def understood(words: list[str], monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the program's own parser takes a command."""
    try:
        if words[0] == "lswag-fast":
            main(words[1:])
        else:
            module = words[words.index("-m") + 1]
            monkeypatch.setattr(sys, "argv", words[words.index(module) :])
            runpy.run_module(module, run_name="__main__")
    except ParsedError:
        return True
    except SystemExit:
        return False
    return False


@pytest.mark.usefixtures("parsed_only")
@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
def test_each_command_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = [words for script in blocks() for words in recorded(script, tmp_path)]
    assert len(calls) > 30
    assert [words for words in calls if not understood(words, monkeypatch)] == []


@pytest.mark.usefixtures("parsed_only")
@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize(
    "command", ["lswag-fast proxies", "python -m bench.correlation.attainable t --targets a --out b --proxies c"]
)
def test_an_option_that_does_not_exist_is_noticed(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert understood(command.split(), monkeypatch)
    assert not understood([*command.split(), "--no-such"], monkeypatch)


def test_each_result_is_named_where_it_is_made(tmp_path: Path) -> None:
    """In a command of the pages, on the page of all commands, or in the docstring of a benchmark."""
    pages = [page.read_text(encoding="utf-8") for page in RESULTS.glob("*.md")]
    named = [" ".join(words) for script in blocks() for words in recorded(script, tmp_path)]
    named += [command for page in pages for command in re.findall(r"`(python -m [^`]+)`", page)]
    named += list(blocks())  # with what their comments say
    named += [(RESULTS / "repeat.md").read_text(encoding="utf-8")]
    named += [docstring(path) for path in (ROOT / "bench").rglob("*.py")]
    text = " ".join(" ".join(named).split())
    files = [path for suffix in ("csv", "csv.gz") for path in MEASURED.rglob(f"*.{suffix}")]
    assert len(files) > 50
    assert [name for name in (str(path.relative_to(ROOT)) for path in files) if name not in text] == []


def docstring(path: Path) -> str:
    """Of a module."""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
