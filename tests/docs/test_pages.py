"""What runs the blocks of pages notices what is wrong with them, and every command of a page stands in such a block."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from support.pages import blocks, programs

DOCS = Path(__file__).parents[2] / "docs"
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^ {4,}(?:\$ )?((?:lswag-fast|pip|make|python3?) .*)$", re.MULTILINE)


@pytest.fixture
def namespace() -> Iterator[dict[str, Any]]:
    """That of a page in its own folder."""
    found: dict[str, Any] = {}
    blocks.enter_folder(found)
    yield found
    blocks.leave_folder(found)


def test_a_script_runs_in_the_folder_of_the_page(namespace: dict[str, Any]) -> None:
    assert blocks.run_script(_example("echo text > file.txt\ncat file.txt mypackage/models.py", namespace)) is None
    assert Path("file.txt").read_text() == "text\n"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("false | cat", "exit code 1"),
        ("no-such-program", "not found"),
        ("pip install 'lswag-fast[plot,no_such]'", "no extra 'no_such'"),
        ("make no-such-target", "no target 'no-such-target'"),
        ("lswag-fast proxies --no-such-option", "unrecognized arguments"),
        ("python -m bench.pages --no-such-option", "has no option --no-such-option"),
    ],
)
def test_a_wrong_command_is_noticed(script: str, reason: str, namespace: dict[str, Any]) -> None:
    assert reason in str(blocks.run_script(_example(script, namespace)))


def test_what_is_right_passes(namespace: dict[str, Any]) -> None:
    script = "pip install 'lswag-fast[plot]' timm\nmake test TORCH=torch==2.13.0\npython -m bench.pages --check"
    assert blocks.run_script(_example(script, namespace)) is None


def test_what_takes_hours_is_only_read(namespace: dict[str, Any]) -> None:
    long, wrong = "lswag-fast show no-such-folder", "lswag-fast show no-such-folder --no-such-option"
    assert blocks.check_script(_example(long, namespace)) is None
    assert "unrecognized arguments" in str(blocks.check_script(_example(wrong, namespace)))


def test_a_session_is_cut_into_commands_and_outputs() -> None:
    assert blocks.commands_of("$ ls \\\n    *.py\na.py\n$ cd\n") == [("ls \\\n    *.py\n", "a.py\n"), ("cd\n", "")]


def test_the_output_of_a_session_is_compared(namespace: dict[str, Any]) -> None:
    assert blocks.run_session(_example("$ echo some   text\nsome ...\n", namespace)) is None
    assert "some text" in str(blocks.run_session(_example("$ echo some text\nother text\n", namespace)))


def test_a_search_is_cut_to_few_trials() -> None:
    words = programs.few_trials(["search", "nasbench201", "--trials", "200"])
    assert words == ["search", "nasbench201", "--trials", str(programs.MOST_TRIALS)]
    assert programs.few_trials(["show", "--trials", "1"]) == ["show", "--trials", "1"]


def test_nothing_of_a_page_is_left() -> None:
    before, found = Path.cwd(), dict[str, Any]()
    blocks.enter_folder(found)
    folder = Path.cwd()
    assert folder != before
    assert {"mypackage", "accuracies.csv", "photos"} <= {path.name for path in folder.iterdir()}
    blocks.leave_folder(found)
    assert Path.cwd() == before
    assert not folder.exists()


# The commands of the results are read by test_repeat, wherever they stand.
@pytest.mark.parametrize(
    "page",
    [page for page in sorted(DOCS.rglob("*.md")) if page.parent.name != "results"],
    ids=lambda path: str(path.relative_to(DOCS)),
)
def test_commands_stand_in_blocks_that_run(page: Path) -> None:
    """An indented block is neither run nor checked: write ```bash, ```console, or ```sh for what takes hours."""
    assert _COMMAND.findall(_FENCED.sub("", page.read_text(encoding="utf-8"))) == []


def _example(source: str, namespace: dict[str, Any]) -> Any:
    return SimpleNamespace(parsed=source, namespace=namespace)
