"""`bench.training.inherited_speed`: which images are measured on, and what a row counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.training.inherited_speed import job_of, measured
from lswag_fast.score_job import ScoreJob

TEST_LABELS = [1] * 11 + [0]


@pytest.fixture
def job(tmp_path: Path) -> ScoreJob:
    rng = np.random.default_rng(0)
    pixels = {f"x_{part}": rng.integers(0, 255, (n, 3, 32, 32), np.uint8) for part, n in (("train", 40), ("test", 12))}
    np.savez(tmp_path / "images.npz", **pixels, y_train=np.arange(40) % 2, y_test=np.array(TEST_LABELS))
    return job_of(tmp_path / "images.npz")


def test_networks_are_measured_on_the_test_images_of_the_file(job: ScoreJob) -> None:
    assert sorted(job.batch[1].tolist()) == sorted(TEST_LABELS) and len(job.batch[0]) == len(TEST_LABELS)
    assert job.n_threads == 1


def test_a_row_counts_networks_and_seconds(job: ScoreJob) -> None:
    row = measured(job, n=2, n_workers=1)
    assert row["networks_per_min"] == pytest.approx(60 * 2 / row["seconds"])
    assert row["processor_s"] > 0
