"""What one can do with a study next, as commands to paste into a shell."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lswag_fast.study.stored import StoredStudy

_CUT = ("interrupted", "killed", "failed")
"""The status of a study that its own command continues."""


def next_steps(study: StoredStudy) -> dict[str, str]:
    """Commands by what they do; a search that was begun in Python is continued there, so it has none for that."""
    if study.path is None:
        return {}
    folder = shlex.quote(str(study.path))
    steps = {}
    if study.metadata.get("command"):
        if study.status in _CUT:
            steps["continue the search"] = _search_line(study, study.n_trials_wanted)
        elif study.status == "finished":
            steps["score twice as many"] = _search_line(study, 2 * study.n_trials_wanted)
    steps["one page to look at"] = f"lswag-fast report {folder}"
    steps["all trials as a table"] = f"lswag-fast export {folder} -o trials.csv"
    if study.best is not None:
        steps["the best architecture with its untrained weights"] = f"lswag-fast export {folder} --arch best -o best"
    return steps


def _search_line(study: StoredStudy, n_trials: int) -> str:
    """The command of a search, for so many trials and for where its folder is now."""
    words = shlex.split(str(study.metadata["command"]))
    for option, value in (("--trials", str(n_trials)), ("--out", str(study.path))):
        if option in words[:-1]:
            words[words.index(option) + 1] = value
        else:
            words += [option, value]
    return shlex.join(words)
