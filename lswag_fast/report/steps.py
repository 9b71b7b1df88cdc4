"""What one can do with a study next, as commands."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lswag_fast.study.stored import StoredStudy


_CONTINUE = {
    "finished": "more trials: the same command with a larger --trials",
    "interrupted": "continue the search",
    "killed": "continue the search",
    "failed": "continue the search",
}
"""By the status of a study; one that runs, or has nothing left to try, is not continued."""


def next_steps(study: StoredStudy) -> dict[str, str]:
    """Commands by what they do; a search that was begun in Python is continued there, so it has none for that."""
    if study.path is None:
        return {}
    folder = shlex.quote(str(study.path))
    steps = {}
    command = study.settings.get("command")
    if command and study.status in _CONTINUE:
        steps[_CONTINUE[study.status]] = str(command)
    steps["one page to look at"] = f"lswag-fast report {folder}"
    steps["all trials as a table"] = f"lswag-fast export {folder} -o trials.csv"
    if study.best is not None:
        steps["the best architecture with its untrained weights"] = f"lswag-fast export {folder} --arch best -o best"
    return steps
