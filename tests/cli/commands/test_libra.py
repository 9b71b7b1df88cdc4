"""`lswag-fast libra`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lswag_fast.cli import main
from lswag_fast.libra.stored import read_selection


@pytest.fixture
def scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    archs = pd.Index([f"a{number}" for number in range(20)], name="arch")
    values = {name: rng.random(20) for name in ("accuracy", "params", "lswag", "zico")}
    table = pd.DataFrame(values, index=archs).assign(dss=np.nan)
    table.to_csv("scores.csv")
    return table


COMMAND = ("libra", "scores.csv", "--target", "accuracy", "--tolerance", "1.5", "--rule", "published")


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


TWO = ("--proxies", "lswag,zico")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--proxies", "accuracy"), "is among the proxies"),
        (("--proxies", "x"), "no column"),
        (("--halves", "0"), "--halves"),
        ((*TWO, "--rule", "halves", "--halves", "1"), "halves must be a number from 2 to 10,000"),
        ((*TWO, "--within", "params"), "no group of one params holds 10"),
        ((*TWO, "--window", "params"), "--window: a window is COLUMN:SHARE%"),
        ((*TWO, "--bias", "accuracy"), "the target 'accuracy' is the bias"),
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


def test_a_mistake_is_told_in_options(scores: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    scores.head(12).to_csv("scores.csv")
    assert main([*COMMAND, "--rule", "halves", *TWO]) == 2
    assert "the table has 12; --rule published needs fewer" in capsys.readouterr().err


def table_of(folder: Path, **scores: list[float]) -> None:
    rows = {"arch": [f"a{row:02d}" for row in range(60)], **scores}
    pd.DataFrame(rows).to_csv(folder / "scores.csv", index=False)


def test_a_selection_by_halves_shows_its_steps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    accuracy, one, other, size = np.random.default_rng(0).normal(size=(4, 60))
    params = np.exp(size / 9)
    table_of(tmp_path, accuracy=accuracy, params=params, snip=accuracy + one / 2, nwot=accuracy + other / 2)
    command = ["libra", "scores.csv", "--target", "accuracy", "--proxies", "snip,nwot", "--rule", "halves"]
    command += ["--halves", "10", "--seed", "1"]
    assert main([*command, "--window", "params:20%", "--out", "selection.json"]) == 0
    out = capsys.readouterr().out
    content = json.loads(Path("selection.json").read_text())
    assert (content["options"]["rule"], content["options"]["halves"], content["options"]["seed"]) == ("halves", 10, 1)
    assert [row["joined"] for row in content["steps"]] == [True, True]
    assert "standard error" in out and "joins" in out
    rho = content["fitted_on"]["rho"]
    assert f"rho of the combination on this table {rho:.3f}, of its best member alone" in out
    assert "correlations inside windows of params +-20 %" in out


def test_weights_are_shown_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    accuracy, one, other, size = np.random.default_rng(0).normal(size=(4, 60))
    table_of(tmp_path, accuracy=accuracy, params=size, snip=accuracy + one, nwot=accuracy + other)
    command = ["libra", "scores.csv", "--target", "accuracy", "--proxies", "snip,nwot"]
    assert main([*command, "--out", "selection.json"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    content = json.loads(Path("selection.json").read_text())
    for name, weight in zip(content["selection"], content["weights"], strict=True):
        assert f"{name} {weight:.3f}" in out
    assert "gain over the best proxy on held-out halves 0." in out
    assert main([*command, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["weighted"]["weights"] == content["weights"]


def test_what_a_selection_is_worth_is_said_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    accuracy, one, other, size = np.random.default_rng(0).normal(size=(4, 60))
    table_of(tmp_path, accuracy=accuracy, params=size, snip=accuracy + one, nwot=accuracy + other)
    command = ["libra", "scores.csv", "--target", "accuracy", "--proxies", "snip,nwot", "--halves", "4"]
    assert main([*command, "--held-out", "3", "--out", "selection.json"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    selection = read_selection("selection.json")
    found = selection.held_out
    assert found is not None
    assert (found.n_halves, set(found.alone)) == (3, {*selection.proxies, "params"})
    assert f"it ranks the other with a Spearman of {found.selection} (" in out
    assert f"params alone {found.alone['params']}" in out
    assert main([*command, "--held-out", "3", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["held_out"] == asdict(found)


def test_one_proxy_alone_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    accuracy, noise = np.random.default_rng(0).normal(size=(2, 60))
    table_of(tmp_path, accuracy=accuracy, params=noise, snip=accuracy + noise, nwot=np.exp(accuracy + noise))
    command = ["libra", "scores.csv", "--target", "accuracy", "--proxies", "snip,nwot"]
    for rule, reason in (("weights", "weights for all gained no more than chance"), ("halves", "nothing raised")):
        assert main([*command, "--rule", rule]) == 0
        assert f"selected: nwot, one proxy alone: {reason}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.filterwarnings("ignore::lswag_fast.LswagWarning")
def test_by_the_published_rule_one_proxy_alone_has_another_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    accuracy, noise, other = np.random.default_rng(0).normal(size=(3, 60))
    table_of(tmp_path, accuracy=accuracy, params=noise, snip=accuracy, nwot=other)
    command = ("libra", "scores.csv", "--target", "accuracy", "--proxies", "snip,nwot", "--rule", "published")
    assert main(command) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "selected: snip, one proxy alone: no other correlates within 0.2 of it" in out


@pytest.mark.parametrize("command", ["libra", "correlate"])
def test_a_table_of_a_header_alone_is_named(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("scores.csv").write_text("arch,accuracy,params,snip\n")
    assert main([command, "scores.csv", "--target", "accuracy"]) != 0
    assert "scores.csv: has no architectures" in capsys.readouterr().err


PUBLISHED = ("--rule", "published", "--out", "selection.json")


def test_a_combination_below_its_best_member_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = {"arch": [f"a{row:02d}" for row in range(30)], "accuracy": range(30)}
    scores = {"params": range(30), "snip": rng.permutation(30), "nwot": rng.permutation(30)}
    pd.DataFrame({**rows, **scores}).to_csv("scores.csv", index=False)
    assert main(["libra", "scores.csv", "--target", "accuracy", "--tolerance", "1.9", *PUBLISHED]) == 0
    rho = json.loads(Path("selection.json").read_text())["fitted_on"]["rho"]
    assert rho < 1
    out = " ".join(capsys.readouterr().out.split())
    assert f"rho of the combination on this table {rho:.3f}, below the 1.000 of its best member alone" in out


def test_proxies_that_count_against_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(3)
    y = rng.normal(size=80)
    columns = {"nwot": y + rng.normal(size=80), "fisher": -y + rng.normal(size=80) / 2}
    path = tmp_path / "scores.csv"
    pd.DataFrame({"arch": range(80), "accuracy": y, "params": rng.normal(size=80), **columns}).to_csv(path, index=False)
    assert main(["libra", str(path), "--target", "accuracy", "--proxies", "nwot,fisher"]) == 0
    assert "against: fisher, with a weight below 0\n" in capsys.readouterr().out
