"""`lswag-fast evaluate`."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lswag_fast import tasks
from lswag_fast.cli import main
from lswag_fast.cli.commands.evaluate import _say_warnings
from lswag_fast.integrations import Nb301Surrogate
from lswag_fast.spaces import Darts, NasBench201
from lswag_fast.spaces.transnas.base import OUTPUTS
from support.stand_ins import nb301

FACTORY = """
from lswag_fast.spaces import Darts, NasBench201

def make():
    return NasBench201(channels=4, cells_per_stage=1, image_size=8, num_classes=3)
"""
EVALUATE = ["evaluate", "tiny_cells:make", "--table", "table.csv", "--data", "synthetic", "--batch-size", "12"]
COMPARED = [*EVALUATE, "--out", "a.csv", "--target", "accuracy"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rng = random.Random(0)
    space = NasBench201()
    cells = list(dict.fromkeys(space.sample(rng)["cell"] for _ in range(14)))
    table = pd.DataFrame({"accuracy": np.linspace(50, 90, len(cells))}, index=pd.Index(cells, name="arch"))
    table.to_csv(tmp_path / "table.csv")
    (tmp_path / "tiny_cells.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_larger_number_adds_to_the_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [*EVALUATE, "--proxies", "params,flops,l2_norm", "--mode", "eval", "--out", "scores.csv"]
    assert main([*command, "--trials", "11"]) == 0
    assert "scored 11 architectures; all rows: scores.csv" in capsys.readouterr().out
    assert main(command) == 0
    assert "scored 3 architectures;" in capsys.readouterr().out


def test_a_table_with_other_accuracies_does_not_continue_the_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*EVALUATE, "--proxies", "params", "--out", "scores.csv"]
    assert main([*command, "--trials", "3"]) == 0
    table = pd.read_csv("table.csv", index_col="arch")
    (table + 1).to_csv("table.csv")
    capsys.readouterr()
    assert main(command) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1
    assert "has accuracy" in err and "in the table; name another file" in err
    table.to_csv("table.csv")
    assert main(command) == 0


def test_the_scores_are_compared_with_a_target(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [*EVALUATE, "--proxies", "params,flops", "--target", "accuracy", "--out", "scores.csv"]
    assert main([*command, "--window", "params:90%"]) == 0
    out = capsys.readouterr().out
    assert "accuracy:" in out and "inside windows of params +-90 %" in out
    assert main(["correlate", "scores.csv", "--target", "accuracy", "--window", "params:90%"]) == 0
    assert capsys.readouterr().out in out


def test_a_warning_of_the_rows_is_said_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [*EVALUATE, "--proxies", "l2_norm,grad_norm,lswag", "--out", "scores.csv"]
    assert main(command) == 0
    rows = pd.read_csv("scores.csv")
    counts = rows["warnings"].str.split("; ").explode().value_counts()
    assert counts.iloc[0] > 1  # BatchNorm in train mode makes the samples depend on each other
    err = capsys.readouterr().err
    for text, count in counts.iloc[:5].items():
        assert err.count(f"warning: {count} of {len(rows)} architectures: {text}\n") == 1


def test_a_warning_beside_others_is_counted_over_all_rows(capsys: pytest.CaptureFixture[str]) -> None:
    _say_warnings(pd.DataFrame({"warnings": ["a norm", "a norm; layer 1", "layer 2; a norm", np.nan]}))
    first, *others = (line.partition("warning: ")[2] for line in capsys.readouterr().err.splitlines())
    assert first == "3 of 4 architectures: a norm"
    assert sorted(others) == ["1 of 4 architectures: layer 1", "1 of 4 architectures: layer 2"]
    _say_warnings(pd.DataFrame({"warnings": [np.nan, np.nan]}))
    assert capsys.readouterr().err == ""


def test_more_warnings_than_can_be_read_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    texts = [f"layer {number}" for number in range(8)]
    _say_warnings(pd.DataFrame({"warnings": [*texts, "layer 3", np.nan]}))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "lswag-fast: warning: 2 of 10 architectures: layer 3"
    assert len(lines) == 6
    assert lines[-1] == "lswag-fast: warning: 3 other warnings are in the column warnings"


def test_a_proxy_without_any_value_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [*EVALUATE, "--proxies", "params,head_confidence", "--trials", "2", "--out", "scores.csv"]
    assert main(command) == 0
    words = (
        "no architecture has a value of head_confidence; the first row's errors: head_confidence: head_confidence needs"
    )
    assert words in capsys.readouterr().err


def test_workers_give_the_same_rows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder))  # where the workers look for the space, too
    command = [*EVALUATE, "--proxies", "params,l2_norm", "--mode", "eval", "--trials", "5"]
    assert main([*command, "--out", "one.csv"]) == 0
    assert main([*command, "--out", "two.csv", "--workers", "2"]) == 0
    one, two = (pd.read_csv(name).drop(columns="elapsed_s") for name in ("one.csv", "two.csv"))
    pd.testing.assert_frame_equal(one, two)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([*EVALUATE, "--out", "a.csv", "--key", "cell"], "no column 'cell' names the architectures; there are arch"),
        (
            [*EVALUATE, "--out", "a.parquet"],
            "--out: the rows are written as CSV; name a file that ends in .csv",
        ),
        ([*EVALUATE, "--out", "a.csv", "--trials", "99"], "--trials is 99, the table has 14"),
        ([*EVALUATE, "--out", "a.csv", "--target", "loss"], "--target: no column 'loss'"),
        ([*EVALUATE, "--out", "a.csv", "--within", "depth"], "one depth: name what to compare the scores with there"),
        ([*EVALUATE, "--out", "a.csv", "--target", "accuracy", "--within", "depth"], "no column 'depth' to compare"),
        ([*COMPARED, "--trials", "5"], "--target: 5 of 5 rows are finite, at least 10 are needed"),
        ([*COMPARED, "--window", "accuracy:2%"], "no window of accuracy +-2 % holds 10 architectures"),
        (
            [*EVALUATE, "--out", "a.csv", "--init", "lecun"],
            "--init: init must be one of 'own', 'kaiming'",
        ),
        ([*EVALUATE, "--out", "a.csv", "--proxies", "lswag,magik"], "there is no proxy 'magik'"),
        ([*EVALUATE, "--out", "a.csv", "--workers", "2", "--dask", "tcp://host:1"], "--dask: not allowed with"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    folder: Path, capsys: pytest.CaptureFixture[str], argv: list[str], words: str
) -> None:
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert words in err
    assert not Path("a.csv").exists()


@pytest.mark.parametrize("task", OUTPUTS)
def test_networks_of_every_column_of_transnas_are_scored_by_its_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], task: str
) -> None:
    lines = "from lswag_fast.spaces import TransNasMicro\n"
    lines += f"make = lambda: TransNasMicro(task={task!r}, image_size={24 if task == 'jigsaw' else 32}, channels=4)\n"
    (tmp_path / f"tnb_{task}.py").write_text(lines)
    cells = ["4-41414-3_30_232", "4-41414-1_12_013", "4-41414-2_33_333"]
    pd.DataFrame({task: [1.0, 2.0, 3.0]}, index=pd.Index(cells, name="arch")).to_csv(tmp_path / "table.csv")
    monkeypatch.chdir(tmp_path)
    command = ["evaluate", f"tnb_{task}:make", "--table", "table.csv", "--data", "digits", "--batch-size", "4"]
    assert main([*command, "--proxies", "grad_norm,params", "--out", "scores.csv"]) == 0
    out = capsys.readouterr().out
    assert f"networks: transnas-micro, mode train, init kaiming, task {tasks.get(task).name}, loss " in out
    assert "targets: " in out
    rows = pd.read_csv("scores.csv")
    assert rows["errors"].isna().all() and rows["grad_norm"].nunique() == 3


DARTS = """
from lswag_fast.spaces import Darts

def make():
    return Darts(channels=4, n_cells=3, image_size=8)
"""
BY_SURROGATE = ["evaluate", "tiny_darts:make", "--accuracy", "nb301", "--proxies", "params", "--batch-size", "4"]


@pytest.fixture
def darts_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tiny_darts.py").write_text(DARTS)
    monkeypatch.chdir(tmp_path)
    nb301.install(monkeypatch, tmp_path / "models" / "xgb_v1.0")
    return tmp_path


def predicted(arch: str) -> float:
    """What the stand-in says of an architecture."""
    return 90 + arch.count("sep_conv") / 4


def test_random_genotypes_are_scored_beside_their_accuracy(
    darts_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*BY_SURROGATE, "--target", "nb301_accuracy", "--out", "scores.csv"]
    assert main([*command, "--trials", "12"]) == 0
    out = capsys.readouterr().out
    assert "nb301_accuracy: predicted by the surrogate xgb_v1.0 of NAS-Bench-301" in out
    assert "nb301_accuracy:" in out and "params" in out
    rows = pd.read_csv("scores.csv")
    assert list(rows.columns[:3]) == ["arch", "nb301_accuracy", "params"]
    assert rows["nb301_accuracy"].tolist() == [predicted(arch) for arch in rows["arch"]]
    assert rows["nb301_accuracy"].nunique() > 1 and rows["arch"].nunique() == 12
    settings = json.loads(Path("scores.csv.json").read_text())
    assert (settings["table"], settings["accuracy"]) == ("random architectures", "xgb_v1.0")


def test_a_larger_number_draws_more_genotypes(darts_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*BY_SURROGATE, "--out", "scores.csv", "--trials", "3"]) == 0
    first = pd.read_csv("scores.csv")
    assert main([*BY_SURROGATE, "--out", "scores.csv", "--trials", "5"]) == 0
    assert "scored 2 architectures" in capsys.readouterr().out
    rows = pd.read_csv("scores.csv")
    pd.testing.assert_frame_equal(rows.iloc[:3], first)
    assert len(rows) == 5


def test_a_smaller_number_leaves_the_file_as_it_is(darts_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space, rng = Darts(), random.Random(0)
    archs = [space.encode(space.sample(rng)) for _ in range(5)]
    pd.DataFrame({"epochs": 100}, index=pd.Index(archs, name="arch")).to_csv("table.csv")
    for name, more in (("random.csv", []), ("of_table.csv", ["--table", "table.csv"])):
        command = [*BY_SURROGATE, *more, "--out", name]
        assert main([*command, "--trials", "4"]) == 0
        rows = Path(name).read_bytes()
        assert main([*command, "--trials", "2"]) == 0
        assert "scored 0 architectures" in capsys.readouterr().out
        assert Path(name).read_bytes() == rows
        assert main([*command, "--trials", "5"]) == 0
        assert "scored 1 architectures" in capsys.readouterr().out


def test_the_genotypes_of_a_table_keep_its_columns(darts_folder: Path) -> None:
    space, rng = Darts(), random.Random(0)
    archs = [space.encode(space.sample(rng)) for _ in range(3)]
    pd.DataFrame({"epochs": [100, 100, 50]}, index=pd.Index(archs, name="arch")).to_csv("table.csv")
    assert main([*BY_SURROGATE, "--table", "table.csv", "--out", "scores.csv"]) == 0
    rows = pd.read_csv("scores.csv").set_index("arch").loc[archs]
    assert rows["epochs"].tolist() == [100, 100, 50]
    assert rows["nb301_accuracy"].tolist() == [predicted(arch) for arch in archs]


def test_only_what_is_scored_is_asked_of_the_surrogate(darts_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space, rng = Darts(), random.Random(0)
    archs = [space.encode(space.sample(rng)) for _ in range(5)]
    pd.DataFrame({"epochs": 100}, index=pd.Index(archs, name="arch")).to_csv("table.csv")
    asked, accuracy = [], Nb301Surrogate.accuracy

    def watched(surrogate: Nb301Surrogate, arch: Any) -> float:
        asked.append(space.encode(arch))
        return accuracy(surrogate, arch)

    monkeypatch.setattr(Nb301Surrogate, "accuracy", watched)
    assert main([*BY_SURROGATE, "--table", "table.csv", "--trials", "2", "--out", "scores.csv"]) == 0
    assert sorted(asked) == sorted(pd.read_csv("scores.csv")["arch"])


def test_another_surrogate_is_refused_in_the_same_file(
    darts_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*BY_SURROGATE, "--out", "scores.csv", "--trials", "2"]) == 0
    nb301.install(monkeypatch, darts_folder / "models" / "gnn_v1.0")
    assert main([*BY_SURROGATE, "--out", "scores.csv", "--trials", "3"]) == 2
    assert "gnn_v1.0" in capsys.readouterr().err
    assert len(pd.read_csv("scores.csv")) == 2


def refused(capsys: pytest.CaptureFixture[str], argv: list[str], words: str) -> None:
    assert main([*argv, "--out", "scores.csv"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1
    assert words in err
    assert not list(Path().glob("scores.csv*"))


def test_what_is_missing_is_one_line_and_nothing_is_written(
    darts_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*BY_SURROGATE, "--trials", "2"]
    refused(capsys, BY_SURROGATE, "--trials: say how many random architectures")
    refused(capsys, ["evaluate", "darts", "--trials", "2"], "--table: name the file of the architectures")
    of_cells = ["evaluate", "nasbench201", "--accuracy", "nb301", "--trials", "2"]
    refused(capsys, of_cells, "--accuracy: NAS-Bench-301 has genotypes of the space darts, none of nasbench201")
    monkeypatch.setitem(sys.modules, "nasbench301", None)
    refused(capsys, command, "--accuracy: this needs nasbench301, which is not installed; pip install nasbench301")
    monkeypatch.setenv("LSWAG_NB301", "gone")
    refused(capsys, command, "--accuracy: LSWAG_NB301: there is no folder gone")
    monkeypatch.delenv("LSWAG_NB301")
    refused(capsys, command, "--accuracy: the environment variable LSWAG_NB301 is not set; set it to the folder")


def test_a_genotype_that_the_benchmark_lacks_names_its_row(
    darts_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = [["skip_connect", 0], ["skip_connect", 1]] * 4
    archs = [Darts().encode({"normal": cell, "reduce": other}) for other in (cell, [["none", 0], *cell[1:]])]
    pd.DataFrame({"epochs": 100}, index=pd.Index(archs, name="arch")).to_csv("table.csv")
    command = [*BY_SURROGATE, "--table", "table.csv"]
    refused(capsys, command, "row 2, column 'arch': reduce: node 2 has the operation 'none', which NAS-Bench-301 lacks")
    pd.DataFrame({"nb301_accuracy": 90}, index=pd.Index(archs, name="arch")).to_csv("table.csv")
    refused(capsys, command, "the table has a column 'nb301_accuracy'; leave --accuracy out")
