"""Networks whose activations are written out, gated, or not of features at all."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.registry import N_CLASSES, Made, labels, network, settle_batchnorm


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, squeeze and excitation, projection: the block of MobileNetV3 and EfficientNet.

    The activation is a hard-swish written out, the gate a hard sigmoid written with relu6.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, hidden, 1, bias=False)
        self.norm = nn.BatchNorm2d(hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden, bias=False)
        self.reduce = nn.Conv2d(hidden, 2, 1)
        self.excite = nn.Conv2d(2, hidden, 1)
        self.project = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = hard_swish(self.norm(self.expand(x)))
        h = hard_swish(self.depthwise(h))
        squeezed = F.relu(self.reduce(h.mean((2, 3), keepdim=True)))
        return x + self.project(h * (F.relu6(self.excite(squeezed) + 3) / 6))


def hard_swish(x: Tensor) -> Tensor:
    """x relu6(x + 3) / 6, as it was written before torch had it."""
    return x * F.relu6(x + 3) / 6


INVERTED_RESIDUALS = ("expand", "depthwise", "reduce", "excite", "project")


@network(
    "inverted_residuals",
    "conv",
    observed=("0.weight", *(f"{b}.{name}.weight" for b in (1, 2) for name in INVERTED_RESIDUALS), "5.weight"),
)
def inverted_residuals() -> Made:
    blocks = (InvertedResidual(4, 6), InvertedResidual(4, 8))
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, N_CLASSES)
    )
    return settle_batchnorm(model), torch.randn(5, 3, 7, 7), labels(5)


class GatedBlock(nn.Module):
    """Attention with a soft cap of its scores and a clamped mask, and a SwiGLU: the block of Gemma 2."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)
        self.gate = nn.Linear(dim, 2 * dim, bias=False)
        self.up = nn.Linear(dim, 2 * dim, bias=False)
        self.down = nn.Linear(2 * dim, dim, bias=False)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        query, key, value = self.qkv(self.norm(x)).chunk(3, -1)
        scores = torch.tanh(query @ key.transpose(1, 2) / 5) * 5
        allowed = mask.clamp(min=0, max=1)[:, None]
        x = x + self.out((scores + (1 - allowed) * -1e4).softmax(-1) @ value)
        h = self.norm(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class GatedTransformer(nn.Module):
    """Two blocks, a head, and a soft cap of the logits."""

    def __init__(self, dim: int = 6) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(GatedBlock(dim) for _ in range(2))
        self.head = nn.Linear(dim, N_CLASSES)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x, mask)
        return torch.tanh(self.head(x.mean(1)) / 3) * 3


GATED_BLOCK = ("qkv", "out", "gate", "up", "down")


@network(
    "gated_transformer",
    "attention",
    observed=(*(f"blocks.{b}.{name}.weight" for b in range(2) for name in GATED_BLOCK), "head.weight"),
)
def gated_transformer() -> Made:
    mask = torch.ones(5, 7)
    mask[1, 4:], mask[3, 0] = 0, 2
    return GatedTransformer(), (torch.randn(5, 7, 6), mask), labels(5)
