"""Targets of every task: form, range, seed, and the outputs that they refuse."""

from __future__ import annotations

import pytest
import torch

from lswag_fast import tasks
from lswag_fast.errors import InputError
from lswag_fast.tasks.targets import of_each_label

IMAGES, LABELS = torch.rand(4, 3, 20, 20, generator=torch.Generator().manual_seed(0)), torch.tensor([3, 1, 0, 3])


def targets(task: str, *output_shape: int, seed: int = 0) -> torch.Tensor:
    inputs, found = tasks.get(task).batch(IMAGES, LABELS, output_shape, seed)
    assert torch.equal(inputs, IMAGES)
    return found


def test_of_classes() -> None:
    assert torch.equal(targets("classification", 5), LABELS)
    assert torch.equal(targets("multi_label", 5), torch.eye(5)[LABELS])


def test_of_numbers_and_maps() -> None:
    assert targets("regression", 9).shape == (4, 9)
    regions = targets("segmentation", 17, 20, 20)
    assert regions.shape == (4, 20, 20) and regions.dtype == torch.int64
    assert regions.min() >= 0 and regions.max() <= 16 and len(regions.unique()) > 10
    assert (regions[:, :, 1:] == regions[:, :, :-1]).double().mean() > 0.5  # regions, not single pixels


def test_normals_are_unit_vectors_that_face_the_camera() -> None:
    normals = targets("surface_normals", 3, 20, 20)
    torch.testing.assert_close(normals.norm(dim=1), torch.ones(4, 20, 20))
    assert bool((normals[:, 2] >= 0).all()) and bool((normals[:, 0] < 0).any())


def test_an_autoencoder_learns_its_input() -> None:
    found = targets("autoencoding", 3, 20, 20)
    assert (float(found.min()), float(found.max())) == (-1.0, 1.0)
    correlation = torch.corrcoef(torch.stack([found.flatten(), IMAGES.flatten()]))[0, 1]
    torch.testing.assert_close(correlation, torch.tensor(1.0))


@pytest.mark.parametrize(("task", "shape"), [("regression", (9,)), ("segmentation", (5, 20, 20))])
def test_the_seed_decides_what_is_drawn(task: str, shape: tuple[int, ...]) -> None:
    assert torch.equal(targets(task, *shape, seed=1), targets(task, *shape, seed=1))
    assert not torch.equal(targets(task, *shape, seed=1), targets(task, *shape, seed=2))


@pytest.mark.parametrize(
    ("task", "shape", "wanted"),
    [
        ("classification", (17, 20, 20), r"\(C,\)"),
        ("multi_label", (17, 20, 20), r"\(C,\)"),
        ("segmentation", (17, 10, 10), r"\(C, 20, 20\)"),
        ("segmentation", (17,), r"\(C, 20, 20\)"),
        ("surface_normals", (4, 20, 20), r"\(3, 20, 20\)"),
        ("autoencoding", (1, 20, 20), r"\(3, 20, 20\)"),
    ],
)
def test_other_outputs_are_refused(task: str, shape: tuple[int, ...], wanted: str) -> None:
    found = str(shape).replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(
        InputError, match=f"the task '{task}' wants outputs {wanted} for each image; the networks give {found}"
    ):
        targets(task, *shape)


def test_more_labels_than_outputs_are_refused() -> None:
    with pytest.raises(InputError, match="labels run from 0 to 3, the networks have 2 outputs"):
        targets("multi_label", 2)


def test_labels_below_0_are_refused() -> None:
    with pytest.raises(InputError, match="labels run from -1 to 2, the networks have 4 outputs"):
        of_each_label(torch.zeros(2, 3, 8, 8), torch.tensor([2, -1]), (4,), torch.Generator())
