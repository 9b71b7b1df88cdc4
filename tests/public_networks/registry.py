"""What the tests know of a public network: how it is built small, its batch, and how much of it is observed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import nn

N_CLASSES = 5
N_SAMPLES = 6
CHANGED_BY = 0.1
"""The standard deviation of what is added to scales and heads that begin constant, see `PublicNetwork.build`."""

PUBLIC_NETWORKS: list[PublicNetwork] = []


@dataclass(frozen=True)
class PublicNetwork:
    """One network of a public library, at a size that is built and scored within a second or two.

    Attributes:
        name: of the network, `library/model`.
        make: builds it.
        inputs: makes the inputs of a batch of `N_SAMPLES` samples in float32.
        targets: likewise its targets.
        options: of its score, such as `output`.
        coverage: the least share of its weight matrices that is observed.
        reason: why that is less than 0.9.
        slow: it takes seconds; left out of the small tier.
    """

    name: str
    make: Callable[[], nn.Module]
    inputs: Callable[[], Any]
    targets: Callable[[], Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    coverage: float = 0.9
    reason: str = ""
    slow: bool = False

    @property
    def library(self) -> str:
        """The library that it comes from."""
        return self.name.partition("/")[0]

    def build(self, dtype: torch.dtype = torch.float32) -> tuple[nn.Module, tuple[Any, Any]]:
        """The network in eval mode, unless `make` left it in train mode on purpose, and its batch.

        Scales that begin as 0 or 1e-6 and heads that begin as 0 are given some values: most layers of a network whose
        branches are switched off have no gradient that could be compared.
        """
        torch.manual_seed(0)
        model = self.make()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                first = parameter.flatten()[0]
                if first != 1 and not name.endswith("bias") and bool((parameter == first).all()):
                    parameter.add_(CHANGED_BY * torch.randn_like(parameter))
        return model.to(dtype), (_as(self.inputs(), dtype), _as(self.targets(), dtype))


def _as(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, dict):
        return {key: _as(item, dtype) for key, item in value.items()}
    return value.to(dtype) if value.is_floating_point() else value


def add(name: str, make: Callable[[], nn.Module], inputs: Callable[[], Any], **settings: Any) -> None:
    """Register a network; the targets are class indices unless they are given."""
    targets = settings.pop("targets", labels)
    PUBLIC_NETWORKS.append(PublicNetwork(name, make, inputs, targets, **settings))


def images(side: int, channels: int = 3) -> Callable[[], torch.Tensor]:
    """Gaussian images."""
    return lambda: torch.randn(N_SAMPLES, channels, side, side)


def labels() -> torch.Tensor:
    """One class index per sample."""
    return torch.arange(N_SAMPLES) % N_CLASSES


def each_network() -> Any:
    """A test of every network; those that take long are tested with the slow tests."""
    return pytest.mark.parametrize(
        "net",
        [pytest.param(n, marks=pytest.mark.slow if n.slow else (), id=n.name) for n in PUBLIC_NETWORKS],
    )
