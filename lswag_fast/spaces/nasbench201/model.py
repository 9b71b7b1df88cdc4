"""The network of a NAS-Bench-201 cell (Dong and Yang, ICLR 2020), in plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from torch import Tensor, nn

from lswag_fast.spaces.layers import IN_CHANNELS, BlockNetwork, Mixture, ReluConvBn, Zero

N_STAGES = 3
N_NODES = 4
OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""The operations of an edge."""
EDGES = tuple((node, source) for node in range(1, N_NODES) for source in range(node))
"""(node, source) of the six edges, in the order in which a cell's string names them."""


def operation(name: str, channels: int) -> nn.Module:
    """The module of an operation of the benchmark, for maps of that many channels."""
    if name == "none":
        return Zero(channels)
    if name == "skip_connect":
        return nn.Identity()
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    return ReluConvBn(channels, channels, {"nor_conv_1x1": 1, "nor_conv_3x3": 3}[name])


def mixture(alive: Sequence[str], channels: int) -> nn.Module:
    """The mean of the operations that are alive on an edge.

    Dead ones are drawn too: the weights of an operation do not depend on which others are alive.
    """
    drawn = {name: operation(name, channels) for name in OPS}
    return Mixture([drawn[name] for name in alive])


class Cell(nn.Module):
    """Four nodes: the first is the input, each further one sums its edges from those before, the last is the output."""

    def __init__(self, edges: Sequence[nn.Module]) -> None:
        super().__init__()
        self.edges = nn.ModuleList(edges)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, C, H, W) to (B, C, H, W)."""
        nodes = [x]
        for node in range(1, N_NODES):
            terms = [edge(nodes[source]) for edge, (to, source) in zip(self.edges, EDGES, strict=True) if to == node]
            nodes.append(cast(Tensor, sum(terms[1:], start=terms[0])))
        return nodes[-1]


class Reduction(nn.Module):
    """The residual block between stages: half the resolution, twice the channels."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(ReluConvBn(in_channels, channels, 3, stride=2), ReluConvBn(channels, channels, 3))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, 2), nn.Conv2d(in_channels, channels, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, C, H, W) to (B, 2 C, H / 2, W / 2)."""
        return cast(Tensor, self.shortcut(x) + self.body(x))


class NasBench201Net(BlockNetwork):
    """Stem, three stages of cells with a reduction between them, BatchNorm, ReLU, global pooling, classifier.

    Args:
        make: the channels of a cell -> the modules of its six edges.
        channels: of the first stage.
        cells_per_stage: cells in each of the three stages.
        num_classes: logits.
    """

    def __init__(
        self, make: Callable[[int], Sequence[nn.Module]], channels: int, cells_per_stage: int, num_classes: int
    ) -> None:
        stem = nn.Sequential(nn.Conv2d(IN_CHANNELS, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        blocks: list[nn.Module] = []
        for stage in range(N_STAGES):
            width = channels << stage
            blocks += [Reduction(width // 2, width)] if stage else []
            blocks += [Cell(make(width)) for _ in range(cells_per_stage)]
        last = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        super().__init__(stem, blocks, last, nn.Linear(width, num_classes))
