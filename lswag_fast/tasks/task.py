"""What a task is."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lswag_fast.errors import InputError

Shape = tuple[int, ...]
Maker = Callable[[Tensor, Tensor, Shape, torch.Generator], tuple[Tensor, Tensor]]
"""`(images, labels, output_shape, generator)` -> (inputs, targets)."""


@dataclass(frozen=True)
class Task:
    """What networks are to learn: targets, loss and metric.

    Attributes:
        name: e.g. "segmentation".
        summary: in words, for a person.
        loss: name of its loss, see `LOSSES`; "cross_entropy" is the default loss of a score.
        targets: what a batch made of images has for targets, in words.
        make: makes inputs and targets of images (B, C, H, W) and their labels.
        metric: outputs and targets of a batch -> a number; higher is better.
        metric_name: of the metric.
        aliases: further names, those of TransNAS-Bench-101.
        source_size: the side of inputs in pixels -> that of the images which they are made of.

    Example:
        >>> from lswag_fast import tasks
        >>> task = tasks.get("segmentation")
        >>> task.loss, task.metric_name, task.aliases
        ('cross_entropy', 'mean IoU', ('segmentsemantic',))
    """

    name: str
    summary: str
    loss: str
    targets: str
    make: Maker
    metric: Callable[[Tensor, Tensor], float]
    metric_name: str
    aliases: tuple[str, ...] = ()
    source_size: Callable[[int], int] = int

    def batch(self, images: Tensor, labels: Tensor, output_shape: Shape, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Make inputs and targets of images, those that the networks of this task take.

        Args:
            images: (B, C, H, W), of any range, their side as `source_size` says.
            labels: (B,) classes of the images.
            output_shape: what the networks give for one image.
            seed: of what is drawn.

        Raises:
            InputError: networks of this task give outputs of another shape, or `output_shape` is none.

        Example:
            >>> from lswag_fast import tasks
            >>> images, labels = torch.rand(2, 3, 8, 8), torch.tensor([3, 1])
            >>> inputs, targets = tasks.get("segmentation").batch(images, labels, (17, 8, 8))
            >>> inputs is images, targets.shape, targets.dtype
            (True, torch.Size([2, 8, 8]), torch.int64)
        """
        return self.make(images, labels, _checked(output_shape), torch.Generator().manual_seed(seed))


def _checked(shape: object) -> Shape:
    """A shape of at least one axis; drawn targets would take many another value in their own way."""
    lengths = shape if isinstance(shape, (list, tuple)) else ()
    whole = [int(n) for n in lengths if isinstance(n, numbers.Integral) and not isinstance(n, bool) and int(n) >= 1]
    if not lengths or len(whole) != len(lengths):
        raise InputError(f"output_shape: found {shape!r}, expected positive whole numbers")
    return tuple(whole)
