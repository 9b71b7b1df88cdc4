"""Prints the oldest version that pyproject.toml allows of each library the package needs, as constraints for pip.

An argument takes the place of the line for torch: `python release/oldest.py torch==2.4.1+cpu`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:  # the oldest Python reads TOML by the library that became `tomllib`
    import tomli as tomllib

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
# Whoever has the oldest torch has the libraries of that time, not the newest.
EXTRAS = ("images", "plot", "parquet", "export")
_LOWER_BOUND = re.compile(r"^([A-Za-z0-9_.-]+)>=([0-9.]+)$")


def constraints(project: dict[str, Any], torch: str = "") -> list[str]:
    """Return `name==version` for the requirements of a project and of the extras that are tested at their oldest.

    Args:
        project: the table `project` of pyproject.toml.
        torch: the torch to have in place of the oldest one, such as a build without CUDA; empty: the oldest one.

    Raises:
        ValueError: a requirement is not of the form `name>=version`.
    """
    requirements = [*project["dependencies"]]
    for extra in EXTRAS:
        requirements += project["optional-dependencies"][extra]
    pinned = [_pinned(requirement) for requirement in requirements]
    return [torch if torch and line.startswith("torch==") else line for line in pinned]


def _pinned(requirement: str) -> str:
    match = _LOWER_BOUND.match(requirement)
    if match is None:
        raise ValueError(f"{requirement} is not of the form name>=version")
    return "==".join(match.groups())


if __name__ == "__main__":
    table = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    sys.stdout.write("\n".join(constraints(table, *sys.argv[1:])) + "\n")
