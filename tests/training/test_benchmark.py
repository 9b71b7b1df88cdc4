"""A benchmark table: its rows, continuing after a cut, workers that change nothing, and who reads it."""

import csv
import json
import math
import signal
from concurrent.futures import Executor, Future
from dataclasses import replace

import pytest
import torch

from lswag_fast.data.tables import read_table
from lswag_fast.errors import InputError, StorageError, WorkerLostError
from lswag_fast.evaluation import evaluate
from lswag_fast.execution import WorkerProcesses
from lswag_fast.score_job import ScoreJob
from lswag_fast.training.accuracy import Accuracy
from lswag_fast.training.benchmark import benchmark
from lswag_fast.training.drawing import draw_by_size
from lswag_fast.training.inherited import inherited_accuracy_job
from training import kills
from training.small_space import LOUD_WEIGHTS, SPACE, digits, plain_accuracy

N_IMAGES = 60


@pytest.fixture(scope="module")
def job():
    return inherited_accuracy_job(SPACE, LOUD_WEIGHTS, digits(), n_images=N_IMAGES)


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_says_how_large_and_how_good(tmp_path, job):
    seen = []
    assert benchmark(job, tmp_path / "t.csv", 4, seed=3, callback=lambda done, total: seen.append((done, total))) == 4
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    rows = rows_of(tmp_path / "t.csv")
    assert [row["arch"] for row in rows] == draw_by_size(SPACE, 4, seed=3)
    for row in rows:
        arch = SPACE.decode(row["arch"])
        expected = plain_accuracy(arch, *job.batch)
        low, high = Accuracy(round(expected * N_IMAGES), N_IMAGES).interval
        assert float(row["inherited_accuracy"]) == expected
        assert (float(row["inherited_accuracy_low"]), float(row["inherited_accuracy_high"])) == (low, high)
        assert (int(row["embed_dim"]), int(row["depth"])) == (arch["embed_dim"], arch["depth"])
        assert (int(row["n_params"]), int(row["n_macs"])) == (SPACE.n_params(arch), SPACE.macs(arch))
        assert (int(row["n_images"]), row["failure"]) == (N_IMAGES, "")


@pytest.mark.parametrize("cut", [0, 1, 30])
def test_it_goes_on_where_it_stopped_and_a_larger_n_adds(tmp_path, job, cut):
    benchmark(job, tmp_path / "whole.csv", 5)
    benchmark(job, tmp_path / "parts.csv", 3)
    content = (tmp_path / "parts.csv").read_bytes()
    (tmp_path / "parts.csv").write_bytes(content[: len(content) - cut])
    assert benchmark(job, tmp_path / "parts.csv", 5) == (2 if cut == 0 else 3)
    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_a_kill_at_any_moment_changes_nothing(tmp_path, images):
    seconds = kills.seconds_of(kills.measure, tmp_path / "whole", images)
    ends = kills.killed_often(kills.measure, tmp_path / "killed", images, seconds)
    assert -signal.SIGPROF in ends
    assert (tmp_path / "killed" / "table.csv").read_bytes() == (tmp_path / "whole" / "table.csv").read_bytes()


def test_workers_change_nothing(tmp_path, job):
    benchmark(job, tmp_path / "one.csv", 4)
    with WorkerProcesses(2) as workers:
        benchmark(job, tmp_path / "two.csv", 4, executor=workers)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_a_dask_cluster_changes_nothing(tmp_path, job):
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed (the extra `dask`)")
    benchmark(job, tmp_path / "one.csv", 4)
    in_threads = {"processes": False, "n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.Client(**in_threads, set_as_default=False) as client:
        benchmark(job, tmp_path / "two.csv", 4, executor=client)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_other_settings_are_refused(tmp_path, job):
    benchmark(job, tmp_path / "t.csv", 1)
    other = replace(job, weights={name: tensor + 1 for name, tensor in LOUD_WEIGHTS.items()})
    with pytest.raises(StorageError, match="was made with other settings: weights"):
        benchmark(other, tmp_path / "t.csv", 2)
    with pytest.raises(StorageError, match="seed"):
        benchmark(job, tmp_path / "t.csv", 2, seed=1)


def test_other_images_are_told_by_their_number(tmp_path, job):
    benchmark(job, tmp_path / "t.csv", 1)
    fewer = replace(job, batch=tuple(tensor[:20] for tensor in job.batch))
    with pytest.raises(StorageError, match="was made with other settings: n_images was 60, now 20; images was"):
        benchmark(fewer, tmp_path / "t.csv", 2)


def test_a_table_of_before_the_number_of_images_was_stored_goes_on(tmp_path, job):
    benchmark(job, tmp_path / "t.csv", 1)
    beside = tmp_path / "t.csv.json"
    settings = json.loads(beside.read_bytes())
    del settings["n_images"]
    beside.write_text(json.dumps(settings))
    assert benchmark(job, tmp_path / "t.csv", 2) == 1
    fewer = replace(job, batch=tuple(tensor[:20] for tensor in job.batch))
    with pytest.raises(StorageError, match="was made with other settings: images was"):
        benchmark(fewer, tmp_path / "t.csv", 3)


def test_a_network_of_nan_is_a_row_without_accuracy(tmp_path, job):
    broken = {**LOUD_WEIGHTS, "blocks.2.fc1.weight": LOUD_WEIGHTS["blocks.2.fc1.weight"] * math.nan}
    benchmark(replace(job, weights=broken), tmp_path / "t.csv", 10)
    rows = rows_of(tmp_path / "t.csv")
    failed = [row for row in rows if row["failure"]]
    assert {row["depth"] for row in failed} == {"3"} and len(failed) < len(rows)
    assert all(math.isnan(float(row["inherited_accuracy"])) for row in failed)
    assert "NonFiniteOutputError: the network's outputs are NaN" in failed[0]["failure"]


class LosesAll(Executor):
    """Loses the worker of each architecture."""

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        future.set_exception(WorkerLostError("lost"))
        return future


def test_an_architecture_whose_worker_is_lost_is_a_row_too(tmp_path, job):
    assert benchmark(job, tmp_path / "t.csv", 2, executor=LosesAll()) == 2
    assert [row["failure"] for row in rows_of(tmp_path / "t.csv")] == ["WorkerLostError: lost"] * 2


def test_evaluate_reads_it(tmp_path, job):
    benchmark(job, tmp_path / "t.csv", 3)
    batch = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(8)
    scoring = ScoreJob(SPACE, batch, ("params", "flops"), weights="fresh")
    assert evaluate(scoring, read_table(tmp_path / "t.csv"), tmp_path / "scores.csv") == 3
    found = read_table(tmp_path / "scores.csv")
    assert list(found["params"]) == list(found["n_params"])
    assert list(found["flops"]) == list(found["n_macs"])


def test_more_than_the_space_has_is_refused_before_anything_is_written(tmp_path, job):
    with pytest.raises(InputError, match="the space autoformer has"):
        benchmark(job, tmp_path / "t.csv", 10**9)
    assert not list(tmp_path.iterdir())
