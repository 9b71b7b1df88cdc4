"""The networks that are measured, and two tiny ones to check that every benchmark runs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.score import resnet

SEED = 0
N_NOISE, NOISE_SIZE = 8, 128  # the images for the statistics of BatchNorms

# The cell |nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|:
# (to, from) of the edges that are convolutions; the edge from node 0 to node 3 is the identity.
CELL_CONV_EDGES = ((1, 0), (2, 0), (2, 1), (3, 1), (3, 2))
CELL_NODES = 4


class ReluConvBn(nn.Sequential):
    """ReLU, convolution without bias, BatchNorm: the operation `nor_conv_3x3`."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        conv = nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False)
        super().__init__(nn.ReLU(), conv, nn.BatchNorm2d(channels))


class Cell(nn.Module):
    """Four nodes; each sums its edges from the nodes before it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleDict({f"{to}<-{start}": ReluConvBn(channels, channels) for to, start in CELL_CONV_EDGES})

    def forward(self, x: Tensor) -> Tensor:
        nodes = [x]
        for to in range(1, CELL_NODES):
            terms = [self.edges[f"{to}<-{start}"](nodes[start]) for t, start in CELL_CONV_EDGES if t == to]
            terms += [x] if to == CELL_NODES - 1 else []
            nodes.append(functools.reduce(torch.add, terms))
        return nodes[-1]


class Reduction(nn.Module):
    """The residual block between stages: two convolutions, the first with stride 2, beside a pooled 1x1 shortcut."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(ReluConvBn(in_channels, channels, 2), ReluConvBn(channels, channels))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, 2), nn.Conv2d(in_channels, channels, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.body(x)


class CellNetwork(nn.Sequential):
    """Stem, cells and reductions, head; gives the features that some proxies look at."""

    N_HEAD_LAYERS = 3  # pooling, flatten, classifier

    def forward_features(self, x: Tensor) -> Tensor:
        """The features before pooling (B, C, H, W)."""
        for layer in list(self)[: -self.N_HEAD_LAYERS]:
            x = layer(x)
        return x

    def block_features(self, x: Tensor) -> list[Tensor]:
        """The output of every cell, in order."""
        features = []
        for layer in list(self)[: -self.N_HEAD_LAYERS]:
            x = layer(x)
            if isinstance(layer, Cell):
                features.append(x)
        return features


def cell_network(channels: int = 16, cells_per_stage: int = 5, n_classes: int = 10) -> nn.Module:
    """A network of the NAS-Bench-201 shape (Dong and Yang, ICLR 2020), 1,288,506 parameters with the default sizes."""
    layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)]
    for stage in range(3):
        width = channels * 2**stage
        layers += [Reduction(width // 2, width)] if stage else []
        layers += [Cell(width) for _ in range(cells_per_stage)]
    layers += [nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, n_classes)]
    return CellNetwork(*layers)


def autoformer_s() -> nn.Module:
    """An Autoformer-S sub-network: 22,005,544 parameters, 224 px, 1000 classes."""
    from lswag_fast.spaces import AutoFormer

    depth = 13
    arch = {"embed_dim": 384, "depth": depth, "num_heads": [6] * depth, "mlp_ratio": [3.5] * depth}
    return AutoFormer("small").build(arch)


def autoformer_s_published() -> nn.Module:
    """The same sub-network with its attention in the form of the published code."""
    from bench.score.published_attention import with_published_attention

    return with_published_attention(autoformer_s())


def resnet50() -> nn.Module:
    """ResNet-50: 25,557,032 parameters, its BatchNorms with the statistics of noise.

    With the statistics that it begins with, eval mode lets the features grow from block to block until the softmax
    saturates, and the gradients of most samples vanish.
    """
    model = resnet.resnet50()
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.randn(N_NOISE, 3, NOISE_SIZE, NOISE_SIZE))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return model


def of_timm(name: str) -> nn.Module:
    """A network of timm, untrained."""
    from bench.score.models.libraries import library

    return library("timm").create_model(name)  # type: ignore[no-any-return]


def autoformer_toy() -> nn.Module:
    """Two blocks of width 64 on 32 px: runs in milliseconds."""
    from lswag_fast.spaces import AutoFormer

    space = AutoFormer(
        embed_dim=(64,),
        depth=(2,),
        num_heads=(1,),
        mlp_ratio=(2.0,),
        image_size=32,
        patch_size=8,
        num_classes=10,
    )
    return space.build({"embed_dim": 64, "depth": 2, "num_heads": [1, 1], "mlp_ratio": [2.0, 2.0]})


@dataclass(frozen=True)
class Setting:
    """A network with the batch it is measured on."""

    build_network: Callable[[], nn.Module]
    image_size: int
    n_classes: int
    batch_sizes: tuple[int, ...]

    def build(self) -> nn.Module:
        """The network in eval mode (BatchNorm must not couple the samples), the same weights every time."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            return self.build_network().eval()

    def batch(self, batch_size: int) -> tuple[Tensor, Tensor]:
        """Seeded noise (B, 3, H, H) and labels (B,): the time does not depend on what the images show."""
        generator = torch.Generator().manual_seed(SEED)
        images = torch.randn(batch_size, 3, self.image_size, self.image_size, generator=generator)
        return images, torch.randint(self.n_classes, (batch_size,), generator=generator)


SETTINGS: dict[str, Setting] = {
    "autoformer_s": Setting(autoformer_s, 224, 1000, (8, 32)),
    "autoformer_s_published": Setting(autoformer_s_published, 224, 1000, (8, 32)),
    "nasbench201_like": Setting(cell_network, 32, 10, (64,)),
}
RESNET = {"resnet50": Setting(resnet50, 224, 1000, (32,))}
DEPTHWISE = ("resnet18", "efficientnet_b0", "mobilenetv3_large_100", "convnext_atto")
"""Of timm: one without depthwise convolutions, and three of them, whose layers are many and small."""
OF_TIMM = {name: Setting(functools.partial(of_timm, name), 64, 1000, (16,)) for name in DEPTHWISE}
TINY_SETTINGS: dict[str, Setting] = {
    "autoformer_toy": Setting(autoformer_toy, 32, 10, (16,)),
    "cells_toy": Setting(lambda: cell_network(4, 1), 16, 10, (16,)),
}
WHOLE_SCORE: dict[str, tuple[int, ...]] = {"autoformer_s": (32,), "resnet50": (32,), "nasbench201_like": (64,)}
"""The networks of the table of whole scores, and their batch sizes."""
ALL_SETTINGS = SETTINGS | RESNET | OF_TIMM | TINY_SETTINGS
