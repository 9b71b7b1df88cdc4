"""Puzzles: their orders, their tiles, and that the label says the order."""

from __future__ import annotations

import pytest
import torch

from lswag_fast.errors import InputError
from lswag_fast.tasks.jigsaw import permutations, puzzles, source_size


def test_the_orders_are_far_apart() -> None:
    orders = permutations()
    distances = (orders[:, None] != orders[None]).sum(2)
    distances.fill_diagonal_(9)
    assert int(distances.min()) >= 4
    assert all(sorted(order) == list(range(9)) for order in orders.tolist())


def test_tiles_lie_in_the_order_of_the_label() -> None:
    """Each cell of the image is its number; the order that the target names tells which cell lies where."""
    size = source_size(18)
    cells = torch.arange(9.0).view(1, 1, 3, 3).expand(4, 1, 3, 3)
    images = torch.nn.functional.interpolate(cells, size=(size, size))
    inputs, orders = puzzles(images, torch.zeros(4), (1000,), torch.Generator().manual_seed(3))
    assert inputs.shape == (4, 1, 18, 18)
    tiles = inputs.view(4, 3, 6, 3, 6).permute(0, 1, 3, 2, 4).reshape(4, 9, 36)
    assert torch.equal(tiles.long(), permutations()[orders][:, :, None].expand(4, 9, 36))
    assert len(orders.unique()) > 1


def test_tiles_are_cut_at_drawn_places_of_their_cells() -> None:
    size = source_size(192)
    assert size == 255
    images = torch.arange(float(size)).expand(1, 1, size, size)  # a pixel is its column
    inputs, orders = puzzles(images, torch.zeros(1), (1000,), torch.Generator().manual_seed(0))
    for place, source in enumerate(permutations()[orders[0]].tolist()):
        first = int(inputs[0, 0, 64 * (place // 3), 64 * (place % 3)]) - 85 * (source % 3)
        assert 0 <= first <= 21
        assert inputs[0, 0, 64 * (place // 3), 64 * (place % 3) + 63] == 85 * (source % 3) + first + 63


def test_what_is_no_puzzle_is_refused() -> None:
    with pytest.raises(InputError, match="image_size: 32 pixels cannot be cut into 3 tiles a side"):
        source_size(32)
    with pytest.raises(InputError, match=r"the task 'jigsaw' wants outputs \(1000,\).*the networks give \(10,\)"):
        puzzles(torch.zeros(2, 3, 9, 9), torch.zeros(2), (10,), torch.Generator())
