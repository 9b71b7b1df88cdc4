"""The accuracy of a network on labelled images, with its interval, and BatchNorm statistics of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from lswag_fast.errors import InputError, NonFiniteOutputError
from lswag_fast.random_state import RandomState, seed_all

BATCH_SIZE = 100
"""Of a small network on a CPU, whose activations then stay in the cache."""


@dataclass(frozen=True)
class Accuracy:
    """How many labelled images a network tells right.

    Attributes:
        correct: images whose largest logit is that of their label.
        n: images in all.

    Example:
        >>> found = Accuracy(correct=90, n=100)
        >>> low, high = found.interval
        >>> found.value, round(low, 3), round(high, 3)
        (0.9, 0.826, 0.945)
    """

    correct: int
    n: int

    @property
    def value(self) -> float:
        """The share of the images that are right."""
        return self.correct / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval of 95 %: what other images of the same kind would give, of this very network."""
        from scipy.stats import binomtest

        found = binomtest(self.correct, self.n).proportion_ci(confidence_level=0.95, method="wilson")
        return float(found.low), float(found.high)


def accuracy(model: nn.Module, dataset: Dataset[Any], batch_size: int = BATCH_SIZE) -> Accuracy:
    """Count the images that a network tells right, in eval mode, on the device where it is.

    The mode of each of its modules is afterwards what it was.

    Args:
        model: images (B, C, H, W) -> logits (B, classes).
        dataset: pairs of an image (C, H, W) and its label; a `TensorDataset` is read by batches at once.
        batch_size: images in a forward pass. It decides the last bits of the logits.

    Raises:
        InputError: there are no images, the outputs are no logits (B, classes), or a label is beyond them.
        NonFiniteOutputError: a logit is NaN or infinite.

    Example:
        >>> images, labels = torch.eye(4), torch.tensor([0, 1, 2, 0])
        >>> accuracy(nn.Identity(), TensorDataset(images, labels))
        Accuracy(correct=3, n=4)
    """
    device, correct, n = _device(model), 0, 0
    with _in_eval_mode(model), torch.inference_mode():
        for images, labels in _batches(dataset, batch_size):
            logits = model(images.to(device))
            check_outputs(logits, labels)
            correct += int((logits.argmax(1).cpu() == labels).sum())
            n += len(labels)
    if n == 0:
        raise InputError("accuracy: there are no images to measure it on")
    return Accuracy(correct, n)


def recalibrate_batch_norm(model: nn.Module, images: Tensor, batch_size: int = BATCH_SIZE) -> None:
    """Replace the running statistics of each BatchNorm by those of some images to train on, equally weighted.

    A network cut out of shared weights has the statistics of whatever was trained before it. One without BatchNorm is
    left as it is, as are the modes of the modules and the random state.

    Args:
        model: is changed in its running statistics.
        images: (N, C, H, W), N at least 2.
        batch_size: images in a forward pass; the statistics are the mean of those of the batches.

    Example:
        >>> model = nn.BatchNorm1d(1)
        >>> recalibrate_batch_norm(model, torch.tensor([[3.0], [5.0]]))
        >>> model.running_mean, model.training
        (tensor([4.]), True)
    """
    batches = [batch for batch in torch.split(images, batch_size) if len(batch) > 1]  # one image has no variance
    state = RandomState()
    seed_all(0)  # of the dropout in train mode
    try:
        update_bn(batches, model, _device(model))
    finally:
        state.restore()


def _device(model: nn.Module) -> torch.device:
    tensors = (tensor for group in (model.parameters(), model.buffers()) for tensor in group)
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


@contextmanager
def _in_eval_mode(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _batches(dataset: Dataset[Any], batch_size: int) -> Iterable[Any]:
    if isinstance(dataset, TensorDataset) and len(dataset):  # `split` makes one batch of no images
        return zip(*(torch.split(tensor, batch_size) for tensor in dataset.tensors), strict=True)
    # A loader draws a seed for its processes, of which there are none: not from the user's generator.
    return DataLoader(dataset, batch_size=batch_size, generator=torch.Generator())


def check_outputs(logits: Any, labels: Tensor) -> None:
    """Refuse outputs that give no accuracy.

    Args:
        logits: what a network returned for some images.
        labels: of the images.

    Raises:
        InputError: the outputs are no logits (B, classes), or a label is beyond them.
        NonFiniteOutputError: a logit is NaN or infinite.

    Example:
        >>> check_outputs(torch.eye(2), torch.tensor([0, 1]))
    """
    if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != len(labels):  # (B, classes)
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(
            f"accuracy: the network returns {found} for {len(labels)} images, expected logits (B, classes)"
        )
    if int(labels.max()) >= logits.shape[1]:
        raise InputError(f"accuracy: found the label {int(labels.max())}, the network has {logits.shape[1]} classes")
    bad = int((~torch.isfinite(logits)).any(1).sum())
    if bad:
        raise NonFiniteOutputError(f"the network's outputs are NaN or infinite for {bad} of {len(labels)} images")
