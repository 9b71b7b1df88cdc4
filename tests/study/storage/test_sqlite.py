import json
import os
import shutil
import sqlite3

import pytest

from lswag_fast.errors import PendingTrialsError, StorageError, StorageVersionError
from lswag_fast.study.budget import Budget
from lswag_fast.study.objective import Objective
from lswag_fast.study.samplers import EvolutionSampler, SteadyStateSampler
from lswag_fast.study.settings import ScoringSettings
from lswag_fast.study.storage.sqlite import SQLiteStorage
from lswag_fast.study.stored import read_study
from lswag_fast.study.study import Study
from study.toy_space import ToySpace

SAMPLERS = {
    "random": "random",
    "evolution": EvolutionSampler(population=6, parents=3, mutations=3, crossovers=2),
    "steady_state": SteadyStateSampler(population=8, proposals_per_batch=1),
    "steady_waves": SteadyStateSampler(population=8, proposals_per_batch=3),
}
OBJECTIVES = {"one": Objective(), "two": Objective(("a", "b"), lower_is_better=("b",))}


def values(trial, objective):
    widths = trial.arch["widths"]
    known = {"score": sum(widths), "a": sum(widths), "b": -widths[0] * widths[1]}
    return {name: float(known[name]) for name in objective.proxies}


def told(study):
    return [(t.number, t.arch_json, t.origin, t.proposal_batch, t.state, t.score) for t in study.trials if t.values]


def step(study):
    trial = study.ask()
    study.tell(trial, values(trial, study.objective))


def open_study(folder, sampler="random", objective="one", **options):
    return Study(ToySpace(5, 6), SAMPLERS[sampler], folder, seed=4, objective=OBJECTIVES[objective], **options)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_continue_equals_uninterrupted_at_every_cut(tmp_path, sampler, objective):
    n_trials = 26
    whole = open_study(None, sampler, objective)
    for _ in range(n_trials):
        step(whole)
    for cut in range(n_trials):
        folder = tmp_path / str(cut)
        study = open_study(folder, sampler, objective)
        for _ in range(cut):
            step(study)
        if cut % 2:  # cut between asking and telling
            study.ask()
        del study
        study = open_study(folder, sampler, objective)
        assert study.n_told == cut
        for _ in range(cut, n_trials):
            step(study)
        assert told(study) == told(whole)
        assert study.best == whole.best or study.best.arch_json == whole.best.arch_json
        study.close()


def test_a_study_cut_after_every_step_is_still_the_same(tmp_path):
    whole = open_study(None, "evolution")
    for _ in range(20):
        step(whole)
        study = open_study(tmp_path, "evolution")
        step(study)
        del study
    assert told(open_study(tmp_path, "evolution")) == told(whole)


def test_trials_told_out_of_order_leave_the_others_to_be_asked_again(tmp_path):
    study = open_study(tmp_path, "evolution")
    trials = [study.ask() for _ in range(6)]
    for number in (4, 1):
        study.tell(trials[number], 1.0)
    del study
    study = open_study(tmp_path, "evolution")
    assert [trial.number for trial in study.trials] == [1, 4]
    again = [study.ask() for _ in range(4)]
    assert [(t.number, t.arch_json) for t in again] == [(n, trials[n].arch_json) for n in (0, 2, 3, 5)]
    with pytest.raises(PendingTrialsError, match="4 trials"):
        study.ask()


def test_failures_and_their_tracebacks_are_kept(tmp_path):
    study = open_study(tmp_path)
    study.tell(study.ask(), error="KeyError: 'x'", traceback="Traceback ...\nKeyError: 'x'")
    study.close()
    (trial,) = read_study(tmp_path).trials
    assert (trial.state, trial.error, trial.score) == ("failed", "KeyError: 'x'", None)
    assert SQLiteStorage(tmp_path).read()["failure"][0][4].endswith("KeyError: 'x'")


CHANGES = {
    "space": ({"space": ToySpace(5, 7)}, "space.size was 7776, now 16807"),
    "seed": ({"seed": 5}, "seed was 4, now 5"),
    "budget": ({"budget": Budget(params="10..")}, r"budget.params was nothing, now \[10.0, null\]"),
    "sampler": ({"sampler": EvolutionSampler()}, 'sampler.name was "random", now "evolution"'),
    "objective": (
        {"objective": Objective(("a", "b"))},
        "other settings: --proxies was score, now a,b[.] Repeat",
    ),
    "scoring": ({"scoring": ScoringSettings(isa="avx2")}, 'scoring.isa was "avx512", now "avx2"'),
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_settings_are_refused_with_the_difference(tmp_path, change):
    usual = {"space": ToySpace(5, 6), "sampler": "random", "seed": 4, "scoring": ScoringSettings(isa="avx512")}
    study = Study(storage=tmp_path, **usual)
    study.tell(study.ask(), 1.0)
    study.close()
    options, difference = CHANGES[change]
    with pytest.raises(StorageError, match=difference):
        Study(storage=tmp_path, **{**usual, **options})
    with Study(storage=tmp_path, **usual) as study:
        assert study.n_told == 1


def test_a_study_without_results_makes_way_for_other_settings(tmp_path):
    study = Study(ToySpace(), "random", tmp_path, seed=1)
    study.ask()
    study.close()
    with Study(ToySpace(), "random", tmp_path, seed=2) as study:
        assert study.ask().arch == Study(ToySpace(), "random", seed=2).ask().arch


def test_a_second_writer_is_refused_and_the_owner_named(tmp_path):
    study = open_study(tmp_path)
    with pytest.raises(StorageError, match=rf"being written by process {os.getpid()} on .*wait until it ends"):
        open_study(tmp_path)
    step(study)
    study.close()
    assert open_study(tmp_path).n_told == 1


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path):
    step(open_study(tmp_path))
    (tmp_path / "study.lock").write_text(json.dumps({"pid": 2**22 + 1, "host": os.uname().nodename, "boot": "x"}))
    assert read_study(tmp_path).status == "killed"
    assert open_study(tmp_path).n_told == 1


def test_the_lock_of_another_machine_is_respected(tmp_path):
    open_study(tmp_path).close()
    lock = tmp_path / "study.lock"
    lock.write_text(json.dumps({"pid": 7, "host": "elsewhere", "boot": "other"}))
    with pytest.raises(StorageError, match=r"process 7 on elsewhere; if that process is gone, delete .*study.lock"):
        open_study(tmp_path)
    lock.unlink()
    open_study(tmp_path).close()


def test_a_newer_schema_is_refused_by_writer_and_viewer(tmp_path):
    study = open_study(tmp_path)
    step(study)
    study.close()
    with sqlite3.connect(tmp_path / "study.sqlite") as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    before = (tmp_path / "study.sqlite").read_bytes()
    for reads in (open_study, read_study):
        with pytest.raises(StorageVersionError, match="schema version 9, this lswag-fast reads up to 2"):
            reads(tmp_path)
    assert (tmp_path / "study.sqlite").read_bytes() == before


@pytest.mark.parametrize("name", ["trials.csv", "notes.txt"])
def test_a_folder_with_something_else_is_refused(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(StorageError, match="not empty and holds no study"):
        open_study(tmp_path)
    with pytest.raises(StorageError, match="not a folder"):
        open_study(tmp_path / name)
    with pytest.raises(StorageError, match="cannot write"):
        open_study(tmp_path / name / "run")
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_another_programs_database_is_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / "study.sqlite") as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = (tmp_path / "study.sqlite").read_bytes()
    for reads in (open_study, read_study):
        with pytest.raises(StorageError, match="not a study of lswag-fast"):
            reads(tmp_path)
    assert (tmp_path / "study.sqlite").read_bytes() == before


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DROP TABLE record", "it has lost its table record"),
        ("ALTER TABLE record RENAME TO theirs", "it has lost its table record"),
        ("ALTER TABLE record RENAME COLUMN checksum TO c", "no such column: checksum"),
        ("UPDATE record SET value = CAST(x'ff' AS TEXT) WHERE kind = 'attr'", "decode"),
        ("UPDATE record SET kind = CAST(x'61ff' AS TEXT) WHERE kind = 'result'", "decode"),
        ("UPDATE record SET value = NULL WHERE kind = 'attr'", "damaged"),
    ],
)
def test_a_database_that_lost_something_is_damaged_and_never_begun_anew(tmp_path, statement, message):
    study = open_study(tmp_path)
    step(study)
    study.close()
    with sqlite3.connect(tmp_path / "study.sqlite") as connection:
        connection.execute(statement)
    connection.close()
    before = (tmp_path / "study.sqlite").read_bytes()
    for reads in (open_study, read_study):
        with pytest.raises(StorageError, match=message) as refused:
            reads(tmp_path)
        assert str(tmp_path) in str(refused.value)
        assert "restore it from a copy, or name a new folder" in str(refused.value)
    assert (tmp_path / "study.sqlite").read_bytes() == before


def test_a_folder_cut_while_it_was_made_is_begun_anew(tmp_path):
    storage = SQLiteStorage(tmp_path / "run")
    storage.open()
    storage.close()
    with pytest.raises(StorageError, match="holds no study yet"):
        read_study(tmp_path / "run")
    study = open_study(tmp_path / "run")
    step(study)
    assert study.n_told == 1


@pytest.mark.parametrize("damage", [lambda log: b"", lambda log: log[:16] + b"x" * (len(log) - 16)])
def test_a_log_that_is_damaged_early_does_not_undo_the_begin(tmp_path, damage):
    study = open_study(tmp_path / "run")
    step(study)
    shutil.copytree(tmp_path / "run", tmp_path / "cut")  # as a killed process leaves it
    study.close()
    log = tmp_path / "cut" / "study.sqlite-wal"
    log.write_bytes(damage(log.read_bytes()))
    (tmp_path / "cut" / "study.sqlite-shm").unlink()
    assert read_study(tmp_path / "cut").settings == study.settings
