"""The Python in these pages runs: every ```python block and every `>>>` line, one page after the other."""

from __future__ import annotations

from typing import Any

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

from bench.score.models import libraries


def loadable(library: str) -> bool:
    """Return whether a library is there, and import it, for the blocks that are skipped without it."""
    return libraries.is_installed(library) and bool(libraries.library(library))


def _setup(namespace: dict[str, Any]) -> None:
    namespace["loadable"] = loadable


pytest_collect_file = Sybil(parsers=[PythonCodeBlockParser(), SkipParser()], patterns=["*.md"], setup=_setup).pytest()
