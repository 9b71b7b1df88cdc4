"""ResNet-50 (He et al., CVPR 2016) in torch alone, with the stride in the 3x3 convolutions as torchvision has it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

STEM_CHANNELS = 64
WIDENING = 4  # of a block's output, compared with its 3x3 convolution
STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # width, blocks, stride of the first


class ConvBn(nn.Sequential):
    """Convolution without bias, BatchNorm; the size of the planes changes by the stride alone."""

    def __init__(self, in_channels: int, channels: int, side: int, stride: int = 1) -> None:
        conv = nn.Conv2d(in_channels, channels, side, stride=stride, padding=side // 2, bias=False)
        super().__init__(conv, nn.BatchNorm2d(channels))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut, which is a 1x1 convolution where the shape changes."""

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        channels = WIDENING * width
        self.body = nn.Sequential(
            ConvBn(in_channels, width, 1),
            nn.ReLU(inplace=True),
            ConvBn(width, width, 3, stride),
            nn.ReLU(inplace=True),
            ConvBn(width, channels, 1),
        )
        self.shortcut = nn.Identity() if in_channels == channels else ConvBn(in_channels, channels, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x), inplace=True)


def resnet50(n_classes: int = 1000) -> nn.Module:
    """25,557,032 parameters with 1000 classes; convolutions begin normal, by fan-out, the rest as torch has it."""
    layers: list[nn.Module] = [ConvBn(3, STEM_CHANNELS, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, padding=1)]
    in_channels = STEM_CHANNELS
    for width, n_blocks, stride in STAGES:
        for block in range(n_blocks):
            layers.append(Bottleneck(in_channels, width, 1 if block else stride))
            in_channels = WIDENING * width
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(in_channels, n_classes))
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model
