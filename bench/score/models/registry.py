"""What is known of a public network before it is measured: its family, how it is built, its batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

BATCH = 4
N_CLASSES = 10
PUBLIC_MODELS: list[PublicModel] = []

CONVOLUTIONS = "Convolutional networks"
TOKENS = "Vision transformers and mixers"
HYBRIDS = "Convolutions with attention"
DENSE = "Segmentation and video"
ENCODERS = "Language, encoders"
DECODERS = "Language, decoders"
OTHERS = "Sound, several senses"


@dataclass(frozen=True)
class PublicModel:
    """One network of a public library.

    Attributes:
        library: the package that it comes from.
        kind: the table that it is listed in.
        family: the networks that it stands for.
        name: of the network in its library.
        size: of one sample, such as "64 px" or "32 tokens".
        make: builds it, with random weights.
        inputs: makes the inputs of a batch of `BATCH` samples.
        targets: likewise its targets.
        output: the option of `score` that finds the logits.
    """

    library: str
    kind: str
    family: str
    name: str
    size: str
    make: Callable[[], nn.Module]
    inputs: Callable[[], Any]
    targets: Callable[[], Tensor]
    output: Any = None

    @property
    def label(self) -> str:
        """Its name among all."""
        return f"{self.library}/{self.name}"


def images(side: int) -> Callable[[], Tensor]:
    """Gaussian images."""
    return lambda: torch.randn(BATCH, 3, side, side)


def labels() -> Tensor:
    """One class index per sample."""
    return torch.arange(BATCH) % N_CLASSES
