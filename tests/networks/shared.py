"""Networks that use a parameter more than once, in parts, or through calls that cannot be observed."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.registry import N_CLASSES, Made, labels, network

WIDTH = 8


@network("tied_module", "shared", observed=("0.weight", "2.weight", "6.weight"))
def tied_module() -> Made:
    """One Linear module at two places."""
    shared = nn.Linear(WIDTH, WIDTH)
    layers = [nn.Linear(5, WIDTH), nn.ReLU(), shared, nn.ReLU(), shared, nn.ReLU(), nn.Linear(WIDTH, N_CLASSES)]
    return nn.Sequential(*layers), torch.randn(6, 5), labels(6)


@network("tied_parameter", "shared", observed=("0.weight", "4.weight"))
def tied_parameter() -> Made:
    """Two Linear modules that hold one Parameter."""
    first, second = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
    second.weight = first.weight
    model = nn.Sequential(first, nn.GELU(), second, nn.GELU(), nn.Linear(WIDTH, N_CLASSES))
    return model, torch.randn(5, WIDTH), labels(5)


class CalledTwice(nn.Module):
    """One convolution applied to its own output, on planes of two sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(x))
        x = F.relu(self.conv(F.max_pool2d(x, 2)))
        return self.head(x.mean((2, 3)))


@network("called_twice", "shared", "conv", observed=("conv.weight", "head.weight"))
def called_twice() -> Made:
    return CalledTwice(), torch.randn(6, 4, 6, 6), labels(6)


class Sliced(nn.Module):
    """A layer that uses the top left part of a larger weight, once or twice."""

    def __init__(self, n_calls: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(12, 10) / 3)
        self.head = nn.Linear(WIDTH, N_CLASSES)
        self.n_calls = n_calls

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.n_calls):
            x = F.gelu(F.linear(x, self.weight[:WIDTH, :WIDTH]))
        return self.head(x)


@network("sliced_weight", "views", observed=("weight", "head.weight"))
def sliced_weight() -> Made:
    return Sliced(1), torch.randn(6, WIDTH), labels(6)


@network("sliced_weight_twice", "views", "shared", observed=("weight", "head.weight"))
def sliced_weight_twice() -> Made:
    return Sliced(2), torch.randn(6, WIDTH), labels(6)


class Parts(nn.Module):
    """Query, key and value as three rows ranges of one parameter, given as (start, stop) each."""

    def __init__(self, ranges: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3 * WIDTH, WIDTH) / 3)
        self.head = nn.Linear(WIDTH, N_CLASSES)
        self.ranges = ranges

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (F.linear(x, self.weight[start:stop]) for start, stop in self.ranges)
        mixed = (query @ key.transpose(1, 2)).softmax(-1) @ value
        return self.head(F.relu(x + mixed).mean(1))


@network("disjoint_parts", "views", "pieces", observed=("weight", "head.weight"))
def disjoint_parts() -> Made:
    return Parts(((0, 8), (8, 16), (16, 24))), torch.randn(6, 5, WIDTH), labels(6)


@network("overlapping_parts", "views", observed=("head.weight",), skipped=("weight",))
def overlapping_parts() -> Made:
    return Parts(((0, 8), (4, 12), (16, 24))), torch.randn(6, 5, WIDTH), labels(6)


class TransposedWeight(nn.Module):
    """The weight is stored (I, O) and handed over as a transposed view; an autoencoder also uses it untransposed."""

    def __init__(self, autoencoder: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(5, WIDTH) / 2)
        self.head = nn.Linear(5 if autoencoder else WIDTH, N_CLASSES)
        self.autoencoder = autoencoder

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(F.linear(x, self.weight.t()))
        return self.head(F.relu(F.linear(x, self.weight)) if self.autoencoder else x)


@network("transposed_weight", "views", observed=("weight", "head.weight"))
def transposed_weight() -> Made:
    return TransposedWeight(autoencoder=False), torch.randn(6, 5), labels(6)


@network("tied_autoencoder", "views", "shared", observed=("weight", "head.weight"))
def tied_autoencoder() -> Made:
    """A weight and its transpose are two views of the same elements."""
    return TransposedWeight(autoencoder=True), torch.randn(6, 5), labels(6)


class LanguageModel(nn.Module):
    """Token ids -> embedding -> mixer -> logits of the vocabulary by the embedding's own weight, or by a head."""

    def __init__(self, tied: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(N_CLASSES, WIDTH)
        self.inner = nn.Linear(WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, N_CLASSES, bias=False)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids)
        return self.head((x + F.gelu(self.inner(x))).mean(1))


def token_ids(n_samples: int, n_tokens: int) -> Tensor:
    return torch.randint(0, N_CLASSES, (n_samples, n_tokens))


@network("tied_embedding", "shared", "ids", observed=("embedding.weight", "inner.weight"))
def tied_embedding() -> Made:
    return LanguageModel(tied=True), token_ids(6, 5), labels(6)


@network("embedding", "ids", observed=("embedding.weight", "inner.weight", "head.weight"))
def embedding() -> Made:
    return LanguageModel(tied=False), token_ids(6, 7), labels(6)
