"""The progress of a training where stderr is no terminal."""

from __future__ import annotations

import pytest

from lswag_fast.cli.training.progress import TrainingProgress


def test_says_loss_speed_and_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingProgress(plain_line_s=0.0) as progress:
        progress.began(5, 20)
        progress.stepped(10, 1.25, 1234.5)
        progress.ended_epoch({"epoch": 1, "loss": 1.25})
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "continuing after step 5 of 20"
    assert lines[1].startswith("10/20 steps, loss 1.2500, 1,234 images per second, ") and lines[1].endswith(" left")


def test_is_quiet_for_a_while(capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingProgress(plain_line_s=1000.0) as progress:
        progress.began(0, 20)
        progress.stepped(10, 1.25, 1234.5)
    assert capsys.readouterr().err == ""
