"""What TensorBoard is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from lswag_fast.training.loop.tensorboard import TensorBoard


def test_a_point_of_each_number_per_epoch(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    board = TensorBoard(tmp_path)
    board.began(0, 4)
    for epoch in (1, 2):
        board.stepped(2 * epoch, 0.5, 100.0)
        board.ended_epoch({"epoch": epoch, "loss": 1 / epoch, "lr": 0.25})
    board.close()
    found = accumulator.EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in found.Scalars("loss")] == [(1, 1.0), (2, 0.5)]
    assert sorted(found.Tags()["scalars"]) == ["loss", "lr"]
