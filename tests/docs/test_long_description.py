"""The README as it is read away from the repository, in the metadata of the package."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> str:
    """The long description that the build is given."""
    given: dict[str, Any] = {}
    monkeypatch.setitem(sys.modules, "setuptools", SimpleNamespace(setup=lambda **words: given.update(words)))
    runpy.run_path(str(ROOT / "setup.py"))
    assert given["long_description_content_type"] == "text/markdown"
    return str(given["long_description"])


def test_every_link_leads_into_the_repository(described: str) -> None:
    before, after = (re.findall(r"\]\(([^)\s]+)\)", text) for text in (README, described))
    assert len(after) == len(before) > 10
    assert [link for link in after if not link.startswith("https://")] == []
    for link in after:
        home, _, path = link.partition("/main/")
        assert home.rpartition("/")[2] == ("raw" if path.endswith(".svg") else "blob")
        assert (ROOT / path.partition("#")[0]).exists()


def test_nothing_but_the_links_differs(described: str) -> None:
    without = (re.sub(r"\]\([^)]+\)", "]()", text) for text in (README, described))
    assert len(set(without)) == 1


def test_it_renders_as_an_index_shows_it(described: str) -> None:
    renderer = pytest.importorskip("readme_renderer.markdown")
    html = renderer.render(described)
    assert html is not None
    assert html.count("<img ") == 1
    assert 'src="https://' in html
    assert html.count("<table>") == README.count("| --- |")
