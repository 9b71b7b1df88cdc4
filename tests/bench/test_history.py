"""The history of the speed: a command appends one row, and the file that is kept has its columns."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.csv_file import rows_of
from bench.history import HISTORY, columns
from bench.score.networks import SETTINGS, TINY_SETTINGS

ROOT = Path(__file__).parents[2]


def test_each_run_appends_a_row(tmp_path: Path) -> None:
    out = tmp_path / "history.csv"
    command = [sys.executable, "-m", "bench.history", "--tiny", "--rounds", "1", "--out", str(out)]
    for n_rows in (1, 2):
        subprocess.run(command, cwd=ROOT, check=True)
        rows = rows_of(out)
        assert len(rows) == n_rows
    assert tuple(rows[0]) == columns(TINY_SETTINGS)
    assert rows[0]["cpu"] == rows[1]["cpu"] and rows[0]["lswag_fast"] == rows[1]["lswag_fast"]
    for row in rows:
        for network, setting in TINY_SETTINGS.items():
            assert int(row[f"{network}_batch"]) == max(setting.batch_sizes)
            assert float(row[f"{network}_s"]) > 0 and float(row[f"{network}_ratio"]) > 0


def test_the_history_that_is_kept_has_a_row_for_each_run() -> None:
    rows = rows_of(ROOT / HISTORY)
    assert rows
    for row in rows:
        assert tuple(row) == columns(SETTINGS)
        assert all(row.values())
