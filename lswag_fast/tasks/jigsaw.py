"""The jigsaw puzzle (Noroozi and Favaro, ECCV 2016): the nine tiles of an image, in one of 1,000 orders."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from lswag_fast.errors import InputError

GRID = 3
N_TILES = GRID * GRID
N_PERMUTATIONS = 1000
_CELL, _TILE = 85, 64
"""Pixels of a cell of the grid and of the tile that is cut out of it, as published."""
_APART = 4
"""In how many places two orders differ at least; with any three an order of these is always found."""


@cache
def permutations() -> Tensor:
    """Return the orders (1000, 9) of the tiles, always the same.

    Departure from the benchmark, whose orders are not at hand: they are drawn, each in four or more places another than
    every other (8 of 9 in the mean), where the published ones are chosen to be as far apart as they can.

    Example:
        >>> permutations().shape, sorted(permutations()[7].tolist()) == list(range(9))
        (torch.Size([1000, 9]), True)
    """
    rng = np.random.default_rng(0)
    found = rng.permutation(N_TILES)[None]
    while len(found) < N_PERMUTATIONS:
        drawn = rng.permutation(N_TILES)
        if ((found != drawn).sum(1) >= _APART).all():
            found = np.concatenate([found, drawn[None]])
    return torch.from_numpy(found)


def source_size(image_size: int) -> int:
    """Return the side of the images that puzzles of a side are cut out of: 255 for three tiles of 64 pixels.

    Raises:
        InputError: the side is no multiple of three.

    Example:
        >>> source_size(192)
        255
    """
    if image_size % GRID:
        raise InputError(f"image_size: {image_size} pixels cannot be cut into {GRID} tiles a side")
    return GRID * -(-image_size // GRID * _CELL // _TILE)


def puzzles(
    images: Tensor, labels: Tensor, output_shape: tuple[int, ...], rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Cut images into tiles and put them together in drawn orders.

    A tile is 64 / 85 of a cell of the 3 x 3 grid, at a drawn place in it, so that edges do not tell which tiles were
    neighbours.

    Args:
        images: (B, C, S, S), S of `source_size`.
        labels: are not used.
        output_shape: (1000,).
        rng: draws orders and places.

    Returns:
        The puzzles (B, C, 3 t, 3 t) for tiles of t pixels, and the number (B,) of each one's order.

    Raises:
        InputError: the networks tell another number of orders apart.

    Example:
        >>> inputs, orders = puzzles(torch.rand(2, 3, 12, 12), torch.zeros(2), (1000,), torch.Generator())
        >>> inputs.shape, orders.shape
        (torch.Size([2, 3, 9, 9]), torch.Size([2]))
    """
    if output_shape != (N_PERMUTATIONS,):
        raise InputError(
            f"the task 'jigsaw' wants outputs ({N_PERMUTATIONS},), one for each order of the tiles; the networks give "
            f"{output_shape}"
        )
    cell = images.shape[-1] // GRID
    tile = cell * _TILE // _CELL
    orders = torch.randint(N_PERMUTATIONS, (len(images),), generator=rng, device="cpu")
    places = torch.randint(cell - tile + 1, (len(images), N_TILES, 2), generator=rng, device="cpu")
    out = images.new_empty(len(images), images.shape[1], GRID * tile, GRID * tile)
    for b, order in enumerate(permutations()[orders]):
        for n, source in enumerate(order.tolist()):
            top, left = (cell * at + int(d) for at, d in zip(divmod(source, GRID), places[b, n], strict=True))
            to_top, to_left = (tile * at for at in divmod(n, GRID))
            out[b, :, to_top : to_top + tile, to_left : to_left + tile] = images[
                b, :, top : top + tile, left : left + tile
            ]
    return out, orders
