"""The order of the images, and the share of each process."""

from __future__ import annotations

import pytest
import torch

from lswag_fast.errors import InputError
from lswag_fast.training.loop.batches import Batches

PAIRS = [(torch.full((1, 2, 2), float(i)), i) for i in range(11)]


def test_an_epoch_sees_each_image_once_but_for_the_rest() -> None:
    batches = Batches(PAIRS, batch_size=4, seed=0)
    for epoch in range(3):
        rows = [row for batch in batches.rows(epoch) for row in batch]
        assert len(rows) == len(set(rows)) == 8
    assert batches.rows(0) != batches.rows(1) != Batches(PAIRS, batch_size=4, seed=1).rows(1)


def test_the_parts_of_the_processes_make_the_whole_batch() -> None:
    whole = Batches(PAIRS, batch_size=4, seed=0).rows(2)
    parts = [Batches(PAIRS, batch_size=4, seed=0, rank=rank, n_processes=2).rows(2) for rank in range(2)]
    assert [a + b for a, b in zip(*parts, strict=True)] == whole


@pytest.mark.parametrize("n_loaders", [0, 1])
def test_a_change_depends_on_the_epoch_and_the_image_alone(n_loaders: int) -> None:
    def noisy(image: torch.Tensor) -> torch.Tensor:
        return image + torch.rand(())

    def seen(epoch: int, first: int = 0, **parts: int) -> dict[int, float]:
        batches = Batches(PAIRS, batch_size=4, seed=0, change=noisy, **parts)
        found = [(images, labels) for images, labels in batches.of_epoch(epoch, first)]
        return {
            int(i): float(image.mean()) for images, labels in found for image, i in zip(images, labels, strict=True)
        }

    whole = seen(0)
    assert seen(0, first=1, n_loaders=n_loaders).items() <= whole.items()
    assert seen(0, rank=1, n_processes=2).items() <= whole.items()
    other = seen(1)
    assert all(whole[i] != other[i] for i in whole.keys() & other.keys())


def test_a_default_device_that_is_not_the_cpu_changes_no_order() -> None:
    batches = Batches(PAIRS, 5, seed=3)
    expected = batches.rows(1)
    with torch.device("meta"):
        assert batches.rows(1) == expected


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="batch_size: 12 is more than the 11 images"):
        Batches(PAIRS, batch_size=12, seed=0)
    with pytest.raises(InputError, match="batch_size: 4 has no 3 equal parts"):
        Batches(PAIRS, batch_size=4, seed=0, n_processes=3)
