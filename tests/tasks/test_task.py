"""What a task hands on to what makes its targets."""

from __future__ import annotations

import torch

from lswag_fast import tasks
from lswag_fast.tasks.task import Task


def test_the_generator_is_that_of_the_seed_and_the_global_one_is_left() -> None:
    told: list[float] = []

    def make(images, labels, output_shape, generator):
        told.append(float(torch.rand(1, generator=generator)))
        return images, labels

    def metric(outputs: torch.Tensor, targets: torch.Tensor) -> float:
        return 0.0

    task = Task("own", "a task", "mse", "none", make, metric, "none")
    before = torch.get_rng_state()
    task.batch(torch.zeros(1), torch.zeros(1), (1,), seed=7)
    assert told == [float(torch.rand(1, generator=torch.Generator().manual_seed(7)))]
    tasks.get("regression").batch(torch.zeros(1), torch.zeros(1), (1,))
    assert torch.equal(torch.get_rng_state(), before)
