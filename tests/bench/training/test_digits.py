"""`bench.training.digits`: a row says what the command found, and what it was trained by."""

from __future__ import annotations

from bench.training.digits import ARCH, COLUMNS, space, trained
from lswag_fast.training.accuracy import Accuracy


def test_a_row_is_what_the_command_found() -> None:
    row = trained(1, "--epochs", "1")
    assert set(row) | {"date"} == set(COLUMNS)
    assert (row["seed"], row["epochs"], row["n_images"]) == (1, 1, 179)
    assert row["n_params"] == space().n_params(ARCH)
    found = Accuracy(row["correct"], row["n_images"])
    assert (row["test_accuracy"], row["test_low"], row["test_high"]) == (found.value, *found.interval)
    assert row["processor_s"] > 0
