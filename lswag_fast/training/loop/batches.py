"""The batches of a training: in which order images are seen, and which of them a process sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lswag_fast.errors import InputError
from lswag_fast.training.loop.augmentation import ChangedImages, ImageChange
from lswag_fast.training.loop.seeds import derived_seed


@dataclass(frozen=True)
class Batches:
    """Batches of images in an order that depends on the seed and the epoch alone.

    The images that are left over in an epoch, fewer than a batch, are left out of it.

    Args:
        images: pairs of an image (C, H, W) and its label.
        batch_size: images in a batch, over all processes.
        seed: of the order.
        change: what is done to each image; None for nothing.
        rank: which of the processes this is.
        n_processes: each takes an equal part of every batch.
        n_loaders: processes that read images ahead; 0: they are read in this one.

    Raises:
        InputError: there are fewer images than in a batch, or the batch has no equal parts.

    Example:
        >>> pairs = [(torch.full((1, 1, 1), float(i)), i) for i in range(5)]
        >>> batches = Batches(pairs, batch_size=2, seed=0)
        >>> len(batches), [labels.tolist() for _, labels in batches.of_epoch(0)]
        (2, [[2, 4], [3, 0]])
    """

    images: Any
    batch_size: int
    seed: int
    change: ImageChange | None = None
    rank: int = 0
    n_processes: int = 1
    n_loaders: int = 0

    def __post_init__(self) -> None:
        if len(self.images) < self.batch_size:
            raise InputError(
                f"batch_size: {self.batch_size} is more than the {len(self.images)} images to train on; "
                "take a smaller one"
            )
        if self.batch_size % self.n_processes:
            raise InputError(f"batch_size: {self.batch_size} has no {self.n_processes} equal parts, one per process")

    def __len__(self) -> int:
        return len(self.images) // self.batch_size

    def rows(self, epoch: int) -> list[list[int]]:
        """Return the indices of this process's images in each batch of an epoch."""
        generator = torch.Generator().manual_seed(derived_seed(self.seed, "order", epoch))
        order = torch.randperm(len(self.images), generator=generator, device="cpu")[: len(self) * self.batch_size]
        parts = order.view(len(self), self.n_processes, -1)  # (batches, processes, images)
        return parts[:, self.rank].tolist()

    def of_epoch(self, epoch: int, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of an epoch from number `first` on: images (B, C, H, W) and labels (B,)."""
        images = self.images
        if self.change is not None:
            images = ChangedImages(images, self.change, self.seed, epoch)
        loader = DataLoader(images, batch_sampler=self.rows(epoch)[first:], num_workers=self.n_loaders)
        yield from loader
