import csv
import json

import pytest
import torch

from lswag_fast.errors import InputError, LswagError, NonFiniteGradientError, StorageError
from lswag_fast.options import ScoreOptions
from lswag_fast.searching import search
from lswag_fast.study.budget import Budget
from lswag_fast.study.loop import FAILURES_BEFORE_STOP
from lswag_fast.study.storage import SQLiteStorage
from lswag_fast.study.stored import read_study
from study.toy_space import ToySpace, total_width


def rows(path):
    with (path / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def run(space=None, proxy=total_width, n_trials=60, **options):
    return search(space or ToySpace(), None, proxy=proxy, n_trials=n_trials, **options)


def fails_when(condition, error):
    def score(model, batch):
        if condition(total_width(model, batch)):
            raise error
        return total_width(model, batch)

    return score


def test_equal_runs_write_equal_tables(tmp_path):
    for name in ("a", "b"):
        run(storage=tmp_path / name, seed=5)
    volatile = {"elapsed_ms", "start_time"}
    a, b = ([{k: v for k, v in row.items() if k not in volatile} for row in rows(tmp_path / n)] for n in "ab")
    assert a == b
    assert len(a) == 60


def test_result_and_files_agree(tmp_path):
    result = run(storage=tmp_path, seed=2, budget=Budget(params="50..200"), metadata={"data": "none"})
    table = rows(tmp_path)
    assert result.path == tmp_path
    assert [int(row["number"]) for row in table] == list(range(60))
    assert float(max(table, key=lambda row: float(row["score"]))["score"]) == result.best.score
    stored = json.loads((tmp_path / "result.json").read_text())
    assert stored["best"][0]["arch"] == result.best.arch
    assert len(stored["best"]) == 10
    assert stored["counts"] == {"trials": 60, "complete": 60, "failed": 0}
    settings = stored["settings"]
    assert (settings["space"]["name"], settings["seed"], stored["metadata"]) == ("toy", 2, {"data": "none"})
    assert settings["budget"] == {"params": [50.0, 200.0]}
    assert settings["sampler"]["options"]["population"] == 50
    assert stored["versions"]["torch"] != "unknown"


def test_failing_candidates_are_recorded_and_never_ranked(tmp_path):
    # What is widest fails: it would win if it were ranked.
    score = fails_when(lambda width: width > 30, NonFiniteGradientError("layer 0: 3 of 8 gradients\nare NaN"))
    result = run(proxy=score, storage=tmp_path)
    failed = [trial for trial in result.trials if trial.state == "failed"]
    assert failed
    assert result.best.score == 30
    assert failed[0].error == "NonFiniteGradientError: layer 0: 3 of 8 gradients are NaN"
    assert len(rows(tmp_path)) == 60
    assert result.to_dict()["counts"]["failed"] == len(failed)


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), KeyError("bug"), ZeroDivisionError("no")])
def test_any_exception_is_a_failed_candidate(error, tmp_path):
    result = run(proxy=fails_when(lambda width: width > 30, error), storage=tmp_path)
    assert result.stopped == "finished"
    assert {type(error).__name__ in trial.error for trial in result.trials if trial.state == "failed"} == {True}
    results = SQLiteStorage(tmp_path).read()["result"].values()
    assert all("in score" in row[-1] for row in results if row[0] == "failed")


def test_stops_when_most_of_the_latest_trials_fail(tmp_path):
    narrow = fails_when(lambda width: width < 29, RuntimeError("narrow"))
    for _ in range(2):  # continuing does not wait for another hundred
        with pytest.raises(LswagError, match=r"\d\d of the last 100 trials failed.*the last: RuntimeError: narrow"):
            run(proxy=narrow, n_trials=500, sampler="random", storage=tmp_path)
        stored = read_study(tmp_path)
        assert (stored.status, len(stored.trials) < 110) == ("failed", True)


def test_stops_when_all_of_the_first_trials_fail(tmp_path):
    with pytest.raises(LswagError, match=f"all of the first {FAILURES_BEFORE_STOP} trials failed.*no kernel"):
        run(proxy=fails_when(lambda width: True, RuntimeError("no kernel")), storage=tmp_path)
    assert len(read_study(tmp_path).trials) == FAILURES_BEFORE_STOP
    with pytest.raises(LswagError, match="first 3 trials"):
        run(proxy=fails_when(lambda width: True, RuntimeError("no kernel")), n_trials=3)
    with pytest.raises(LswagError, match="first 2 trials"):
        run(ToySpace(1, 2), proxy=fails_when(lambda width: True, RuntimeError("no kernel")))


def test_a_refused_argument_stops_at_once(tmp_path):
    with pytest.raises(InputError, match="batch of 1"):
        run(proxy=fails_when(lambda width: True, InputError("batch of 1")), storage=tmp_path)
    assert read_study(tmp_path).trials == ()
    # The mistake corrected, the same folder serves.
    assert len(run(storage=tmp_path, seed=1).trials) == 60


def test_a_finished_run_is_left_as_it_is(tmp_path):
    asked = []

    def score(model, batch):
        asked.append(model)
        return total_width(model, batch)

    first = run(proxy=score, storage=tmp_path)
    before = {name: (tmp_path / name).stat() for name in ("trials.csv", "result.json")}
    again = run(proxy=score, n_trials=40, storage=tmp_path)
    assert (again.trials, again.stopped, again.n_trials_wanted) == (first.trials, "finished", 60)
    assert len(asked) == 60
    assert {name: (tmp_path / name).stat() for name in ("trials.csv", "result.json")} == before


def test_n_trials_is_the_total_and_a_longer_run_equals_one_go(tmp_path):
    for n_trials in (1, 7, 60, 130):
        result = run(storage=tmp_path / "steps", n_trials=n_trials)
        assert len(result.trials) == n_trials
    whole = run(n_trials=130)
    assert [(t.arch_json, t.score, t.origin) for t in result.trials] == [
        (t.arch_json, t.score, t.origin) for t in whole.trials
    ]
    assert json.loads((tmp_path / "steps" / "result.json").read_text())["n_trials_wanted"] == 130


def test_an_exhausted_search_is_left_as_it_is(tmp_path):
    for _ in range(2):
        result = run(ToySpace(1, 8), storage=tmp_path)
        assert (result.stopped, len(result.trials)) == ("exhausted", 8)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"batch": torch.ones(2)}, "scoring.batch_fingerprint was"),
        ({"weights": {"seed": torch.ones(1)}}, "scoring.weights_fingerprint was nothing"),
        ({"n_threads": 3}, "scoring.n_threads was 1, now 3"),
        ({"proxy": max}, 'scoring.function was "total_width", now "max"'),
        ({"sampler": "steady_state"}, 'sampler.name was "evolution", now "steady_state"'),
    ],
)
def test_what_decides_the_scores_is_compared(tmp_path, change, difference):
    usual = {"batch": torch.zeros(2), "proxy": total_width, "n_threads": 1, "storage": tmp_path, "n_trials": 2}
    search(ToySpace(), **usual)
    with pytest.raises(StorageError, match=difference):
        search(ToySpace(), **{**usual, "n_trials": 3, **change})


def test_where_the_data_lies_is_not_compared(tmp_path):
    run(storage=tmp_path, n_trials=2, metadata={"data": "here"})
    assert run(storage=tmp_path, n_trials=3, metadata={"data": "there"}).metadata["data"] == "here"


def test_a_front_holds_what_nothing_beats():
    result = run(n_trials=100)
    front = result.front("n_params")
    assert [trial.n_params for trial in front] == sorted(trial.n_params for trial in front)
    for trial in front:
        assert not [t for t in result.trials if t.n_params <= trial.n_params and t.score > trial.score]
    beaten = [t for t in result.trials if t not in front]
    for trial in beaten:
        assert [t for t in front if t.n_params <= trial.n_params and t.score >= trial.score]


def test_ctrl_c_keeps_what_is_there(tmp_path):
    def interrupt(study, trial):
        if trial.number == 6:
            raise KeyboardInterrupt

    result = run(storage=tmp_path, callbacks=[interrupt])
    assert result.stopped == "interrupted"
    assert len(result.trials) == len(rows(tmp_path)) == 7
    assert json.loads((tmp_path / "result.json").read_text())["stopped"] == "interrupted"


def test_ctrl_c_inside_a_score_drops_the_trial_in_flight():
    seen = []

    def score(model, batch):
        seen.append(model)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return 1.0

    assert len(run(proxy=score).trials) == 2


def test_exhausted_space_says_so():
    result = run(ToySpace(1, 8))
    assert (result.stopped, len(result.trials), result.best.score) == ("exhausted", 8, 8.0)


def test_callbacks_see_each_finished_trial():
    seen = []
    run(n_trials=4, callbacks=[lambda study, trial: seen.append((trial.number, trial.state, study.best.score))])
    assert [entry[:2] for entry in seen] == [(n, "complete") for n in range(4)]


def test_fresh_weights_come_from_the_seed_and_leave_the_generator_alone():
    def first_weight(model, batch):
        return next(model.parameters()).flatten()[0].item()

    before = torch.get_rng_state()
    a, b, c = (run(proxy=first_weight, n_trials=5, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert [t.score for t in a.trials] == [t.score for t in b.trials]
    assert [t.score for t in a.trials] != [t.score for t in c.trials]


class Super(ToySpace):
    """Draws its supernet once; a candidate must be built from it."""

    drawn = 0

    def init_weights(self, seed):
        self.drawn += 1
        return {"seed": torch.tensor(float(seed))}

    def build(self, arch, weights=None):
        model = super().build(arch)
        model.register_buffer("mark", weights["seed"])
        return model


def test_the_supernet_is_drawn_once():
    space = Super()
    result = run(space, proxy=lambda model, batch: model.mark, n_trials=5, seed=9)
    assert space.drawn == 1
    assert {trial.score for trial in result.trials} == {9.0}


def test_given_weights_replace_the_drawn_ones():
    space = Super()
    result = run(space, proxy=lambda model, batch: model.mark, n_trials=2, weights={"seed": torch.tensor(4.0)})
    assert (space.drawn, result.best.score) == (0, 4.0)


@pytest.mark.parametrize("bad", [{"n_trials": 0}, {"sampler": "tpe"}, {"options": ScoreOptions(chunk_size=4)}])
def test_bad_arguments(bad):
    with pytest.raises(InputError):
        run(**bad)
