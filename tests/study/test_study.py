import math

import pytest

from lswag_fast.errors import BudgetError, InputError, PendingTrialsError
from lswag_fast.study.budget import Budget
from lswag_fast.study.candidate_pool import SpaceExhaustedError
from lswag_fast.study.objective import Objective
from lswag_fast.study.samplers import EvolutionSampler, SteadyStateSampler
from lswag_fast.study.settings import ScoringSettings
from lswag_fast.study.study import Study
from lswag_fast.study.trial import table_columns
from study.toy_space import ToySpace


def proposals(n_trials=180, **options):
    study = Study(ToySpace(8, 8), **options)
    for _ in range(n_trials):
        trial = study.ask()
        study.tell(trial, float(sum(trial.arch["widths"])))
    return [(trial.arch_json, trial.origin, trial.proposal_batch, trial.score) for trial in study.trials]


@pytest.mark.parametrize("sampler", ["random", "evolution", "steady_state"])
def test_the_seed_decides_everything(sampler):
    assert proposals(sampler=sampler, seed=7) == proposals(sampler=sampler, seed=7)
    assert proposals(sampler=sampler, seed=7) != proposals(sampler=sampler, seed=8)


def test_ask_describes_the_architecture():
    space = ToySpace()
    trial = Study(space).ask()
    assert space.decode(trial.arch_json) == trial.arch
    assert trial.n_params == space.n_params(trial.arch)
    assert (trial.number, trial.state, trial.score, trial.origin) == (0, "running", None, "random")


def test_best_is_the_earliest_of_the_highest():
    study = Study(ToySpace())
    assert study.best is None
    for score in (1.0, 3.0, 2.0, 3.0):
        study.tell(study.ask(), score)
    assert study.best.number == 1
    assert [trial.number for trial in study.top(3)] == [1, 3, 2]


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_a_failure(score):
    study = Study(ToySpace())
    finished = study.tell(study.ask(), score)
    assert (finished.state, finished.score) == ("failed", None)
    assert str(score) in finished.error
    assert study.best is None


def test_tell_takes_each_running_trial_once():
    study = Study(ToySpace())
    trial = study.ask()
    with pytest.raises(InputError, match="a score or an error"):
        study.tell(trial)
    study.tell(trial, 1.0)
    with pytest.raises(InputError, match="trial 0 is not running"):
        study.tell(trial, 2.0)
    assert study.best.score == 1.0


def test_tell_out_of_order():
    study = Study(ToySpace())
    first, second = study.ask(), study.ask()
    study.tell(second, 2.0)
    study.tell(first, 1.0)
    assert [trial.score for trial in study.trials] == [1.0, 2.0]


def test_an_impossible_budget_leaves_no_folder(tmp_path):
    with pytest.raises(BudgetError, match="params 336"):
        Study(ToySpace(), storage=tmp_path / "run", budget=Budget(params="1M.."))
    assert not (tmp_path / "run").exists()


def test_errors_are_one_line():
    study = Study(ToySpace())
    assert study.tell(study.ask(), error='two\nlines, and a "quote"').error == 'two lines, and a "quote"'


def test_ask_beyond_a_wave_says_how_many_it_waits_for():
    study = Study(ToySpace(), EvolutionSampler(population=4, parents=1, mutations=1, crossovers=1))
    trials = [study.ask() for _ in range(4)]
    with pytest.raises(PendingTrialsError, match="4 trials that are still to be told"):
        study.ask()
    for trial in trials[1:]:
        study.tell(trial, 1.0)
    with pytest.raises(PendingTrialsError, match="1 trials"):
        study.ask()
    study.tell(trials[0], 1.0)
    assert study.ask().proposal_batch == 1


def test_random_proposals_never_wait():
    study = Study(ToySpace(8, 8), "random")
    assert [study.ask().number for _ in range(120)] == list(range(120))


@pytest.mark.parametrize("sampler", ["evolution", SteadyStateSampler(population=20, proposals_per_batch=7)])
def test_the_order_of_telling_changes_nothing(sampler):
    """Each batch of proposals is told backwards."""
    in_order, backwards = (Study(ToySpace(8, 8), sampler, seed=2) for _ in range(2))
    for study, step in ((in_order, 1), (backwards, -1)):
        while study.n_told < 150:
            batch = []
            try:
                while True:
                    batch.append(study.ask())
            except PendingTrialsError:
                pass
            for trial in batch[::step]:
                study.tell(trial, float(sum(trial.arch["widths"])))
    a, b = ([(trial.arch_json, trial.score) for trial in study.trials] for study in (in_order, backwards))
    assert a == b


def test_an_exhausted_study_keeps_saying_so_and_stays_as_it_is():
    study = Study(ToySpace(1, 4), "random")
    for _ in range(4):
        study.tell(study.ask(), 1.0)
    for _ in range(2):
        with pytest.raises(SpaceExhaustedError, match="all 4 architectures"):
            study.ask()
    assert study.n_told == 4


def test_several_values_need_an_objective_that_names_them():
    study = Study(ToySpace(), objective=Objective(("a", "b"), lower_is_better=("b",)))
    trial = study.ask()
    for wrong in (1.0, {"a": 1.0}, {"a": 1.0, "b": 1.0, "c": 1.0}):
        with pytest.raises(InputError, match="wants the values of a, b; found"):
            study.tell(trial, wrong)
    assert study.tell(trial, {"b": 3.0, "a": 1.0}).values == {"a": 1.0, "b": 3.0}
    better = study.tell(study.ask(), {"a": 2.0, "b": 2.0})
    assert study.best.number == better.number
    # ln(2/2) twice against ln(1/2) twice.
    assert [trial.score for trial in study.trials] == pytest.approx([-2 * math.log(2), 0.0])


def test_one_value_that_is_not_finite_fails_the_trial_and_names_it():
    study = Study(ToySpace(), objective=Objective(("a", "b")))
    finished = study.tell(study.ask(), {"a": 1.0, "b": math.nan})
    assert (finished.state, finished.error, finished.values) == ("failed", "b is not finite: nan", {"a": 1.0})


def test_a_single_proxy_may_point_down():
    study = Study(ToySpace(), objective=Objective(("params",), lower_is_better=("params",)))
    for value in (3.0, 1.0, 2.0):
        study.tell(study.ask(), {"params": value})
    assert [(trial.score, trial.values["params"]) for trial in study.top(3)] == [(-1.0, 1.0), (-2.0, 2.0), (-3.0, 3.0)]


def test_dataframe_has_the_columns_of_the_table():
    study = Study(ToySpace())
    study.tell(study.ask(), 1.5)
    study.tell(study.ask(), error="broken")
    study.ask()
    frame = study.trials_dataframe()
    assert tuple(frame.columns) == table_columns()
    assert frame["state"].tolist() == ["complete", "failed"]
    assert frame["score"].iloc[0] == 1.5


@pytest.mark.parametrize("value", [math.nan, {1, 2}, object()])
def test_a_setting_that_json_cannot_say_is_refused_before_anything_is_stored(value, tmp_path):
    with pytest.raises(InputError, match="the settings of a study are JSON values"):
        Study(ToySpace(), storage=tmp_path / "run", scoring=ScoringSettings(options={"x": value}))
    assert not (tmp_path / "run").exists()
