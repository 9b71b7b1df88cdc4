"""When a search has seen enough failures to stop."""

from __future__ import annotations

from collections import deque

from lswag_fast.errors import LswagError
from lswag_fast.study.study import Study
from lswag_fast.study.trial import FAILED, FINISHED, Trial

# A search whose first trials all fail has a mistake in its settings, not bad luck: it stops there.
FAILURES_BEFORE_STOP = 10
# So does one in which, of the latest trials, more than this part failed.
FAILURE_WINDOW = 100
MAX_FAILURE_RATE = 0.5


class Failures:
    """Counts failed trials, those of earlier runs of the study too.

    Args:
        study: the study.
        n_trials: trials wanted in total.
    """

    def __init__(self, study: Study, n_trials: int) -> None:
        told = [trial for trial in study.trials if trial.state in FINISHED]
        self._n_told = len(told)
        self._n_failed = sum(trial.state == FAILED for trial in told)
        self._latest = deque((trial.state == FAILED for trial in told), maxlen=FAILURE_WINDOW)
        self._error = next((trial.error for trial in reversed(told) if trial.error), "")
        self._n_enough = min(FAILURES_BEFORE_STOP, n_trials)

    def add(self, trial: Trial) -> None:
        """Count a finished trial.

        Raises:
            LswagError: too many have failed; names the last failure.
        """
        self._n_told += 1
        self._n_failed += trial.state == FAILED
        self._latest.append(trial.state == FAILED)
        self._error = trial.error or self._error
        if self._n_told >= self._n_enough:
            self.refuse_all_failed()
        if len(self._latest) == FAILURE_WINDOW and sum(self._latest) > MAX_FAILURE_RATE * FAILURE_WINDOW:
            raise LswagError(
                f"{sum(self._latest)} of the last {FAILURE_WINDOW} trials failed, more than a search can use; "
                f"the last: {self._error}"
            )

    def refuse_all_failed(self) -> None:
        """Raise LswagError if no trial has a score."""
        if self._n_failed == self._n_told:
            raise LswagError(f"all of the first {self._n_told} trials failed; the last: {self._error}")
