import csv
import json

import pandas as pd
import pytest
import torch

from lswag_fast import rank_aggregate, score
from lswag_fast.errors import InputError, LswagWarning, SpaceError, StorageError
from lswag_fast.execution import WorkerProcesses
from lswag_fast.options import ScoreOptions
from lswag_fast.searching import search
from lswag_fast.spaces import AutoFormer
from lswag_fast.study.budget import Budget
from lswag_fast.study.storage import Record, SQLiteStorage
from lswag_fast.study.stored import read_study
from study.toy_space import ToySpace, total_width


def rows(path):
    with (path / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def run(space=None, proxy=total_width, n_trials=60, **options):
    return search(space or ToySpace(), None, proxy=proxy, n_trials=n_trials, **options)


def test_equal_runs_write_equal_tables(tmp_path):
    for name in ("a", "b"):
        run(storage=tmp_path / name, seed=5)
    volatile = {"elapsed_ms", "start_time"}
    a, b = ([{k: v for k, v in row.items() if k not in volatile} for row in rows(tmp_path / n)] for n in "ab")
    assert a == b
    assert len(a) == 60


@pytest.mark.parametrize("weights", [["1", "2"], "12", [True, 1.0], {1.0, 2.0}, 3, [None, 1.0], [10**400, 1.0]])
def test_rank_weights_that_are_no_list_of_numbers_are_refused(weights):
    with pytest.raises(InputError, match="rank weights must be a number other than 0 for each of nwot, params"):
        run(proxy=["nwot", "params"], rank_weights=weights, n_trials=1)
    with pytest.raises(InputError, match="combine must be one of log_rank"):
        run(proxy=["nwot", "params"], rank_weights=weights, combine="borda", n_trials=1)


def test_result_and_files_agree(tmp_path):
    result = run(storage=tmp_path, seed=2, budget=Budget(params="50..200"), metadata={"data": "none"})
    table = rows(tmp_path)
    assert result.path == tmp_path
    assert [int(row["number"]) for row in table] == list(range(60))
    assert float(max(table, key=lambda row: float(row["score"]))["score"]) == result.best.score
    stored = json.loads((tmp_path / "result.json").read_text())
    assert stored["best"][0]["arch"] == result.best.arch
    assert len(stored["best"]) == 10
    assert stored["counts"] == {"trials": 60, "complete": 60, "failed": 0, "isomorphic": 0}
    settings = stored["settings"]
    assert (settings["space"]["name"], settings["seed"], stored["metadata"]) == ("toy", 2, {"data": "none"})
    assert settings["budget"] == {"params": [50.0, 200.0]}
    assert settings["sampler"]["options"]["population"] == 50
    assert stored["versions"]["torch"] != "unknown"


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"batch": torch.ones(2)}, "the batch is another"),
        ({"weights": {"seed": torch.ones(1)}}, "the weights that the networks are cut out of are others"),
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


def test_mode_and_initialisation_reach_the_networks_and_belong_to_the_study(tmp_path):
    def seen(model, batch):
        return float(not model.training and model[0].weight.std() < 0.1)  # N(0, 0.02^2), not 1/sqrt(2)

    usual = {"proxy": seen, "n_trials": 2, "storage": tmp_path, "init": "normal"}
    result = run(mode="eval", **usual)
    assert [trial.score for trial in result.trials] == [1.0, 1.0]
    with pytest.raises(StorageError, match=r'scoring\.mode was "eval", now "train"'):
        run(mode="train", **usual)


def test_a_budget_on_latency_is_measured():
    class Runs(ToySpace):
        def build(self, arch, weights=None):
            return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, arch["widths"][0]))

    result = run(Runs(), n_trials=3, budget=Budget(latency_ms="..60000"))
    assert all(0 < trial.latency_ms < 60000 for trial in result.trials)


@pytest.mark.parametrize(
    "bad",
    [
        {"n_trials": 0},
        {"n_trials": "3"},
        {"proxy": 3},
        {"sampler": "tpe"},
        {"sampler": 3},
        {"callbacks": print},
        {"options": ScoreOptions(chunk_size=4)},
        {"mode": "test"},
    ],
)
def test_bad_arguments(bad):
    with pytest.raises(InputError):
        run(**bad)


def test_what_is_no_space_and_no_budget_is_refused_before_a_study_is_begun(tmp_path):
    with pytest.raises(SpaceError, match="found the class ToySpace"):
        run(space=ToySpace, storage=tmp_path / "run")
    with pytest.raises(InputError, match=r"budget must be a Budget, such as .*, got '\.\.5M'"):
        run(budget="..5M", storage=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("bad", [{"seed": -1}, {"n_threads": 10**8}, {"options": ScoreOptions(pattern_samples=99)}])
def test_what_no_candidate_can_be_scored_with_is_refused_before_a_study_is_begun(tmp_path, bad):
    batch = torch.eye(4), torch.arange(4)
    with pytest.raises(InputError):
        search(ToySpace(), batch, n_trials=3, storage=tmp_path / "run", **bad)
    assert not (tmp_path / "run").exists()


def test_a_job_that_cannot_be_sent_is_refused_before_a_study_is_begun(tmp_path):
    with (
        WorkerProcesses(2) as workers,
        pytest.raises(InputError, match="the job cannot be sent to a worker") as refused,
    ):
        run(proxy=lambda model, batch: 1.0, storage=tmp_path / "run", executor=workers)
    assert len(str(refused.value)) < 500  # no repr of the batch
    assert not (tmp_path / "run").exists()


def test_a_study_that_is_continued_with_a_nameless_function_says_so(tmp_path):
    width = lambda model, batch: float(batch is None)  # noqa: E731  (it is about lambdas)
    run(proxy=width, n_trials=2, storage=tmp_path)
    with pytest.warns(LswagWarning, match=r"is continued with .*<lambda>: .* has no name of its own") as caught:
        run(proxy=width, n_trials=3, storage=tmp_path)
    assert [warning.filename for warning in caught] == [__file__]


SMALL = AutoFormer(
    embed_dim=(16, 32), depth=(1, 2, 3), num_heads=(1, 2), mlp_ratio=(1, 2), image_size=8, patch_size=4, num_classes=3
)
BATCH = torch.randn(12, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 3
EXACT = {"options": ScoreOptions(fidelity="exact")}


def searched(n_trials=24, **options):
    return search(SMALL, BATCH, n_trials=n_trials, sampler="random", n_threads=torch.get_num_threads(), **options)


def test_a_search_is_fast_and_names_the_best_by_exact_scores():
    result, weights = searched(), SMALL.init_weights(0)
    finalists = sorted(result.trials, key=lambda trial: -trial.score)[:20]
    for trial in (finalists[0], finalists[-1]):
        model = SMALL.build(trial.arch, weights)
        assert (trial.score, trial.exact_score) == tuple(
            score(model, BATCH, fidelity=fidelity).value for fidelity in ("fast", "exact")
        )
    assert result.best == max(finalists, key=lambda trial: trial.exact_score)
    assert [trial.exact_score is None for trial in result.trials].count(True) == 4
    assert (result.settings.n_finalists, result.settings.scoring.options) == (
        20,
        {"fidelity": "fast", "gradient_samples": 4},
    )
    exact = searched(**EXACT)
    assert (exact.settings.n_finalists, exact.settings.scoring.options, exact.finalists) == (0, {}, [])
    assert all(exact.trials[trial.number].score == trial.exact_score for trial in finalists)
    assert "exact_score" not in exact.columns


def test_a_study_goes_on_at_the_fidelity_that_it_was_begun_with(tmp_path):
    searched(3, storage=tmp_path / "exact", **EXACT)
    result = searched(5, storage=tmp_path / "exact")
    assert (result.settings.n_finalists, {trial.exact_score for trial in result.trials}) == (0, {None})
    searched(3, storage=tmp_path / "fast")
    with pytest.raises(StorageError, match=r'scoring\.options\.fidelity was "fast", now nothing'):
        searched(5, storage=tmp_path / "fast", **EXACT)
    assert searched(5, storage=tmp_path / "fast").settings.n_finalists == 20
    with pytest.raises(StorageError, match=r'scoring\.options\.fidelity was nothing, now "fast"'):
        searched(5, storage=tmp_path / "exact", options=ScoreOptions(fidelity="fast"))


def test_finalists_in_workers_have_the_scores_of_this_process():
    with WorkerProcesses(2) as workers:
        found = searched(8, executor=workers, proxy=("lswag", "nwot"))
    here = searched(8, proxy=("lswag", "nwot"))
    assert [(t.score, t.exact_score, t.exact_values) for t in found.trials] == [
        (t.score, t.exact_score, t.exact_values) for t in here.trials
    ]
    wanted = rank_aggregate(pd.DataFrame([t.exact_values for t in here.trials])[["lswag", "nwot"]])
    assert [t.exact_score for t in here.trials] == pytest.approx(wanted.tolist(), rel=1e-12)


def small_vits():
    choices = {"embed_dim": (16, 32), "depth": (1, 2), "num_heads": (1, 2), "mlp_ratio": (1, 2)}
    return AutoFormer(**choices, image_size=8, patch_size=4, num_classes=10)


def images(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(4, 3, 8, 8, generator=generator), torch.arange(4)


def test_the_best_are_scored_again_with_other_batches_and_weights(tmp_path):
    space, repeats = small_vits(), [images(seed) for seed in (1, 2)]
    given = {"proxy": ["nwot", "params"], "n_trials": 4, "sampler": "random", "seed": 3, "storage": tmp_path}
    options = ScoreOptions(pattern_samples=4)
    plain = search(space, images(0), **given, options=options)
    assert (plain.repeats, plain.rank_intervals()) == (None, {})
    result = search(space, images(0), **given, options=options, repeats=repeats)
    assert list(result.repeats) == [trial.number for trial in result.top()]
    best = result.best
    expected = [
        float(score(space.build(best.arch, space.init_weights(3 + k)), batch, proxy="nwot", seed=3 + k))
        for k, batch in enumerate(repeats, 1)
    ]
    assert result.repeats[best.number]["nwot"] == pytest.approx(expected)
    intervals = result.rank_intervals()
    assert sorted(intervals) == sorted(result.repeats)
    assert all(1 <= found.best <= found.worst <= 4 for found in intervals.values())
    stored = read_study(tmp_path)
    assert stored.repeats == result.repeats
    assert [trial.score for trial in stored.trials] == [trial.score for trial in plain.trials]


def test_repeats_of_other_batches_replace_those_that_are_stored(tmp_path):
    given = {"proxy": "nwot", "n_trials": 3, "sampler": "random", "options": ScoreOptions(pattern_samples=4)}

    def repeated(storage, *seeds):
        return search(small_vits(), images(0), storage=storage, repeats=[images(k) for k in seeds], **given).repeats

    repeated(tmp_path / "a", 1, 2)
    for place, seeds in enumerate([(1, 2, 3), (4, 5, 6), (5, 4, 6)]):
        found = repeated(tmp_path / "a", *seeds)
        assert found == repeated(tmp_path / f"new{place}", *seeds)
        assert {len(values["nwot"]) for values in found.values()} == {3}
        assert read_study(tmp_path / "a").repeats == found
    storage = SQLiteStorage(tmp_path / "a")
    storage.open()
    storage.write([Record("attr", "repeats_of", None), Record("attr", "repeats", {"0": {"nwot": [1.0, 2.0, 3.0]}})])
    storage.close()  # as an earlier version left it
    assert repeated(tmp_path / "a", 5, 4, 6) == found


def test_one_repeat_or_repeats_of_a_function_are_refused(tmp_path):
    with pytest.raises(InputError, match="repeats are two batches or more, for proxies given by name"):
        search(small_vits(), images(0), n_trials=1, repeats=[images(1)], storage=tmp_path / "none")
    with pytest.raises(InputError, match="repeats are two batches or more"):
        run(n_trials=1, repeats=[images(1), images(2)])
    assert not (tmp_path / "none").exists()
