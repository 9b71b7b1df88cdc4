"""The tables of Table 1, of rows whose best is known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.pages import table1


def row(column: str, kind: str, proxy: str, spearman: float, inside: float = math.nan, n: int = 100) -> dict[str, Any]:
    values = {"spearman": spearman, "inside": inside, "kendall": 0.5}
    ends = {f"{name}{end}": value for name, value in values.items() for end in ("", "_low", "_high")}
    return {"column": column, "kind": kind, "proxy": proxy, **ends, "n": n, "n_inside": 90, "published": 0.25}


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    rows = [
        row("nb201-cifar10", "proxy", "lswag", 0.75, 0.5),
        row("nb201-cifar10", "proxy", "params", 0.5, 0.625),
        row("nb201-cifar10", "no labels", "zico nwot", 0.875, 0.75),
        row("nb201-cifar10", "LIBRA", "libra:weights", 0.8, 0.6),
        row("nb101", "proxy", "lswag", 0.5),
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "rows.csv", index=False)
    return tmp_path / "rows.csv"


def lines(text: str) -> list[list[str]]:
    plain = text.replace("\N{NO-BREAK SPACE}", " ")
    return [line.strip("| ").split(" | ") for line in plain.splitlines()[2:]]


def test_all_columns_are_listed_and_the_best_proxy_is_a_single_one(csv: Path) -> None:
    found = {line[0]: line[1:] for line in lines(table1.over_all(csv))}
    assert len(found) == len(table1.COLUMNS)
    assert found["DARTS, CIFAR-10"][0] == "not measured"
    first = found["NAS-Bench-201, CIFAR-10"]
    assert first[:2] == [".750 [.75, .75]", ".800 [.80, .80]"]
    assert first[-2:] == ["`lswag` .750 [.75, .75]", "100"]


def test_columns_without_windows_are_left_out_there(csv: Path) -> None:
    (line,) = lines(table1.inside(csv))
    assert line[0] == "NAS-Bench-201, CIFAR-10, +-8 %"
    assert line[-2:] == ["`params` .625 [.62, .62]", "90"]


def test_published_numbers_stand_beside_ours(csv: Path) -> None:
    found = {line[0]: line[1:] for line in lines(table1.beside_published(csv))}
    assert found["NAS-Bench-201, CIFAR-10"][:3] == [".750 (.79)", "(.89)", "(.70)"]
    assert found["NAS-Bench-101, CIFAR-10"][0] == ".500 (.65)"


def test_a_column_has_libra_then_combinations_then_proxies(csv: Path) -> None:
    made = table1.of_column("nb201-cifar10")(csv)
    assert [line[0] for line in lines(made)] == ["`Libra()`", "`zico` + `nwot`", "`lswag`", "`params`"]
    assert "inside params +-8 %" in made and "embed_dim" not in made
    assert "inside" not in table1.of_column("nb101")(csv)


def test_both_correlations_with_the_size_stand_beside_the_published_one(tmp_path: Path) -> None:
    path = tmp_path / "bias.csv"
    of = ("accuracy", "lswag", "zico", "swap", "nwot")
    rows = [{"column": "autoformer-base", "of": name, "pearson": 0.5, "ranks": 0.25, "n": 9} for name in of]
    rows += [{**one, "column": "nb101"} for one in rows]
    pd.DataFrame(rows).to_csv(path, index=False)
    without, with_paper = lines(table1.bias(path))
    assert without[1:3] == [".50, .25", ".50, .25"]
    assert with_paper[1:3] == [".50, .25 (.47)", ".50, .25 (.19)"]
