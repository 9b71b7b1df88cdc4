"""A comparison: who finds what, which images each may see, and continuing after a cut or a signal."""

import csv
import signal
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from lswag_fast.errors import BudgetError, InputError, StorageError
from lswag_fast.libra.stored import Selection
from lswag_fast.study.budget import Budget, Window
from lswag_fast.study.stored import read_study
from lswag_fast.training.accuracy import Accuracy
from lswag_fast.training.compare import Comparison, _scoring, compare
from lswag_fast.training.inherited import inherited_accuracy_job
from lswag_fast.training.methods import chosen_methods
from training import kills
from training.small_space import LOUD_WEIGHTS, SPACE, digits

METHODS = chosen_methods(selection=Selection(("params", "l2_norm"), "log_rank", {}), has_supernet=True)
FEW = chosen_methods(["random", "params"])


class Trainer:
    """Finds wide networks accurate; `stops_at` is the training during which a signal comes."""

    def __init__(self, stops_at=None):
        self.trained = []
        self.stops_at = stops_at

    def __call__(self, arch, folder, seed):
        if len(self.trained) == self.stops_at:
            self.stops_at = None
            return None
        self.trained.append((folder.parent.name, seed))
        return SimpleNamespace(validation=None, test=Accuracy(arch["embed_dim"], 50))

    def settings(self):
        return {"epochs": 1}


@pytest.fixture(scope="module")
def comparison():
    return Comparison(SPACE, digits(), Budget(), n_trials=4, batch_size=24, weights=LOUD_WEIGHTS)


def rows_of(folder):
    with (folder / "comparison.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def without_times(rows):
    return [{name: value for name, value in row.items() if name != "search_s"} for row in rows]


def test_each_method_has_a_row_for_each_seed(tmp_path, comparison):
    trainer = Trainer()
    said = []
    assert compare(comparison, METHODS, [1], trainer, tmp_path, callback=lambda *what: said.append(what))
    rows = rows_of(tmp_path)
    assert [row["run"] for row in rows] == [f"{method.name}-1" for method in METHODS]
    assert trainer.trained == [(row["run"], int(row["seed"])) for row in rows]
    for row in rows:
        arch = SPACE.decode(row["arch"])
        assert int(row["n_params"]) == SPACE.n_params(arch)
        assert int(row["n_trials"]) == (1 if row["method"] == "random" else 4)
        low, high = Accuracy(arch["embed_dim"], 50).interval
        found = [float(row[name]) for name in ("test_accuracy", "test_accuracy_low", "test_accuracy_high")]
        assert found == [arch["embed_dim"] / 50, low, high]
    assert said[0] == ("random, seed 1: searching", 0, 7)
    assert said[-1] == ("done", 7, 7)


def test_each_finds_the_best_by_its_own_score(tmp_path, comparison):
    compare(comparison, chosen_methods(["inherited_accuracy", "params"], has_supernet=True), [3], Trainer(), tmp_path)
    by_accuracy, by_size = rows_of(tmp_path)
    trials = read_study(tmp_path / "params-3" / "search").trials
    assert int(by_size["n_params"]) == max(trial.n_params for trial in trials)
    job = inherited_accuracy_job(SPACE, LOUD_WEIGHTS, comparison.images)
    trials = read_study(tmp_path / "inherited_accuracy-3" / "search").trials
    assert job(by_accuracy["arch"])["score"] == max(job(trial.arch_json)["score"] for trial in trials)


def test_only_images_to_train_on_are_scored_and_each_seed_sees_others(comparison):
    scoring = [_scoring(comparison, FEW[1], seed)["batch"] for seed in (0, 1)]
    pixels, labels = comparison.images.train.tensors()
    for images, targets in scoring:
        places = [int((pixels == image).all((1, 2, 3)).nonzero()[0]) for image in images]
        assert labels[places].tolist() == targets.tolist()
    assert not torch.equal(scoring[0][0], scoring[1][0])


def test_the_budget_holds_for_all(tmp_path, comparison):
    sizes = sorted(SPACE.n_params_values())
    budget = Budget(params=Window(hi=sizes[len(sizes) // 2]))
    methods = chosen_methods(["random", "inherited_accuracy", "params"], has_supernet=True)
    compare(replace(comparison, budget=budget), methods, [0], Trainer(), tmp_path)
    assert all(int(row["n_params"]) <= sizes[len(sizes) // 2] for row in rows_of(tmp_path))


def test_a_trainer_that_leaves_the_test_split_unseen_is_refused(tmp_path, comparison):
    class Unseeing(Trainer):
        def __call__(self, arch, folder, seed):
            return SimpleNamespace(test=None)

    with pytest.raises(InputError, match="train: leaves the test split unseen"):
        compare(comparison, FEW, [0], Unseeing(), tmp_path)


@pytest.mark.parametrize("stops_at", [0, 1, 3])
def test_it_goes_on_where_it_stopped(tmp_path, comparison, stops_at):
    compare(comparison, FEW, [0, 1], Trainer(), tmp_path / "whole")
    trainer = Trainer(stops_at)
    assert not compare(comparison, FEW, [0, 1], trainer, tmp_path / "parts")
    assert len(rows_of(tmp_path / "parts")) == stops_at
    assert compare(comparison, FEW, [0, 1], trainer, tmp_path / "parts")
    assert without_times(rows_of(tmp_path / "parts")) == without_times(rows_of(tmp_path / "whole"))
    assert trainer.trained == [("random-0", 0), ("params-0", 0), ("random-1", 1), ("params-1", 1)]


@pytest.mark.slow
def test_a_kill_at_any_moment_changes_nothing(tmp_path, images):
    """In a search, in a training, between them: the same rows but for the times, and the same weights."""
    seconds = kills.seconds_of(kills.compare_two, tmp_path / "whole", images)
    ends = kills.killed_often(kills.compare_two, tmp_path / "killed", images, seconds)
    assert -signal.SIGPROF in ends
    assert without_times(rows_of(tmp_path / "killed")) == without_times(rows_of(tmp_path / "whole"))
    for run in ("inherited_accuracy-0", "params-0"):
        whole, killed = (
            (tmp_path / name / run / "train" / "weights.safetensors").read_bytes() for name in ("whole", "killed")
        )
        assert killed == whole


def test_a_signal_ends_it_after_the_candidate_that_is_running(tmp_path, comparison):
    def at_the_second(text, done, total):
        if done == 1:
            signal.raise_signal(signal.SIGINT)

    trainer = Trainer()
    assert not compare(comparison, FEW, [0], trainer, tmp_path, callback=at_the_second)
    assert [name for name, _ in trainer.trained] == ["random-0"]
    assert compare(comparison, FEW, [0], trainer, tmp_path)


def test_more_methods_and_seeds_add_to_it_and_other_settings_are_refused(tmp_path, comparison):
    compare(comparison, FEW[:1], [0], Trainer(), tmp_path)
    compare(comparison, FEW, [0, 1], Trainer(), tmp_path)
    assert len(rows_of(tmp_path)) == 4
    with pytest.raises(StorageError, match=r"other settings: n_trials was .*; name another folder"):
        compare(replace(comparison, n_trials=5), FEW, [0], Trainer(), tmp_path)


def test_libra_by_another_selection_is_refused_where_one_was_run(tmp_path, comparison):
    first, other = (
        chosen_methods(["libra"], selection=Selection(("params", "l2_norm"), "log_rank", {}, weights=weights))
        for weights in (None, (1.0, -1.0))
    )
    trainer = Trainer()
    compare(comparison, first, [0], trainer, tmp_path)
    before = rows_of(tmp_path)
    with pytest.raises(
        StorageError, match=r"libra-0/search was .* another selection: weights was nothing, now \[1.0, -1.0\]"
    ):
        compare(comparison, other, [0], trainer, tmp_path)
    assert compare(comparison, [*first, *FEW], [0], trainer, tmp_path)
    assert rows_of(tmp_path)[:1] == before and [name for name, _ in trainer.trained].count("libra-0") == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch_size": 1}, "batch_size: found 1, expected 2 to 1439"),
        ({"batch_size": 5000}, "batch_size: found 5000, expected 2 to 1439"),
        ({"weights": None}, "inherited_accuracy needs the weights of a trained supernet"),
        ({"budget": Budget(params="..10")}, "no architecture of autoformer has params ..10"),
        ({"budget": Budget(macs="..10")}, "no architecture of autoformer with macs ..10 was found"),
    ],
)
def test_what_cannot_be_compared_leaves_nothing(tmp_path, comparison, changed, message):
    with pytest.raises((InputError, BudgetError), match=message):
        compare(replace(comparison, **changed), METHODS, [0], Trainer(), tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("file", ["settings.json", "study.sqlite", "weights.safetensors", "photo.png"])
def test_a_folder_of_something_else_is_left_as_it_is(tmp_path, comparison, file):
    (tmp_path / file).write_text("mine")
    with pytest.raises(StorageError, match="is not empty and holds no comparison; name a new folder"):
        compare(comparison, FEW, [0], Trainer(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [file]


def test_a_comparison_that_was_killed_while_it_began_is_continued(tmp_path, comparison):
    for name in ("comparison.csv.lock", "comparison.csv.json", "comparison.csv.json.part", "comparison.csv.part"):
        (tmp_path / name).write_text("")
    assert compare(comparison, FEW[:1], [0], Trainer(), tmp_path)
