"""`lswag-fast correlate`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lswag_fast.cli import main
from lswag_fast.cli.console import _Output


@pytest.fixture(autouse=True)
def scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    archs = pd.Index([f"a{number}" for number in range(20)], name="arch")
    values = {name: rng.random(20) for name in ("accuracy", "robustness", "params", "zico")}
    table = pd.DataFrame(values, index=archs).assign(dss=np.nan)
    table.to_csv("scores.csv")
    return table


COMMAND = ("correlate", "scores.csv", "--target", "accuracy", "--bootstrap", "10")


def test_correlations_are_shown_and_written(scores: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    assert main([*COMMAND, "--csv", "out/rho.csv", "--plot", "out/rho.png", "--json", "out/rho.json"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("accuracy:\n")
    assert "warning: without a value for any architecture, left out: dss" in err
    assert "dss" not in out
    table = pd.read_csv("out/rho.csv")
    assert list(table["proxy"]) == ["params", "zico"]
    assert table["spearman"][0] == pytest.approx(scores["params"].corr(scores["accuracy"], method="spearman"))
    assert Path("out/rho.png").stat().st_size > 0
    assert [row["kendall"] for row in json.loads(Path("out/rho.json").read_text())] == table["kendall"].tolist()


def test_several_targets_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    command = [*COMMAND, "--target", "accuracy,robustness", "--proxies", "zico", "--json", "-"]
    assert main(command) == 0
    assert [(row["proxy"], row["target"]) for row in json.loads(capsys.readouterr().out)] == [
        ("zico", "accuracy"),
        ("zico", "robustness"),
    ]


def test_inside_of_a_window(scores: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    scores.assign(params=np.repeat([100.0, 900.0], [11, 9])).to_csv("scores.csv")
    assert main([*COMMAND, "--proxies", "zico", "--window", "params:10%"]) == 0
    out = capsys.readouterr().out
    assert "inside" in out.splitlines()[1]
    assert "windows of params +-10 %; left out there: 9 whose window holds fewer than 10 architectures" in out


def test_a_group_is_called_so_and_one_that_is_too_small_is_left_out(
    scores: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    scores.assign(stage=np.repeat([1, 2], [12, 8])).to_csv("scores.csv")
    assert main([*COMMAND, "--proxies", "zico", "--within", "stage"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "inside: the mean of the Spearman correlations inside groups of one stage; left out there: 8 whose group holds "
        "fewer than 10 architectures"
    )


@pytest.mark.parametrize(
    ("width", "missing"),
    [(200, None), (90, "Kendall"), (80, "Kendall, top 5 %"), (70, "Kendall, top 5 %, inside")],
)
def test_a_narrow_terminal_gets_fewer_intervals_and_no_cell_of_two_lines(
    width: int, missing: str | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Output, "width", width)
    monkeypatch.setattr(_Output, "is_terminal", True)
    assert main([*COMMAND, "--proxies", "zico,params", "--window", "params:90%"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "accuracy:"
    assert {line.split()[0] for line in lines[2:4]} == {"zico", "params"}
    assert lines[2].count("[") == 4 - (missing.count(",") + 1 if missing else 0)
    assert all(len(line) <= width for line in lines[1:4])
    assert lines[4].startswith(
        "inside:" if missing is None else f"a wider terminal shows the intervals, too, of: {missing}"
    )


def test_a_pipe_gets_all_intervals(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Output, "width", 20)
    assert main([*COMMAND, "--proxies", "zico", "--window", "params:90%"]) == 0
    assert capsys.readouterr().out.splitlines()[2].count("[") == 4


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (
            ["correlate", "scores.csv", "--target", "accurate", "--proxies", "zico"],
            "no column 'accurate'; did you mean 'accuracy'? ",
        ),
        (
            ["correlate", "absent.csv", "--target", "accuracy"],
            "error: absent.csv: cannot be read (No such file or directory)",
        ),
        ([*COMMAND, "--proxies", "dss"], "dss"),
        ([*COMMAND, "--proxies", "zico", "--window", "params"], "--window: a window is COLUMN:SHARE%, params:8% say"),
        ([*COMMAND, "--proxies", "zico", "--window", "depth:8%"], "no column 'depth' to compare inside of"),
        (
            [*COMMAND, "--proxies", "zico", "--window", "params:0.01%"],
            "no window of params +-0.01 % holds 10 architectures, the fewest whose rank correlation is computed; take",
        ),
        ([*COMMAND, "--proxies", "zico", "--within", "params"], "no group of one params holds 10 architectures"),
        ([*COMMAND, "--plot", "rho.jpeg2000"], "--plot: the ending of rho.jpeg2000 must be one of"),
        ([*COMMAND, "--plot", "."], "--plot: '.' is a folder; name a file"),
        ([*COMMAND, "--csv", "."], "--csv: '.' is a folder; name a file"),
        (
            [*COMMAND, "--proxies", "zico", "--csv", "scores.csv/rho.csv"],
            "--csv: cannot write scores.csv/rho.csv: scores.csv is no",
        ),
        ([*COMMAND, "--csv", "scores.csv"], "--csv: scores.csv is what is read; name another file"),
        ([*COMMAND, "--csv", "a.csv", "--json", "a.csv"], "--json: a.csv is also what --csv names"),
        ([*COMMAND, "--csv", "new/a.csv", "--plot", "scores.csv/a.png"], "--plot: cannot write scores.csv/a.png"),
        ([*COMMAND, "--dataset", "cifar10"], "--dataset: names a data set of a .json table, and there is none"),
        ([*COMMAND, "--json", ""], "--json: an empty name is no file"),
        ([*COMMAND, "--seed", "-1"], "--seed: '-1' is not a whole number from 0"),
        ([*COMMAND, "--proxies", "zico", "--bootstrap", "1"], "n_bootstrap must be 0 for no intervals, or from 2 to"),
        ([*COMMAND, "--proxies", ""], "--proxies: '' has an empty name"),
        ([*COMMAND, "--target", "accuracy,"], "--target: 'accuracy,' has an empty name"),
        ([*COMMAND, "--proxies", "zico,accuracy"], "the target 'accuracy' is among the proxies"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str], argv: list[str], words: str) -> None:
    before = sorted(Path().iterdir())
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert words in err
    assert sorted(Path().iterdir()) == before


def test_a_table_without_proxies_says_which_columns_there_are(
    scores: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    scores[["accuracy", "robustness", "dss"]].to_csv("scores.csv")
    assert main([*COMMAND]) == 2
    err = capsys.readouterr().err
    assert "no column that has values is called as a proxy is; name the columns to compare with --proxies" in err
    assert "there are robustness, dss" in err


def test_a_target_that_is_named_like_a_proxy_is_not_compared_with_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMMAND, "--target", "params", "--json", "-"]) == 0
    assert [row["proxy"] for row in json.loads(capsys.readouterr().out)] == ["zico"]


def test_a_figure_without_matplotlib_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main([*COMMAND, "--plot", "rho.png", "--csv", "rho.csv"]) == 2
    assert "pip install 'lswag-fast[plot]'" in capsys.readouterr().err
    assert not Path("rho.csv").exists()
