"""What a task hands on to what makes its targets."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

from lswag_fast import tasks
from lswag_fast.errors import InputError
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


@pytest.mark.parametrize("shape", [9, 0, (), (0,), (-1,), (2.5,), (True,), "9", None, np.array([9])], ids=repr)
@pytest.mark.parametrize("task", tasks.names())
def test_what_is_no_shape_of_outputs_is_refused(task: str, shape: Any) -> None:
    images, labels = torch.zeros(2, 3, 12, 12), torch.zeros(2, dtype=torch.int64)
    with pytest.raises(InputError, match=re.escape(f"output_shape: found {shape!r}, expected positive whole numbers")):
        tasks.get(task).batch(images, labels, shape)


def test_whole_numbers_of_any_sequence_are_a_shape() -> None:
    images, labels = torch.zeros(2, 3, 12, 12), torch.zeros(2, dtype=torch.int64)
    for shape in ([np.int64(9)], torch.Size([9])):
        assert tasks.get("regression").batch(images, labels, shape)[1].shape == (2, 9)  # type: ignore[arg-type]
