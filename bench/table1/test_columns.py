"""Rows of Table 1: a perfect proxy, AZ-NAS of its parts, and the paper's number beside each."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.table1 import columns as table1
from lswag_fast import tasks
from lswag_fast.spaces.transnas.base import OUTPUTS

N = 40
ACCURACY = np.random.default_rng(0).permutation(N).astype(float)


def scores(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"cifar10_test": ACCURACY, **columns}, index=pd.Index(range(N), name="arch").astype(str))


def test_a_perfect_proxy_and_the_paper_beside_it() -> None:
    (row,) = table1.measured("nb101", scores(lswag=ACCURACY**3), resamples=20, seed=0)
    assert [row[name] for name in table1.MEASURES] == pytest.approx([1, 1, 1, 1])
    assert (row["column"], row["proxy"], row["n"], row["published"]) == ("nb101", "lswag", N, 0.651)
    assert math.isnan(float(str(row["inside_params"])))


def test_az_nas_is_made_of_its_parts() -> None:
    parts = ("az_nas_expressivity", "az_nas_progressivity", "az_nas_trainability", "flops")
    made = table1.with_az_nas(scores(**dict.fromkeys(parts, ACCURACY)))
    expected = 4 * np.log((ACCURACY + 1) / N)  # the worst has rank 1, the best rank N
    assert made["az_nas"].to_numpy() == pytest.approx(expected)
    assert "az_nas" not in table1.with_az_nas(scores(flops=ACCURACY)).columns


def test_inside_one_width_size_tells_nothing_more() -> None:
    table = scores(params=np.repeat([1.0, 2.0], N // 2), embed_dim=np.repeat([192, 240], N // 2), lswag=ACCURACY)
    table["imagenet_inherited_top1"] = ACCURACY + 100 * table["params"]
    found = {row["proxy"]: row for row in table1.measured("autoformer-tiny", table, resamples=0, seed=0)}
    assert found["lswag"]["inside_embed_dim"] == pytest.approx(1)
    assert found["lswag"]["inside_params"] == pytest.approx(1)


def test_the_command_writes_a_row_for_each_column_and_refuses_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores(lswag=ACCURACY, params=-ACCURACY).to_csv(tmp_path / "scores.csv")
    line = ["table1", f"nb201-cifar10={tmp_path / 'scores.csv'}", "--resamples", "5", "--out", str(tmp_path / "t.csv")]
    monkeypatch.setattr(sys, "argv", line)
    table1.main()
    assert pd.read_csv(tmp_path / "t.csv")["spearman"].tolist() == [1, -1]
    monkeypatch.setattr(sys, "argv", [line[0], line[1].replace("cifar10", "cifar11"), *line[2:]])
    with pytest.raises(SystemExit):
        table1.main()


def test_all_columns_of_transnas_are_there_and_say_whose_targets_were_drawn() -> None:
    of = {name: column.target for name, column in table1.COLUMNS.items() if name.startswith(("micro", "macro"))}
    assert sorted(of.values()) == sorted(2 * list(OUTPUTS))
    drawn = {target for name, target in of.items() if name.endswith("-drawn")}
    assert drawn == {task for task in OUTPUTS if tasks.get(task).targets == "drawn at random"}
