"""What a search found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lswag_fast.study.stored import StoredStudy
from lswag_fast.study.study import Study
from lswag_fast.study.trial import COMPLETE, FAILED, FINISHED


@dataclass(frozen=True)
class SearchResult(StoredStudy):
    """What a search found: its trials, the best of them, and all that decided the outcome.

    `trials` are the finished ones in order of their numbers, the failed ones too; `path` is the folder of the results,
    None when nothing was stored; `best` is None only when the search was interrupted before the first score.
    """

    @property
    def stopped(self) -> str:
        """Why the search ended: `finished`, `exhausted` (no further architecture) or `interrupted` (Ctrl-C)."""
        return self.status

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `result.json`: plain JSON values."""
        states = [trial.state for trial in self.trials]
        return {
            "best": [trial.to_dict() for trial in self.top()],
            "front": [trial.number for trial in self.front()],
            "counts": {"trials": len(states), "complete": states.count(COMPLETE), "failed": states.count(FAILED)},
            "stopped": self.stopped,
            "settings": {**self.settings, "n_trials": self.n_trials_wanted},
            "versions": dict(self.versions),
            "elapsed_ms": round(self.elapsed_ms, 3),
        }


def result_of(study: Study) -> SearchResult:
    """Return what a study has found by now."""
    profile = study.noted("profile") or {}
    return SearchResult(
        path=None if study.storage is None else study.storage.path,
        settings={**study.metadata, **study.settings},
        versions=study.noted("versions"),
        trials=tuple(trial for trial in study.trials if trial.state in FINISHED),
        status=study.noted("status"),
        n_trials_wanted=study.noted("n_trials") or 0,
        elapsed_ms=study.elapsed_ms,
        profile=profile.get("layers"),
        profile_trial=profile.get("trial"),
    )
