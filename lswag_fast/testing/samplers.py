"""What every sampler must do."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from typing import Any, cast

import pytest

from lswag_fast.errors import PendingTrialsError
from lswag_fast.spaces import NasBench201
from lswag_fast.study import Budget, Sampler, Study
from lswag_fast.study.storage import MemoryStorage

N_TRIALS = 30
BUDGET = Budget(params="..1M")


class SamplerContract:
    """Tests of a `Sampler`; subclass it and override `make_sampler`.

    Example:
        >>> from lswag_fast.study.samplers import RandomSampler
        >>> class TestRandomSampler(SamplerContract):
        ...     def make_sampler(self):
        ...         return RandomSampler(proposals_per_batch=5)
    """

    def make_sampler(self) -> Sampler:
        """Return a sampler, best one of small batches, so that 30 trials are several."""
        raise NotImplementedError

    def study(self, **options: Any) -> Study:
        """Return a study with the sampler."""
        return Study(NasBench201(), **{"sampler": self.make_sampler(), "seed": 3, "budget": BUDGET, **options})

    def test_it_says_what_it_is(self) -> None:
        """Its name is text, and its options are JSON values."""
        sampler = self.make_sampler()
        assert isinstance(sampler.name, str)
        assert sampler.adaptive in (True, False)
        assert sampler.n_leaders >= 0
        if is_dataclass(sampler):
            options = asdict(cast(Any, sampler))
            assert json.loads(json.dumps(options)) == options

    def test_the_seed_decides_everything(self) -> None:
        """Equal seeds, equal proposals; another seed, others."""
        runs = []
        for seed in (3, 3, 4):
            study = self.study(seed=seed)
            _run(study)
            runs.append([trial.arch_json for trial in study.trials])
        assert runs[0] == runs[1] != runs[2]

    def test_no_architecture_is_proposed_twice_and_all_meet_the_budget(self) -> None:
        """Whatever the sampler draws."""
        study = self.study()
        _run(study)
        assert len({trial.arch_json for trial in study.trials}) == len(study.trials) == N_TRIALS
        assert all(trial.n_params <= 1e6 for trial in study.trials)
        assert all(trial.origin for trial in study.trials)

    def test_failed_trials_do_not_stop_it(self) -> None:
        """Even when all of them fail."""
        study = self.study()
        for _ in range(N_TRIALS):
            study.tell(study.ask(), error="broken")
        assert study.n_told == N_TRIALS

    def test_only_an_adaptive_one_waits_for_scores(self) -> None:
        """Others propose without end."""
        study = self.study()
        try:
            for _ in range(200):
                study.ask()
        except PendingTrialsError:
            assert study.sampler.adaptive
        assert study.trials

    def test_the_order_of_telling_changes_nothing(self) -> None:
        """Each batch told forwards, or backwards."""
        proposed = []
        for step in (1, -1):
            study = self.study()
            while study.n_told < N_TRIALS:
                asked = _ask_together(study)
                for trial in asked[::step]:
                    study.tell(trial, trial.n_params / 1e6)
            proposed.append([trial.arch_json for trial in study.trials])
        assert proposed[0] == proposed[1]

    @pytest.mark.parametrize("cut", range(0, N_TRIALS, 3))
    def test_continued_equals_uninterrupted(self, cut: int) -> None:
        """The sampler's memory and the state of chance are all that it needs."""
        whole, storage = self.study(), MemoryStorage()
        _run(whole)
        with self.study(storage=storage) as study:
            _run(study, cut)
        study = self.study(storage=storage)
        _run(study, N_TRIALS - cut)
        assert [trial.arch_json for trial in study.trials] == [trial.arch_json for trial in whole.trials]
        assert study.result().n_isomorphic == whole.result().n_isomorphic


def _run(study: Study, n_trials: int = N_TRIALS) -> None:
    for _ in range(n_trials):
        trial = study.ask()
        study.tell(trial, trial.n_params / 1e6)


def _ask_together(study: Study) -> list[Any]:
    """As many trials as can be asked for at once, at most 10."""
    asked: list[Any] = []
    try:
        while len(asked) < 10:
            asked.append(study.ask())
    except PendingTrialsError:
        pass
    return asked
