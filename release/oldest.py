"""Prints the oldest version that pyproject.toml allows of each library the package needs, as constraints for pip."""

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


def constraints(project: dict[str, Any]) -> list[str]:
    """Return `name==version` for the requirements of a project and of the extras that are tested at their oldest.

    Raises:
        ValueError: a requirement is not of the form `name>=version`.
    """
    requirements = [*project["dependencies"]]
    for extra in EXTRAS:
        requirements += project["optional-dependencies"][extra]
    return [_pinned(requirement) for requirement in requirements]


def _pinned(requirement: str) -> str:
    match = _LOWER_BOUND.match(requirement)
    if match is None:
        raise ValueError(f"{requirement} is not of the form name>=version")
    return "==".join(match.groups())


if __name__ == "__main__":
    sys.stdout.write("\n".join(constraints(tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"])) + "\n")
