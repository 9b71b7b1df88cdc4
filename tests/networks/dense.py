"""Networks of plain linear layers: modules, functional and in-place activations, none at all, and own losses."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.registry import N_CLASSES, Made, labels, network


@network("mlp", "dense", observed=("0.weight", "2.weight", "4.weight"))
def mlp() -> Made:
    model = nn.Sequential(nn.Linear(7, 12), nn.ReLU(), nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, N_CLASSES))
    return model, torch.randn(6, 7), labels(6)


@network("mlp_no_bias", "dense", observed=("0.weight", "2.weight"))
def mlp_no_bias() -> Made:
    model = nn.Sequential(nn.Linear(5, 33, bias=False), nn.Tanh(), nn.Linear(33, N_CLASSES, bias=False))
    return model, torch.randn(5, 5), labels(5)


@network("no_activation", "dense", "no_activation", observed=("0.weight", "1.weight"))
def no_activation() -> Made:
    return nn.Sequential(nn.Linear(6, 8), nn.Linear(8, N_CLASSES)), torch.randn(5, 6), labels(5)


class Functional(nn.Module):
    """Linear layers with one activation each, called as functions."""

    def __init__(self, activations: list[Callable[[Tensor], Tensor]], width: int = 10) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in activations)
        self.head = nn.Linear(width, N_CLASSES)
        self.activations = activations

    def forward(self, x: Tensor) -> Tensor:
        for layer, activation in zip(self.layers, self.activations, strict=True):
            x = activation(layer(x))
        return self.head(x)


@network(
    "functional",
    "dense",
    "functional",
    observed=("layers.0.weight", "layers.1.weight", "layers.2.weight", "head.weight"),
)
def functional() -> Made:
    return Functional([F.gelu, F.relu, F.silu]), torch.randn(6, 10), labels(6)


@network(
    "functional_methods",
    "dense",
    "functional",
    observed=("layers.0.weight", "layers.1.weight", "layers.2.weight", "layers.3.weight", "head.weight"),
)
def functional_methods() -> Made:
    activations = [torch.relu, Tensor.relu, lambda x: x.clamp(min=0), torch.tanh]
    return Functional(activations), torch.randn(6, 10), labels(6)


@network(
    "functional_inplace",
    "dense",
    "functional",
    "inplace",
    observed=("layers.0.weight", "layers.1.weight", "head.weight"),
)
def functional_inplace() -> Made:
    return (
        Functional([torch.relu_, lambda x: F.relu(x.view(-1, 2, 5), inplace=True).flatten(1)]),
        torch.randn(6, 10),
        labels(6),
    )


@network("hand_written_gelu", "dense", observed=("layers.0.weight", "head.weight"))
def hand_written_gelu() -> Made:
    return Functional([lambda x: x * torch.sigmoid(1.702 * x)]), torch.randn(5, 10), labels(5)


@network("soft_capped", "dense", "no_activation", observed=("0.weight", "1.weight"))
def soft_capped() -> Made:
    """Nothing but a soft cap of the logits, which is no activation of features."""
    return nn.Sequential(nn.Linear(6, 8), nn.Linear(8, N_CLASSES), nn.Tanh()), torch.randn(5, 6), labels(5)


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """One squared error a sample: (B, K), (B, K) -> (B,)."""
    return (outputs - targets).square().sum(1)


@network("regression", "dense", "loss", observed=("0.weight", "2.weight"), loss_fn=squared_error)
def regression() -> Made:
    return nn.Sequential(nn.Linear(6, 8), nn.ELU(), nn.Linear(8, 2)), torch.randn(8, 6), torch.randn(8, 2)


@network("dropout_eval", "dense", observed=("0.weight", "3.weight"))
def dropout_eval() -> Made:
    model = nn.Sequential(nn.Linear(7, 12), nn.ReLU(), nn.Dropout(0.5), nn.Linear(12, N_CLASSES))
    return model, torch.randn(8, 7), labels(8)


@network("dropout_train", "dense", "random", observed=("0.weight", "3.weight"), train=True)
def dropout_train() -> Made:
    return dropout_eval.make()
