"""What these pages show runs: their Python and their commands, each page from its first line to its last."""

from __future__ import annotations

from pathlib import Path

from support.pages import tested_pages

# The commands of the results need data and hours; tests/docs/test_repeat.py reads them.
pytest_collect_file = tested_pages("*.md", path=Path(__file__).parent, excludes=["results/*.md"]).pytest()
