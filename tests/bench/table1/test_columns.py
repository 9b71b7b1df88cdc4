"""Rows of Table 1: a perfect proxy, combinations, LIBRA on halves, and the published number beside each."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.table1 import columns as table1
from bench.table1 import published, ways
from lswag_fast import tasks
from lswag_fast.spaces.transnas.base import OUTPUTS

N = 60
ACCURACY = np.random.default_rng(0).permutation(N).astype(float)
NOISE = np.random.default_rng(1).permutation(N).astype(float)


def scores(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"cifar10_test": ACCURACY, **columns}, index=pd.Index(range(N), name="arch").astype(str))


def by_way(name: str, table: pd.DataFrame, halves: int = 0) -> dict[str, dict[str, object]]:
    return {str(row["proxy"]): row for row in table1.measured(name, table, resamples=20, seed=0, halves=halves)}


def test_a_perfect_proxy_and_the_paper_beside_it() -> None:
    row = by_way("nb101", scores(lswag=ACCURACY**3))["lswag"]
    assert [row[name] for name in table1.MEASURES] == pytest.approx([1, 1, 1, 1])
    assert (row["column"], row["kind"], row["n"], row["published"]) == ("nb101", "proxy", N, 0.651)
    assert row["window"] == "" and "inside" not in row  # nothing says how large the networks are


def test_every_proxy_that_ranks_enough_networks_is_a_row() -> None:
    few = np.where(np.arange(N) < 9, ACCURACY, math.nan)
    found = by_way("nb101", scores(grasp=ACCURACY, snip=few, zen=1.0, unknown=ACCURACY))
    assert set(found) == {"grasp"}


def test_windows_are_those_of_the_parameters_where_they_hold_enough_networks() -> None:
    sizes = np.repeat([1.0, 2.0], N // 2)
    table = scores(params=sizes, lswag=ACCURACY).assign(cifar10_test=ACCURACY + 100 * sizes)
    found = by_way("nb201-cifar10", table)
    assert (found["lswag"]["inside"], found["lswag"]["inside_low"]) == (pytest.approx(1), pytest.approx(1))
    assert found["params"]["inside"] == 0  # of one size each
    assert found["lswag"]["n_inside"] == N and found["lswag"]["window"] == "params +-8 %"
    alone = by_way("nb201-cifar10", table.assign(params=2.0 ** np.arange(N)))
    assert alone["lswag"]["window"] == "" and "inside" not in alone["lswag"]


def test_combinations_are_made_of_their_parts_and_listed_once() -> None:
    parts = ("az_nas_expressivity", "az_nas_progressivity", "az_nas_trainability", "flops")
    table = scores(**dict.fromkeys((*parts, "lswag"), ACCURACY))
    found = ways.combinations(table, "nasbench201", ways.proxies(table))
    expected = 4 * np.log((ACCURACY + 1) / N)  # the worst has rank 1, the best rank N
    assert found["az_nas"].scores.to_numpy() == pytest.approx(expected)
    assert set(found["recommended:cnn"].members) == {*parts, "lswag"}
    assert len({frozenset(one.members) for one in found.values()}) == len(found)
    assert "recommended:cnn" not in ways.combinations(table, "autoformer-tiny", ways.proxies(table))
    assert ways.combinations(table, "nasbench201", ["flops"]) == {}


@pytest.mark.filterwarnings("ignore::lswag_fast.LswagWarning")  # a widened tolerance
def test_libra_is_judged_on_halves_that_it_was_not_fitted_to() -> None:
    rng = np.random.default_rng(2)
    values = {"lswag": ACCURACY, "zico": NOISE, "snip": rng.normal(size=N), "params": rng.uniform(1, 9, N)}
    found = by_way("nb101", scores(**values), halves=4)
    assert found["libra:published"]["published"] == 0.77
    assert found["best_member"]["spearman"] == pytest.approx(1)
    assert found["libra:halves"]["spearman"] == pytest.approx(1)  # nothing raises what is perfect
    assert {found[f"libra:{rule}"]["kind"] for rule in ways.RULES} == {"LIBRA"}
    assert found["libra:weights"]["members"] == "lswag"
    assert "inside" not in found["libra:weights"]  # no window of a half holds 10


def test_columns_are_added_to_the_table_in_order_and_unknown_ones_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "t.csv"
    for column, sign in (("nb101", 1), ("nb201-cifar10", 1), ("nb101", -1)):
        scores(lswag=ACCURACY, params=sign * ACCURACY).to_csv(tmp_path / "scores.csv")
        line = ["table1", f"{column}={tmp_path / 'scores.csv'}", "--resamples", "2", "--halves", "0", "--out", str(out)]
        monkeypatch.setattr(sys, "argv", line)
        table1.main()
    found = pd.read_csv(out).set_index(["column", "proxy"])["spearman"]
    assert found.index.get_level_values("column").unique().tolist() == ["nb201-cifar10", "nb101"]
    assert found["nb201-cifar10", "params"] == 1 and found["nb101", "params"] == -1
    monkeypatch.setattr(sys, "argv", [line[0], line[1].replace("nb101", "nb102"), *line[2:]])
    with pytest.raises(SystemExit):
        table1.main()


def test_all_columns_of_transnas_are_there_and_say_whose_targets_were_drawn() -> None:
    of = {name: column.target for name, column in table1.COLUMNS.items() if name.startswith(("micro", "macro"))}
    assert sorted(of.values()) == sorted(2 * list(OUTPUTS))
    drawn = {target for name, target in of.items() if name.endswith("-drawn")}
    assert drawn == {task for task in OUTPUTS if tasks.get(task).targets == "drawn at random"}


def test_published_numbers_stand_at_their_columns() -> None:
    assert list(table1.COLUMNS)[:19] == list(published.PLACES)
    assert published.SPEARMAN["lswag"]["macro-object"] == 0.86  # of Table 5
    assert published.SPEARMAN["lswag"]["macro-autoencoder"] == 0.79  # of Table 3
    assert published.SPEARMAN["zico"]["macro-jigsaw"] == 0.05 and published.SPEARMAN["zico"]["nb101"] == 0.63
    assert published.SPEARMAN["te_nas"]["micro-autoencoder"] == -0.41
    assert published.SPEARMAN["libra"]["macro-segments-drawn"] == 0.83
    assert published.BY_INTERVAL["10"]["macro-normal-drawn"] == 0
    assert published.BIAS["zico"]["darts"] == 0.97


def test_files_of_one_column_add_the_proxies_that_those_before_lack(tmp_path: Path) -> None:
    scores(lswag=ACCURACY, zen=NOISE).to_csv(tmp_path / "first.csv")
    scores(zen=ACCURACY, jacov=-ACCURACY)[1:].to_csv(tmp_path / "second.csv")
    files = [("nb101", tmp_path / "first.csv"), ("darts", tmp_path / "first.csv"), ("nb101", tmp_path / "second.csv")]
    tables = table1.tables(files)
    assert {name: len(table) for name, table in tables.items()} == {"nb101": N - 1, "darts": N}
    found = tables["nb101"]
    assert list(found.columns) == ["cifar10_test", "lswag", "zen", "jacov"]
    assert found.index.tolist() == [str(k) for k in range(1, N)]
    assert found["zen"].tolist() == NOISE[1:].tolist()
    assert found["jacov"].tolist() == (-ACCURACY[1:]).tolist()
