"""Layers that networks of several spaces are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

IN_CHANNELS = 3
"""Of the images that the networks take."""


class ReluConvBn(nn.Sequential):
    """ReLU, a convolution without bias that keeps the resolution up to its stride, BatchNorm.

    Example:
        >>> import torch
        >>> ReluConvBn(4, 8, kernel_size=3, stride=2)(torch.zeros(2, 4, 6, 6)).shape
        torch.Size([2, 8, 3, 3])
    """

    def __init__(self, in_channels: int, channels: int, kernel_size: int, stride: int = 1) -> None:
        conv = nn.Conv2d(in_channels, channels, kernel_size, stride, padding=kernel_size // 2, bias=False)
        super().__init__(nn.ReLU(), conv, nn.BatchNorm2d(channels))


class Zero(nn.Module):
    """The operation that cuts an edge: zeros.

    Example:
        >>> import torch
        >>> Zero(8, stride=2)(torch.ones(2, 4, 5, 5)).shape
        torch.Size([2, 8, 3, 3])
    """

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.channels = channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, C, H, W) to zeros (B, channels, H / stride, W / stride), rounded up."""
        height, width = (-(-side // self.stride) for side in x.shape[2:])
        return x.new_zeros(len(x), self.channels, height, width)


class Mixture(nn.Module):
    """The mean of several operations, which are alive on one edge of a supernet.

    Example:
        >>> Mixture([nn.Identity(), Zero(2)])(torch.ones(1, 2, 1, 1)).flatten().tolist()
        [0.5, 0.5]
    """

    def __init__(self, ops: Sequence[nn.Module]) -> None:
        super().__init__()
        self.ops = nn.ModuleList(ops)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, C, H, W) to what each operation maps it to."""
        outputs = [op(x) for op in self.ops]
        return cast(Tensor, sum(outputs[1:], start=outputs[0]) / len(outputs)) if outputs[1:] else outputs[0]


class FactorizedReduction(nn.Module):
    """A skip that changes the shape: ReLU, two 1x1 convolutions whose outputs are joined, BatchNorm.

    The second convolution is shifted by a pixel; the first has channels // 2 outputs, the second the others.

    Example:
        >>> FactorizedReduction(4, 8, stride=2)(torch.zeros(2, 4, 7, 7)).shape
        torch.Size([2, 8, 4, 4])
    """

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        widths = channels // 2, channels - channels // 2
        self.convs = nn.ModuleList(nn.Conv2d(in_channels, width, 1, stride, bias=False) for width in widths)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, C, H, W) to (B, channels, H / stride, W / stride), rounded up."""
        active = F.relu(x)
        shifted = F.pad(active, (0, 1, 0, 1))[:, :, 1:, 1:]
        return cast(Tensor, self.norm(torch.cat([self.convs[0](active), self.convs[1](shifted)], dim=1)))


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of each pixel.

    Example:
        >>> maps = ChannelNorm(4)(torch.randn(2, 4, 3, 3))
        >>> maps.shape, bool(maps.mean(1).abs().max() < 1e-5)
        (torch.Size([2, 4, 3, 3]), True)
    """

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__(channels, eps)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, C, H, W) to the same shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class BlockNetwork(nn.Module):
    """A classifier of images that is a chain: stem, blocks, what follows the last of them, pooling, classifier.

    Example:
        >>> import torch
        >>> conv = nn.Conv2d(3, 4, 3, padding=1)
        >>> network = BlockNetwork(conv, [nn.ReLU()], nn.Identity(), nn.Linear(4, 10))
        >>> network(torch.zeros(2, 3, 8, 8)).shape, len(network.block_features(torch.zeros(2, 3, 8, 8)))
        (torch.Size([2, 10]), 2)
    """

    def __init__(self, stem: nn.Module, blocks: Sequence[nn.Module], last: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.stem = stem
        self.blocks = nn.ModuleList(blocks)
        self.last = last
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to logits (B, num_classes)."""
        return cast(Tensor, self.classifier(self.forward_features(images).mean((2, 3))))

    def forward_features(self, images: Tensor) -> Tensor:
        """The features before pooling, (B, C, H', W')."""
        return cast(Tensor, self.last(self.block_features(images)[-1]))

    def block_features(self, images: Tensor) -> list[Tensor]:
        """The outputs of the stem and of every block, in order."""
        features = [self.stem(images)]
        for block in self.blocks:
            features.append(block(features[-1]))
        return features

    def feature_maps(self, images: Tensor) -> list[Tensor]:
        """All maps before `last`, in order, for a detector to choose from."""
        return self.block_features(images)
