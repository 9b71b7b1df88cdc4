"""A network of a library, and what it wants to be fed."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from lswag_fast.errors import InputError, needs_extra

IMAGE_SIZE = 224
"""Side of the images of a network whose configuration names none."""
N_NEAREST = 3
"""Names that are shown in the place of one that does not exist."""


@dataclass(frozen=True)
class ImageInputs:
    """Square images, as a network's configuration describes them.

    Attributes:
        size: their side in pixels.
        channels: their channels.

    Example:
        >>> ImageInputs(size=32).channels
        3
    """

    size: int = IMAGE_SIZE
    channels: int = 3


@dataclass(frozen=True)
class TokenInputs:
    """Rows of token indices, as a network's configuration describes them.

    Attributes:
        vocabulary: number of different tokens.
        length: tokens in a row.
        padding: the token that stands for nothing, which is never drawn; None without one.
        per_token: whether each token has a target, rather than each row.
        is_masked: of a language model, whether it tells hidden tokens rather than the next one of each; None of any
            other network.

    Example:
        >>> inputs, targets = TokenInputs(vocabulary=100, length=16).draw(4, num_classes=2)
        >>> inputs.shape, targets.shape
        (torch.Size([4, 16]), torch.Size([4]))
    """

    vocabulary: int
    length: int
    padding: int | None = None
    per_token: bool = False
    is_masked: bool | None = None

    def draw(self, batch_size: int, num_classes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Return random tokens (batch_size, length) and random targets, a class for each row or each token."""
        generator = torch.Generator().manual_seed(seed)
        shape = (batch_size, self.length)
        if self.padding is None or not 0 <= self.padding < self.vocabulary:
            tokens = torch.randint(self.vocabulary, shape, generator=generator, device="cpu")
        else:
            tokens = torch.randint(self.vocabulary - 1, shape, generator=generator, device="cpu")
            tokens += tokens >= self.padding
        of_targets = shape if self.per_token else shape[:1]
        return tokens, torch.randint(num_classes, of_targets, generator=generator, device="cpu")


@dataclass(frozen=True)
class NamedNetwork:
    """A network of a library with random weights, and what it wants to be fed.

    Attributes:
        model: the network, in train mode.
        inputs: what it takes.
        num_classes: how many classes it tells apart.

    Example:
        >>> NamedNetwork(nn.Flatten(), ImageInputs(size=8), num_classes=192).inputs.size
        8
    """

    model: nn.Module
    inputs: ImageInputs | TokenInputs
    num_classes: int


def library(name: str) -> ModuleType:
    """Import a library, which has an extra of its own name.

    Raises:
        MissingExtraError: it is not installed.
        InputError: it is, and cannot be loaded, mostly because it was built for another torch.
    """
    try:
        with needs_extra(name, name):
            return import_module(name)
    except RuntimeError as error:
        raise unloadable(name, error) from error


def unloadable(library: str, error: BaseException) -> InputError:
    """Return the error of a library that is installed and cannot be loaded."""
    text = " ".join(str(error).split())
    return InputError(
        f"{library} cannot be loaded beside torch {torch.__version__} ({text}); install the builds of torch and "
        "torchvision that belong together, both from the same index: beside a torch for CPUs a torchvision for CPUs"
    )


def unknown_name(library: str, name: str, known: Collection[str]) -> InputError:
    """Return the error of a name that a library does not have; it gives the nearest ones."""
    return InputError(f"{library} has no classifier of images named {name!r}{nearest(name, known)}")


def nearest(name: str, known: Collection[str]) -> str:
    """Return the end of a sentence that gives the names nearest to an unknown one.

    Example:
        >>> nearest("resnet19", ["resnet18", "vgg11"]), nearest("x", ["resnet18", "vgg11"])
        ('; the nearest are resnet18', ' among its 2')
    """
    near = difflib.get_close_matches(name, known, n=N_NEAREST)
    return f"; the nearest are {', '.join(near)}" if near else f" among its {len(known):,}"


def square(library: str, name: str, size: Any) -> int:
    """Return the side of the images that a configuration describes by one number or by height and width.

    Raises:
        InputError: they are not square.
    """
    sides = {int(side) for side in (size if isinstance(size, (list, tuple)) else [size])}
    if len(sides) != 1:
        raise InputError(
            f"{library}:{name} takes images of {' x '.join(map(str, size))} pixels, and only square ones can be drawn "
            "here; give a side with --image-size, or score it in Python"
        )
    return sides.pop()
