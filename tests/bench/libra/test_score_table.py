"""A table of scores and accuracies: what it keeps, and that it is read as any other table."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.correlation.layer_numbers import common_samples
from bench.libra import score_table
from lswag_fast.data.tables import read_table

SETTINGS = {"space": "autoformer-tiny", "proxies": ["lswag", "params"], "seed": 0}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    scores, table = tmp_path / "base.csv", tmp_path / "table.csv"
    rows = {"arch": ["c", "a"], "lswag": [1 / 3, 2e61], "params": [7.0, 8.0], "coverage": 1.0}
    pd.DataFrame(rows).to_csv(scores, index=False)
    scores.with_name("base.csv.json").write_text(json.dumps(SETTINGS))
    pd.DataFrame({"arch": ["a", "b", "c"], "top1": [71.0, 72.0, 73.0], "width": [1, 2, 3], "other": 0}).to_csv(
        table, index=False
    )
    return scores, table


def made(monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path], out: Path, *more: str) -> None:
    words = ["--targets", "top1", "--keep", "width", "--data", "photographs", "--out", str(out), *more]
    monkeypatch.setattr(sys, "argv", ["score_table", *map(str, files), *words])
    score_table.main()


def test_networks_that_were_scored_have_their_accuracy_and_no_numbers_of_layers(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "tiny_scores.csv.gz"
    made(monkeypatch, files, out)
    found = read_table(out)
    assert found.columns.tolist() == ["top1", "width", "lswag", "params"]
    assert found["top1"].to_dict() == {"a": 71.0, "c": 73.0}
    assert found["lswag"].to_dict() == pytest.approx({"a": 2e61, "c": 1 / 3}, rel=1e-9)  # ten digits are kept
    facts = json.loads((tmp_path / "tiny_scores.json").read_text())
    assert facts == {
        "space": "autoformer-tiny",
        "seed": 0,
        "data": "photographs",
        "n": 2,
        "n_table": 3,
        "table": "table.csv",
        "proxies": ["lswag", "params"],
    }


def test_the_same_scores_are_the_same_file(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        made(monkeypatch, files, tmp_path / folder / "scores.csv.gz")
        contents.append((tmp_path / folder / "scores.csv.gz").read_bytes())
    assert contents[0] == contents[1]


def test_a_table_is_continued_by_other_networks_with_the_same_settings(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, both = tmp_path / "known.csv.gz", tmp_path / "both.csv.gz"
    made(monkeypatch, files, known)
    with pytest.raises(ValueError, match="2 networks are in both"):
        made(monkeypatch, files, both, "--known", str(known))
    pd.DataFrame({"arch": ["b"], "lswag": 5.0, "params": 6.0, "coverage": 1.0}).to_csv(files[0], index=False)
    made(monkeypatch, files, both, "--known", str(known))
    found = read_table(both)
    assert found["lswag"].to_dict() == pytest.approx({"a": 2e61, "b": 5.0, "c": 1 / 3}, rel=1e-9)
    assert list(found.index) == ["a", "b", "c"]
    assert json.loads((tmp_path / "both.json").read_text())["n"] == 3
    files[0].with_name("base.csv.json").write_text(json.dumps({**SETTINGS, "seed": 1}))
    with pytest.raises(ValueError, match="seed differs: 0 in the known table, 1 in the scores"):
        made(monkeypatch, files, both, "--known", str(known))


def cell(auto: int, psi: int) -> dict[str, Any]:
    """One layer of Lambda 2, whose activation has as many patterns as counted, or twice as many with a sample more."""
    layers = [{"percentile": 0, "activation": 0, "sum_inv_sigma": math.exp(2.0)}]
    return {"auto": auto, "psi": {"3": [psi], "4": [2 * psi]}, "union": {"3": psi, "4": 2 * psi}, "layers": layers}


def test_patterns_are_those_of_the_samples_that_auto_takes_for_all() -> None:
    cells = {"a": cell(3, 5), "b": cell(4, 6)}
    assert common_samples(cells.values()) == 3
    scores = pd.DataFrame({"lswag": [20.0, 24.0], "swap": [10.0, 12.0], "reg_swap": [7.0, 8.0]}, index=["a", "b"])
    found = score_table.recounted(scores, cells, 3)
    assert found["lswag"].tolist() == pytest.approx([10.0, 12.0])
    assert found["swap"].tolist() == [5.0, 6.0]
    assert found["reg_swap"].tolist() == pytest.approx([7.0 - math.log(2), 8.0 - math.log(2)])
    with pytest.raises(ValueError, match="do not give the scores"):
        score_table.recounted(scores.assign(lswag=21.0), cells, 3)


def test_the_place_of_the_images_is_left_out() -> None:
    table = pd.DataFrame(index=["a", "b"])
    found = score_table.provenance({"data": "/home/me/cifar.npz (x_train), 64 of 8000"}, 1, table, "")
    assert found["data"] == "cifar.npz (x_train), 64 of 8000"
