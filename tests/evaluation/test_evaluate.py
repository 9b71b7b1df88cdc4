"""Scoring a table: rows, continuing after a cut, what is refused, workers that change nothing."""

from __future__ import annotations

import csv
import json
import math
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn

from evaluation.deadly_space import Deadly
from lswag_fast import score
from lswag_fast.errors import (
    InputError,
    NetworkFailedError,
    StorageError,
    TableError,
    WorkerLostError,
    ZeroVarianceError,
)
from lswag_fast.evaluation import evaluate
from lswag_fast.execution import WorkerProcesses
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.shared.initialisation import initialise
from lswag_fast.score_job import ScoreJob
from lswag_fast.spaces import NasBench201

SPACE = NasBench201(channels=4, cells_per_stage=1, image_size=8, num_classes=3)
BATCH = torch.randn(12, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 3
CELLS = [
    "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|skip_connect~2|",
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|none~1|nor_conv_1x1~2|",
    "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
    "|skip_connect~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|none~1|skip_connect~2|",
]
TABLE = pd.DataFrame({"accuracy": [90.5, 91.25, 10.0, 85.0]}, index=pd.Index(CELLS, name="arch"))
PROXIES = ("lswag", "params", "dss")


def job(**options: Any) -> ScoreJob:
    return ScoreJob(SPACE, BATCH, PROXIES, **{"mode": "eval", "weights": "fresh", **options})


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def without_times(path: Path) -> list[dict[str, str]]:
    return [{key: value for key, value in row.items() if key != "elapsed_s"} for row in rows_of(path)]


def test_a_row_has_the_tables_columns_and_the_scores(tmp_path: Path) -> None:
    out = tmp_path / "new" / "scores.csv"
    seen: list[tuple[int, int]] = []
    assert evaluate(job(), TABLE, out, callback=lambda done, total: seen.append((done, total))) == 4
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    rows = rows_of(out)
    assert list(rows[0]) == ["arch", "accuracy", *PROXIES, "coverage", "errors", "warnings", "elapsed_s"]
    assert [row["arch"] for row in rows] == CELLS
    assert [float(row["accuracy"]) for row in rows] == list(TABLE["accuracy"])
    assert [int(float(row["params"])) for row in rows] == [SPACE.n_params({"cell": cell}) for cell in CELLS]
    assert all(math.isnan(float(row["dss"])) and "dss" in row["errors"] for row in rows)


def test_the_score_is_that_of_the_network_built_from_the_seed(tmp_path: Path) -> None:
    n_threads = torch.get_num_threads()  # the bits of torch's gradients depend on it
    evaluate(job(seed=3, options=ScoreOptions(init="kaiming"), n_threads=n_threads), TABLE, tmp_path / "a.csv")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = SPACE.build({"cell": CELLS[1]}).eval()
    expected = score(initialise(model, "kaiming", 3), BATCH, seed=3).value
    assert float(rows_of(tmp_path / "a.csv")[1]["lswag"]) == expected


def test_it_goes_on_where_it_stopped_and_a_larger_n_adds(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.csv", tmp_path / "parts.csv"
    evaluate(job(), TABLE, whole, n=4)
    assert [evaluate(job(), TABLE, parts, n=n) for n in (2, 2, 3, 4)] == [2, 0, 1, 1]
    assert without_times(parts) == without_times(whole)


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_torn_row_is_cut_off_and_scored_again(tmp_path: Path, cut: int) -> None:
    whole, torn = tmp_path / "whole.csv", tmp_path / "torn.csv"
    evaluate(job(), TABLE, whole)
    evaluate(job(), TABLE, torn)
    torn.write_bytes(torn.read_bytes()[:-cut])
    assert evaluate(job(), TABLE, torn) == 1
    assert without_times(torn) == without_times(whole)


class WithoutRepr(NasBench201):
    """A space as users write them: what it shows of itself is its address."""

    __repr__ = object.__repr__


def test_a_space_that_shows_its_address_alone_resumes_too(tmp_path: Path) -> None:
    def spaces() -> WithoutRepr:
        return WithoutRepr(num_classes=3, image_size=8, channels=4, cells_per_stage=1)

    first, second = spaces(), spaces()
    evaluate(replace(job(), space=first), TABLE, tmp_path / "a.csv", n=1)
    assert repr(first) != repr(second)
    assert evaluate(replace(job(), space=second), TABLE, tmp_path / "a.csv", n=3) == 2


def test_workers_change_nothing_and_a_killed_one_neither(tmp_path: Path) -> None:
    evaluate(job(), TABLE, tmp_path / "one.csv")
    deadly = replace(job(), space=Deadly(CELLS[1], tmp_path / "killed"))
    with WorkerProcesses(2) as workers:
        assert evaluate(deadly, TABLE, tmp_path / "two.csv", executor=workers) == 4
    assert (tmp_path / "killed").exists()
    assert without_times(tmp_path / "one.csv") == without_times(tmp_path / "two.csv")


class LosesOne(Executor):
    """Runs everything at once, but for one cell of which the worker is lost."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if args[-1] == CELLS[1]:
            future.set_exception(WorkerLostError("its worker process ended 3 times"))
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def test_an_architecture_whose_worker_is_lost_has_a_row_without_values(tmp_path: Path) -> None:
    evaluate(job(), TABLE, tmp_path / "whole.csv")
    assert evaluate(job(), TABLE, tmp_path / "lost.csv", executor=LosesOne()) == 4
    expected, found = without_times(tmp_path / "whole.csv"), without_times(tmp_path / "lost.csv")
    lost = found.pop(1)
    assert lost["arch"] == expected.pop(1)["arch"] == CELLS[1]
    assert [lost[name] for name in PROXIES] == ["nan", "nan", "nan"]
    assert lost["errors"] == "all: WorkerLostError: its worker process ended 3 times"
    assert found == expected
    assert evaluate(job(), TABLE, tmp_path / "lost.csv") == 0


def test_a_network_that_cannot_be_scored_has_a_reason_and_warnings_are_kept(tmp_path: Path) -> None:
    evaluate(replace(job(mode="train"), proxies=("snip", "lswag")), TABLE, tmp_path / "a.csv")
    for row in rows_of(tmp_path / "a.csv"):
        assert "BatchNorm in train mode" in row["warnings"]
    elsewhere = BATCH[0], BATCH[1] + 1000  # labels that no network has
    evaluate(replace(job(), batch=elsewhere, proxies=("snip",)), TABLE, tmp_path / "b.csv")
    for row in rows_of(tmp_path / "b.csv"):
        assert math.isnan(float(row["snip"]))
        assert row["errors"].startswith("snip: ")


def test_a_batch_that_no_network_can_be_scored_with_is_refused_before_a_file_is_made(tmp_path: Path) -> None:
    same = BATCH[0][:1].expand(12, -1, -1, -1), BATCH[1] * 0
    with pytest.raises(ZeroVarianceError, match="all 12 samples"):
        evaluate(replace(job(), batch=same, proxies=("snip",)), TABLE, tmp_path / "new" / "b.csv")
    assert not (tmp_path / "new").exists()


class Unbuilt(NasBench201):
    """A space whose networks cannot be built."""

    def build(self, arch: Any, weights: Any = None) -> nn.Module:
        raise NetworkFailedError("no network")


def test_nothing_is_left_where_the_first_network_cannot_be_built(tmp_path: Path) -> None:
    space = Unbuilt(channels=4, cells_per_stage=1, image_size=8, num_classes=3)
    with pytest.raises(NetworkFailedError, match="no network"):
        evaluate(replace(job(), space=space), TABLE, tmp_path / "scores.csv")
    assert not list(tmp_path.glob("scores.csv*[!k]"))  # but for the lock, as after any run


def test_other_settings_are_refused_with_the_difference(tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    evaluate(job(), TABLE, out, n=1, settings={"data": "noise"})
    with pytest.raises(StorageError, match=r"was made with other settings: seed was 0, now 5; name another file"):
        evaluate(job(seed=5), TABLE, out, settings={"data": "noise"})
    with pytest.raises(StorageError, match='data was "noise", now "photos"'):
        evaluate(job(), TABLE, out, settings={"data": "photos"})
    out.with_name("scores.csv.json").write_text("{")
    with pytest.raises(StorageError, match=r"its settings .* cannot be read"):
        evaluate(job(), TABLE, out)
    out.with_name("scores.csv.json").unlink()
    with pytest.raises(StorageError, match="cannot be read"):
        evaluate(job(), TABLE, out)


def test_a_file_with_other_columns_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    evaluate(job(), TABLE, out, n=1)
    content = "arch,other\n"
    out.write_text(content)
    with pytest.raises(StorageError, match="has other columns"):
        evaluate(job(), TABLE, out)
    assert out.read_text() == content


def test_the_settings_are_json_beside_the_rows(tmp_path: Path) -> None:
    evaluate(job(options=ScoreOptions(pattern_samples=6)), TABLE, tmp_path / "a.csv", n=1, settings={"data": "noise"})
    settings = json.loads((tmp_path / "a.csv.json").read_text())
    assert settings["space"]["choices"] == repr(SPACE)
    assert (settings["data"], settings["mode"], settings["options"]) == ("noise", "eval", {"pattern_samples": 6})


def test_what_does_not_fit_is_refused_before_any_score(tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    with pytest.raises(TableError, match="has a column 'params', which is the name of a proxy"):
        evaluate(job(), TABLE.assign(params=1), out)
    with pytest.raises(TableError, match="has a column 'coverage', which an evaluation writes; rename it or leave it"):
        evaluate(job(), TABLE.assign(coverage=1), out)
    with pytest.raises(TableError, match="several columns of the table are named 'accuracy'; keep one"):
        evaluate(job(), pd.concat([TABLE, TABLE], axis=1), out)
    with pytest.raises(TableError, match=r"row 4 names '\|nor_conv.*' again"):
        evaluate(job(), TABLE.rename(index={CELLS[3]: CELLS[0]}), out)
    with pytest.raises(TableError, match=r"row 2, column 'arch': cell: found '\|bad\|'"):
        evaluate(job(), TABLE.rename(index={CELLS[1]: "|bad|"}), out)
    with pytest.raises(TableError, match="n is 5, the table has 4 architectures"):
        evaluate(job(), TABLE, out, n=5)
    with pytest.raises(InputError, match="did you mean 'snip'"):
        evaluate(replace(job(), proxies=("snipp",)), TABLE, out)
    with pytest.raises(InputError, match="name the parts of ranked proxies"):
        evaluate(replace(job(), proxies=("te_nas",)), TABLE, out)
    assert not out.exists()


def test_a_table_whose_values_changed_does_not_continue_the_file(tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    evaluate(job(), TABLE, out, n=2)
    before = out.read_bytes()
    with pytest.raises(StorageError, match=r"has accuracy [0-9.]+ there and [0-9.]+ in the table"):
        evaluate(job(), TABLE + 1, out, n=1)
    with pytest.raises(StorageError, match=r"has a row of '.*', which the table does not have"):
        evaluate(job(), TABLE.drop(index=rows_of(out)[0]["arch"]), out)
    assert out.read_bytes() == before
    assert [evaluate(job(), TABLE, out, n=n) for n in (1, None)] == [0, 2]


def test_a_second_writer_is_refused_and_disturbs_nothing(tmp_path: Path) -> None:
    refused: list[str] = []

    def try_again(done: int, total: int) -> None:
        with pytest.raises(StorageError, match=r"is being written by process \d+ on") as error:
            evaluate(job(), TABLE, tmp_path / "scores.csv")
        refused.append(str(error.value))

    assert evaluate(job(), TABLE, tmp_path / "scores.csv", callback=try_again) == 4
    assert len(refused) == 4
    assert [row["arch"] for row in rows_of(tmp_path / "scores.csv")] == CELLS
    assert evaluate(job(), TABLE, tmp_path / "scores.csv") == 0
