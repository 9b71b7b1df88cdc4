"""What one can do with a study next, as commands to paste into a shell."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from lswag_fast.files.shell import as_argument, pasteable

if TYPE_CHECKING:
    from lswag_fast.study.stored import StoredStudy

_CUT = ("interrupted", "killed", "failed")
"""The status of a study that its own command continues."""


def next_steps(study: StoredStudy) -> dict[str, str]:
    """Commands by what they do; a search that was begun in Python is continued there, so it has none for that."""
    if study.path is None:
        return {}
    folder = pasteable([as_argument(study.path)])
    steps = {}
    words = _command_words(study)
    if words:
        if study.status in _CUT:
            steps["continue the search"] = _search_line(words, study.n_trials_wanted, study)
        elif study.status == "finished":
            steps["score twice as many"] = _search_line(words, 2 * study.n_trials_wanted, study)
    steps["one page to look at"] = f"lswag-fast report {folder}"
    steps["all trials as a table"] = f"lswag-fast export {folder} -o trials.csv"
    if study.best is not None:
        steps["the best architecture with its untrained weights"] = f"lswag-fast export {folder} --arch best -o best"
    return steps


def continuing_command(study: StoredStudy, n_trials: int) -> str | None:
    """The command that continues a search, up to so many trials in all; None for one that was begun in Python."""
    words = _command_words(study)
    return _search_line(words, max(n_trials, study.n_trials_wanted), study) if words else None


def _command_words(study: StoredStudy) -> list[str]:
    """The command of a search; empty where it was begun in Python, whose metadata may hold anything."""
    try:
        return shlex.split(str(study.metadata.get("command") or ""))
    except ValueError:  # no words of a shell
        return []


def _search_line(words: list[str], n_trials: int, study: StoredStudy) -> str:
    """The command of a search, for so many trials and for where its folder is now."""
    for option, value in (("--trials", str(n_trials)), ("--out", str(study.path))):
        given = [f"{option}={value}"] if value.startswith("-") else [option, value]
        place = words.index(option) if option in words[:-1] else len(words)
        words = [*words[:place], *given, *words[place + 2 :]]
    return pasteable(words)
