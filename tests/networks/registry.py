"""The registry of small test networks: a name, tags, what a score should observe, and a seeded maker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Made = tuple[nn.Module, Any, Tensor]
Batch = tuple[Any, Tensor]
LossFn = Callable[[Any, Tensor], Tensor]

SEED = 20250507
N_CLASSES = 4


@dataclass(frozen=True)
class Network:
    """One test network and what is expected of a score on it.

    Names are those of `model.named_parameters()`; a shared parameter bears the first of its names.
    """

    name: str
    make: Callable[[], Made]
    tags: frozenset[str]
    observed: tuple[str, ...]  # exactly the leaf parameters whose statistics a score must hold
    skipped: tuple[str, ...] = ()  # parameters that Score.skipped must name (it may name others)
    n_derived: int = 0  # weights computed in the forward (weight norm, cat) observed on the effective tensor
    refused: bool = False  # the whole network is refused by name
    train: bool = False  # scored in train mode
    loss_fn: LossFn | None = None  # one loss per sample, where the output is not logits (B, K) or has no `.logits`

    def build(self, dtype: torch.dtype = torch.float64) -> tuple[nn.Module, Batch]:
        """Return `(model, (inputs, targets))`; float32 and float64 have the same values.

        The caller's random state is left as it was.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            model, inputs, targets = self.make()
        model.to(dtype).train(self.train)
        return model, (cast(inputs, dtype), cast(targets, dtype))


NETWORKS: dict[str, Network] = {}


def network(
    name: str, *tags: str, observed: tuple[str, ...], **expected: Any
) -> Callable[[Callable[[], Made]], Network]:
    """Register the decorated maker under `name`; `expected` are further fields of `Network`."""

    def register(make: Callable[[], Made]) -> Network:
        if name in NETWORKS:
            raise ValueError(f"two test networks are called {name!r}")
        NETWORKS[name] = Network(name, make, frozenset(tags), observed, **expected)
        return NETWORKS[name]

    return register


def select(*wanted: str, without: tuple[str, ...] = ()) -> list[Network]:
    """Return the networks that bear all `wanted` tags and none of `without`, in the order of registration."""
    return [n for n in NETWORKS.values() if n.tags.issuperset(wanted) and n.tags.isdisjoint(without)]


def cast(value: Any, dtype: torch.dtype) -> Any:
    """Cast the floating-point tensors in a tensor, tuple or dict, keeping the memory format."""
    if isinstance(value, Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, Mapping):
        return {key: cast(item, dtype) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(cast(item, dtype) for item in value)
    return value


def labels(n_samples: int) -> Tensor:
    """Class indices (B,), every class present when B >= N_CLASSES."""
    return torch.arange(n_samples) % N_CLASSES


def settle_batchnorm(model: nn.Module) -> nn.Module:
    """Give every BatchNorm statistics and an affine map that differ from the identity, so eval mode is a real test."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return model
