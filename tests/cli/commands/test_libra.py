"""`lswag-fast libra`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lswag_fast.cli import main


@pytest.fixture
def scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    archs = pd.Index([f"a{number}" for number in range(20)], name="arch")
    values = {name: rng.random(20) for name in ("accuracy", "params", "lswag", "zico")}
    table = pd.DataFrame(values, index=archs).assign(dss=np.nan)
    table.to_csv("scores.csv")
    return table


COMMAND = ("libra", "scores.csv", "--target", "accuracy", "--tolerance", "1.5")


def test_the_selection_is_shown_and_written(scores: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMMAND, "--out", "selection.json"]) == 0
    out, err = capsys.readouterr()
    content = json.loads(Path("selection.json").read_text())
    assert sorted(content["selection"]) == ["lswag", "params", "zico"]
    assert f"selected: {', '.join(content['selection'])}" in out
    assert "warning: without a value for any architecture, left out: dss" in err
    assert "dss" not in out


def test_the_numbers_of_the_choice_as_json(scores: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMMAND, "--proxies", "lswag,zico,params", "--json", "-"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["n_rows"] == 20
    assert {row["proxy"] for row in content["proxies"]} == {"lswag", "zico", "params"}
    assert set(content["selection"]) == {"lswag", "zico", "params"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--proxies", "accuracy"), "is among the proxies"),
        (("--proxies", "x"), "no column"),
        (("--stability", "0"), "--stability"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    scores: pd.DataFrame, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], words: str
) -> None:
    assert main([*COMMAND, *options, "--out", "selection.json"]) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert words in err
    assert not Path("selection.json").exists()


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
