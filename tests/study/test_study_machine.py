"""A study against a plain dictionary, under whatever order of asking, telling, failing and opening again."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lswag_fast.errors import InputError, PendingTrialsError, StorageError
from lswag_fast.study.samplers import EvolutionSampler, SteadyStateSampler
from lswag_fast.study.stored import read_study
from lswag_fast.study.study import Study
from lswag_fast.study.trial import COMPLETE, FAILED, Trial
from study.toy_space import ToySpace

SAMPLERS = {
    "random": "random",
    "evolution": EvolutionSampler(population=4, parents=2, mutations=2, crossovers=1),
    "steady_state": SteadyStateSampler(population=4, proposals_per_batch=2),
}
SCORES = st.floats(allow_nan=False, allow_infinity=False, width=32)


class StudyMachine(RuleBasedStateMachine):
    """`told` is what was told, by number; `waiting` the trials that were handed out and are not told."""

    def __init__(self) -> None:
        super().__init__()
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self.temporary.name) / "run"
        self.told: dict[int, float | None] = {}
        self.proposed: dict[int, str] = {}
        self.waiting: dict[int, Trial] = {}

    @initialize(sampler=st.sampled_from(sorted(SAMPLERS)))
    def begin(self, sampler: str) -> None:
        self.sampler = sampler
        self.study = self.open()

    def open(self) -> Study:
        return Study(ToySpace(4, 5), SAMPLERS[self.sampler], self.folder, seed=1)

    @rule()
    def ask(self) -> None:
        try:
            trial = self.study.ask()
        except PendingTrialsError as error:
            assert self.sampler != "random"
            assert str(len(self.waiting)) in str(error)
            return
        assert trial.number not in self.waiting
        assert trial.number not in self.told
        # Handed out before the study was opened again, or new and unlike all others.
        assert self.proposed.get(trial.number, trial.arch_json) == trial.arch_json
        self.proposed[trial.number] = trial.arch_json
        assert len(set(self.proposed.values())) == len(self.proposed)
        self.waiting[trial.number] = trial

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), score=SCORES)
    def tell(self, data: st.DataObject, score: float) -> None:
        trial = self.waiting.pop(data.draw(st.sampled_from(sorted(self.waiting))))
        assert self.study.tell(trial, score).state == COMPLETE
        self.told[trial.number] = score

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), error=st.sampled_from(["ValueError: no", "a\nb"]))
    def fail(self, data: st.DataObject, error: str) -> None:
        trial = self.waiting.pop(data.draw(st.sampled_from(sorted(self.waiting))))
        assert self.study.tell(trial, error=error).state == FAILED
        self.told[trial.number] = None

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def tell_again(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.told)))
        trial = next(trial for trial in self.study.trials if trial.number == number)
        with pytest.raises(InputError):
            self.study.tell(trial, 1.0)

    @rule()
    def second_writer(self) -> None:
        with pytest.raises(StorageError, match="is being written by process"):
            self.open()

    @rule(in_order=st.booleans())
    def open_again(self, in_order: bool) -> None:
        """After `close`, or after the study was dropped as by a killed process."""
        if in_order:
            self.study.close()
        del self.study
        self.study = self.open()
        self.waiting.clear()  # all that was not told is handed out again

    @invariant()
    def holds_what_was_told(self) -> None:
        if not hasattr(self, "study"):
            return
        for trials in (self.study.trials, read_study(self.folder).trials):
            told = {trial.number: trial.score for trial in trials if trial.state in (COMPLETE, FAILED)}
            assert told == self.told
        scores = {number: score for number, score in self.told.items() if score is not None}
        best = self.study.best
        if not scores:
            assert best is None
        else:
            assert best is not None
            assert best.number == min(scores, key=lambda number: (-scores[number], number))

    def teardown(self) -> None:
        if hasattr(self, "study"):
            self.study.close()
        self.temporary.cleanup()


StudyMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
TestStudyMachine = StudyMachine.TestCase
