"""The pages that show measured numbers say what the CSVs say."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.pages import blocks
from bench.pages.pages import written_anew
from bench.pages.tables import RESULTS, TABLES

ROOT = Path(__file__).parents[3]


def test_the_pages_are_those_of_the_csvs() -> None:
    stale = [str(path.relative_to(ROOT)) for path in written_anew(ROOT)]
    assert stale == [], "write them anew: python -m bench.pages"


def test_each_table_is_shown() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))]
    shown = {name for text in texts for name in blocks.names(text)}
    assert shown == {table.name for table in TABLES}


def test_each_csv_is_shown_or_named() -> None:
    """Nothing that was measured is forgotten."""
    shown = {source for table in TABLES for source in table.sources} | {"score/models.csv"}
    assert {path.relative_to(RESULTS).as_posix() for path in RESULTS.rglob("*.csv")} == shown


@pytest.fixture
def other_root(tmp_path: Path) -> Path:
    """A copy of the pages in which one number was changed by hand."""
    shutil.copy(ROOT / "README.md", tmp_path)
    shutil.copytree(ROOT / "docs/results", tmp_path / "docs/results")
    page = tmp_path / "docs/results/search.md"
    text = page.read_text(encoding="utf-8")
    changed, n_changes = re.subn(r"(?m)^(\| 2 \| fast \| bfloat16 \| [^|]+ \|) \S+ \|", r"\1 9.16 |", text)
    assert n_changes == 1
    page.write_text(changed, encoding="utf-8")
    return tmp_path


def test_a_number_changed_by_hand_is_found_and_mended(other_root: Path) -> None:
    changed = written_anew(other_root)
    page = other_root / "docs/results/search.md"
    assert list(changed) == [page]
    assert changed[page] == (ROOT / "docs/results/search.md").read_text(encoding="utf-8")


def test_a_page_that_asks_for_an_unknown_table_is_told_which_there_are(other_root: Path) -> None:
    (other_root / "docs/new.md").write_text("<!-- table: speeed -->\n<!-- end -->\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"no table 'speeed'.* whole-score"):
        written_anew(other_root)


def test_the_command_agrees_with_the_pages_as_they_are() -> None:
    command = [sys.executable, "-m", "bench.pages", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
