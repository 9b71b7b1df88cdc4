"""`lswag-fast evaluate`, `correlate` and `libra`, one after the other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lswag_fast.cli import main
from lswag_fast.spaces import NasBench201

FACTORY = """
from lswag_fast.spaces import NasBench201

def make():
    return NasBench201(channels=4, cells_per_stage=1, image_size=8, num_classes=3)
"""
EVALUATE = ["evaluate", "tiny_space:make", "--table", "table.csv", "--data", "synthetic", "--batch-size", "12"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import random

    rng = random.Random(0)
    space = NasBench201()
    cells = list(dict.fromkeys(space.sample(rng)["cell"] for _ in range(14)))
    table = pd.DataFrame({"accuracy": np.linspace(50, 90, len(cells))}, index=pd.Index(cells, name="arch"))
    table.to_csv(tmp_path / "table.csv")
    (tmp_path / "tiny_space.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_a_table_to_a_selection(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main([*EVALUATE, "--proxies", "params,flops,l2_norm", "--mode", "eval", "--out", "scores.csv", "--n", "11"])
        == 0
    )
    assert "11 architectures scored now; rows: scores.csv" in capsys.readouterr().out
    assert main([*EVALUATE, "--proxies", "params,flops,l2_norm", "--mode", "eval", "--out", "scores.csv"]) == 0
    assert "3 architectures scored now" in capsys.readouterr().out

    words = [
        "correlate",
        "scores.csv",
        "--target",
        "accuracy",
        "--bootstrap",
        "10",
        "--csv",
        "rho.csv",
        "--plot",
        "rho.png",
    ]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert out.startswith("accuracy:\n")
    assert "l2_norm" in out
    assert list(pd.read_csv("rho.csv")["proxy"]) == ["params", "flops", "l2_norm"]
    assert Path("rho.png").stat().st_size > 0

    assert main(["libra", "scores.csv", "--target", "accuracy", "--tolerance", "1.5", "--out", "selection.json"]) == 0
    out = capsys.readouterr().out
    content = json.loads(Path("selection.json").read_text())
    assert sorted(content["selection"]) == ["flops", "l2_norm", "params"]
    assert f"selected: {', '.join(content['selection'])}" in out


def test_workers_give_the_same_rows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder))  # where the workers look for the space, too
    command = [*EVALUATE, "--proxies", "params,l2_norm", "--mode", "eval", "--n", "5"]
    assert main([*command, "--out", "one.csv"]) == 0
    assert main([*command, "--out", "two.csv", "--workers", "2"]) == 0
    one, two = (pd.read_csv(name).drop(columns="elapsed_s") for name in ("one.csv", "two.csv"))
    pd.testing.assert_frame_equal(one, two)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([*EVALUATE, "--out", "a.csv", "--key", "cell"], "no column 'cell' names the architectures; there are arch"),
        ([*EVALUATE, "--out", "a.csv", "--n", "99"], "n is 99, the table has 14"),
        ([*EVALUATE, "--out", "a.csv", "--init", "lecun"], "init must be one of own, kaiming, xavier, gaussian"),
        ([*EVALUATE, "--out", "a.csv", "--proxies", "lswag,magic"], "did you mean"),
        ([*EVALUATE, "--out", "a.csv", "--workers", "2", "--dask", "tcp://127.0.0.1:1"], "choose one"),
        (["correlate", "table.csv", "--target", "accurate", "--proxies", "accuracy"], "no column 'accurate'"),
        (["correlate", "absent.csv", "--target", "accuracy"], "absent.csv: cannot be read"),
        (["libra", "table.csv", "--target", "accuracy", "--proxies", "accuracy"], "is among the proxies"),
        (["libra", "table.csv", "--target", "accuracy", "--proxies", "x"], "no column"),
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


def test_a_selection_by_halves_shows_what_was_proposed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = {"arch": [f"a{row:02d}" for row in range(30)], "accuracy": range(30)}
    scores = {"params": range(30), "snip": [row % 29 for row in range(30)], "nwot": [row % 28 for row in range(30)]}
    pd.DataFrame({**rows, **scores}).to_csv("scores.csv", index=False)
    words = ["libra", "scores.csv", "--target", "accuracy", "--tolerance", "1.9", "--stability", "3", "--seed", "1"]
    assert main([*words, "--out", "selection.json"]) == 0
    out = capsys.readouterr().out
    content = json.loads(Path("selection.json").read_text())
    assert (content["options"]["stability"], content["options"]["seed"]) == (3, 1)
    assert sum(row["n_proposed"] for row in content["proposals"]) == 3
    assert "rho held out" in out
    rho = content["fitted_on"]["rho"]
    assert f"rho of the combination on this table {rho:.3f}, of its best member alone {rho:.3f}" in out
    assert main([*words, "--stability", "0"]) == 2


def test_a_combination_below_its_best_member_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = {"arch": [f"a{row:02d}" for row in range(30)], "accuracy": range(30)}
    scores = {"params": range(30), "snip": rng.permutation(30), "nwot": rng.permutation(30)}
    pd.DataFrame({**rows, **scores}).to_csv("scores.csv", index=False)
    assert main(["libra", "scores.csv", "--target", "accuracy", "--tolerance", "1.9", "--out", "selection.json"]) == 0
    rho = json.loads(Path("selection.json").read_text())["fitted_on"]["rho"]
    assert rho < 1
    out = " ".join(capsys.readouterr().out.split())
    assert f"rho of the combination on this table {rho:.3f}, below the 1.000 of its best member alone" in out


def test_a_proxy_without_any_value_is_left_out_and_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    values = {"params": rng.random(20), "lswag": rng.random(20), "zico": rng.random(20), "dss": np.full(20, np.nan)}
    archs = pd.Index([f"a{number}" for number in range(20)], name="arch")
    pd.DataFrame({"accuracy": rng.random(20), **values}, index=archs).to_csv("scores.csv")
    for command in ("correlate", "libra"):
        assert main([command, "scores.csv", "--target", "accuracy"]) == 0
        out, err = capsys.readouterr()
        assert "warning: without a value for any architecture, left out: dss" in err
        assert "dss" not in out
    assert main(["correlate", "scores.csv", "--target", "accuracy", "--proxies", "dss"]) == 2
