"""What is ranked without labels, and which rows of a table it takes the place of."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.libra import label_free

N = 40
ACCURACY = np.random.default_rng(0).permutation(N).astype(float)


def test_rows_of_a_space_replace_older_ones_and_leave_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "free.csv"
    for space, sign, window in (("one", -1, "8%"), ("two", 1, "15%"), ("one", 1, "8%")):
        table = pd.DataFrame({"a": ACCURACY, "b": -ACCURACY, "zico": sign * ACCURACY, "nwot": sign * ACCURACY**3})
        table["params"] = np.repeat([1.0, 2.0], N // 2)
        table.rename_axis("arch").to_csv(tmp_path / f"{space}_scores.csv.gz")
        line = ["free", str(tmp_path / f"{space}_scores.csv.gz"), "--targets", "a,b", "--window", f"params:{window}"]
        monkeypatch.setattr(sys, "argv", [*line, "--resamples", "2", "--out", str(out)])
        label_free.main()
    found = pd.read_csv(out)
    assert found["space"].drop_duplicates().tolist() == ["two", "one"]
    assert dict(zip(found["space"], found["window"], strict=True)) == {"one": "params +-8 %", "two": "params +-15 %"}
    both = found[found["proxies"] == "zico nwot"].set_index(["space", "target"])["inside"]
    assert both.to_dict() == pytest.approx(
        {(space, t): sign for space in ("one", "two") for t, sign in (("a", 1), ("b", -1))}
    )
