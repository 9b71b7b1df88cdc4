"""`bench.score.run`: each cell is a row once it is measured, a second run leaves it out, a failure costs no other."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench.csv_file import rows_of
from bench.score import run as score_run
from bench.score.methods import METHODS

Row = dict[str, float | str]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The methods whose times were asked for; `vmap` ends as a process does that is killed for its memory."""
    seen: list[str] = []
    here = score_run.where()

    def measure(what: str, network: str, batch_size: int, method: str, n_rounds: int) -> Row:
        if method == "vmap":
            raise subprocess.CalledProcessError(-9, "bench.score.run")
        if what == "memory":
            return {"peak_rss_mb": 3.0}
        seen.append(method)
        return {"median_s": 1.0, "ratio": 2.0, "n": n_rounds, **here}

    monkeypatch.setattr(score_run, "measure_apart", measure)
    monkeypatch.setattr(score_run, "missing_package", lambda method: None)
    return seen


def test_a_second_run_measures_what_is_missing(tmp_path: Path, measured: list[str]) -> None:
    out = tmp_path / "cells.csv"
    assert score_run.measure_all("whole_score", out, True, ["cells_toy:16:score", "cells_toy:16:loop"], 7) == 0
    assert score_run.measure_all("whole_score", out, True, ["cells_toy:16:loop", "cells_toy:16:unique"], 7) == 0
    assert measured == [row["method"] for row in rows_of(out)] == ["score", "loop", "unique"]
    assert {row["n"] for row in rows_of(out)} == {"7"}


def test_a_cell_that_fails_costs_no_other_its_row(tmp_path: Path, measured: list[str]) -> None:
    out = tmp_path / "cells.csv"
    assert score_run.measure_all("whole_score", out, True, ["cells_toy"], 1) == 1
    assert measured == [row["method"] for row in rows_of(out)] == [method for method in METHODS if method != "vmap"]


def test_the_table_of_whole_scores_has_three_networks() -> None:
    networks = {(network, batch) for network, batch, _ in score_run.cells("whole_score", False, [])}
    assert networks == {("autoformer_s", 32), ("resnet50", 32), ("nasbench201_like", 64)}
