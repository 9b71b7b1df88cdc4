import csv
import json
import math

import pytest

from driver.toy_space import ToySpace
from lswag_fast.driver.budget import Budget
from lswag_fast.driver.study import Study
from lswag_fast.driver.trial import COLUMNS
from lswag_fast.errors import BudgetError, InputError, StorageError


def proposals(n_trials=120, **options):
    study = Study(ToySpace(8, 8), **options)
    for _ in range(n_trials):
        trial = study.ask()
        study.tell(trial, float(sum(trial.arch["widths"])))
    return [(trial.arch_json, trial.origin, trial.generation, trial.score) for trial in study.trials]


@pytest.mark.parametrize("sampler", ["random", "evolution"])
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


def test_every_row_is_on_disk_when_tell_returns(tmp_path):
    study = Study(ToySpace(), storage=tmp_path)
    for number in range(3):
        study.tell(study.ask(), 0.1 + number)
        rows = list(csv.DictReader((tmp_path / "trials.csv").read_text().splitlines()))
        assert [float(row["score"]) for row in rows] == [0.1 + n for n in range(number + 1)]
    assert tuple(rows[0]) == COLUMNS
    assert json.loads(rows[0]["arch"]) == study.trials[0].arch


def test_errors_are_one_line_in_the_table(tmp_path):
    study = Study(ToySpace(), storage=tmp_path)
    study.tell(study.ask(), error='two\nlines, and a "quote"')
    text = (tmp_path / "trials.csv").read_text()
    assert text.count("\n") == 2
    assert next(csv.DictReader(text.splitlines()))["error"] == 'two lines, and a "quote"'


def test_a_folder_in_use_is_refused(tmp_path):
    (tmp_path / "trials.csv").write_text("mine")
    with pytest.raises(StorageError, match="not empty"):
        Study(ToySpace(), storage=tmp_path)
    with pytest.raises(StorageError, match="not a folder"):
        Study(ToySpace(), storage=tmp_path / "trials.csv")
    assert (tmp_path / "trials.csv").read_text() == "mine"


def test_dataframe_has_the_columns_of_the_table():
    study = Study(ToySpace())
    study.tell(study.ask(), 1.5)
    study.tell(study.ask(), error="broken")
    study.ask()
    frame = study.trials_dataframe()
    assert tuple(frame.columns) == COLUMNS
    assert frame["state"].tolist() == ["complete", "failed"]
    assert frame["score"].iloc[0] == 1.5
