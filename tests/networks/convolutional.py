"""Networks of convolutions: groups, strides, dilation, padding modes, layouts, BatchNorm, residual sums in place."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from networks.registry import N_CLASSES, Made, labels, network, settle_batchnorm

HEAD_AFTER_7 = ("0.weight", "3.weight", "8.weight")


def conv_head(channels: int) -> list[nn.Module]:
    """Global average pooling and a classifier, as the last modules of a Sequential."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, N_CLASSES)]


def batchnorm_cnn() -> nn.Module:
    return settle_batchnorm(
        nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(),
            nn.Conv2d(6, 9, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(9), nn.ReLU(),
            *conv_head(9),
        )
    )  # fmt: skip


@network("cnn_eval", "conv", "batchnorm", observed=HEAD_AFTER_7)
def cnn_eval() -> Made:
    return batchnorm_cnn(), torch.randn(6, 3, 9, 9), labels(6)


@network("cnn_train", "conv", "batchnorm", "coupled", observed=HEAD_AFTER_7, train=True)
def cnn_train() -> Made:
    return batchnorm_cnn(), torch.randn(8, 3, 9, 9), labels(8)


@network("cnn_channels_last", "conv", "batchnorm", "channels_last", observed=HEAD_AFTER_7)
def cnn_channels_last() -> Made:
    model = batchnorm_cnn().to(memory_format=torch.channels_last)
    return model, torch.randn(6, 3, 8, 8).to(memory_format=torch.channels_last), labels(6)


@network("depthwise", "conv", "groups", observed=("0.weight", "2.weight", "4.weight", "8.weight"))
def depthwise() -> Made:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.ReLU6(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.SiLU(),
        nn.Conv2d(8, 12, 1), nn.Hardswish(),
        *conv_head(12),
    )  # fmt: skip
    return model, torch.randn(5, 3, 11, 13), labels(5)


@network("depthwise_multiplier", "conv", "groups", observed=("0.weight", "4.weight"))
def depthwise_multiplier() -> Made:
    return nn.Sequential(nn.Conv2d(4, 12, 3, groups=4), nn.ReLU(), *conv_head(12)), torch.randn(5, 4, 8, 8), labels(5)


@network("grouped", "conv", "groups", "dilation", observed=("0.weight", "2.weight", "4.weight", "8.weight"))
def grouped() -> Made:
    model = nn.Sequential(
        nn.Conv2d(4, 8, (3, 2), stride=(2, 1), padding=(1, 0), groups=2), nn.LeakyReLU(0.1),
        nn.Conv2d(8, 6, 3, dilation=2, padding=(2, 1)), nn.PReLU(6),
        nn.Conv2d(6, 9, 3, dilation=(1, 2), padding=2, groups=3, bias=False), nn.Mish(),
        *conv_head(9),
    )  # fmt: skip
    return model, torch.randn(6, 4, 12, 10), labels(6)


@network("padding_same", "conv", "padding", observed=("0.weight", "2.weight", "6.weight"))
def padding_same() -> Made:
    """Even kernels under "same" are padded on one side more than on the other."""
    model = nn.Sequential(
        nn.Conv2d(3, 5, 4, padding="same"), nn.GELU(),
        nn.Conv2d(5, 6, (2, 3), padding="same", dilation=(1, 2)), nn.CELU(),
        *conv_head(6),
    )  # fmt: skip
    return model, torch.randn(5, 3, 7, 9), labels(5)


@network("padding_modes", "conv", "padding", observed=("0.weight", "2.weight", "4.weight", "8.weight"))
def padding_modes() -> Made:
    model = nn.Sequential(
        nn.Conv2d(2, 5, 3, padding=1, padding_mode="circular"), nn.ReLU(),
        nn.Conv2d(5, 4, 3, padding=2, padding_mode="reflect"), nn.SELU(),
        nn.Conv2d(4, 4, 3, padding="valid"), nn.ReLU(),
        *conv_head(4),
    )  # fmt: skip
    return model, torch.randn(6, 2, 8, 8), labels(6)


@network("conv1d", "conv", observed=("0.weight", "2.weight", "4.weight", "8.weight"))
def conv1d() -> Made:
    model = nn.Sequential(
        nn.Conv1d(3, 8, 5, stride=2, padding=2), nn.ReLU(),
        nn.Conv1d(8, 8, 3, padding="same", dilation=2, groups=4), nn.GELU(),
        nn.Conv1d(8, 6, 2, bias=False), nn.ReLU(),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(6, N_CLASSES),
    )  # fmt: skip
    return model, torch.randn(6, 3, 21), labels(6)


@network("conv_transpose", "conv", observed=("0.weight", "2.weight", "4.weight", "8.weight"))
def conv_transpose() -> Made:
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(),
        nn.ConvTranspose2d(6, 5, 3, stride=2), nn.ReLU(),
        nn.Conv2d(5, 4, 3), nn.ReLU(),
        *conv_head(4),
    )  # fmt: skip
    return model, torch.randn(5, 3, 9, 9), labels(5)


@network("conv3d", "conv", observed=("0.weight", "2.weight", "4.weight", "8.weight"))
def conv3d() -> Made:
    """Volumes, down and up again."""
    model = nn.Sequential(
        nn.Conv3d(2, 6, 3, stride=(1, 2, 2), padding=1), nn.ReLU(),
        nn.Conv3d(6, 4, (2, 1, 3), groups=2, dilation=(2, 1, 1)), nn.GELU(),
        nn.ConvTranspose3d(4, 5, 2, stride=2), nn.ReLU(),
        nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(5, N_CLASSES),
    )  # fmt: skip
    return model, torch.randn(6, 2, 5, 7, 8), labels(6)


@network("autoencoder", "conv", observed=("0.weight", "2.weight", "4.weight", "6.weight", "9.weight"))
def autoencoder() -> Made:
    """Signals through transposed convolutions in groups, dilated and padded at the end."""
    model = nn.Sequential(
        nn.Conv1d(3, 8, 4, stride=2), nn.ReLU(),
        nn.ConvTranspose1d(8, 6, 4, stride=3, padding=1, output_padding=2, groups=2), nn.SiLU(),
        nn.ConvTranspose1d(6, 8, 3, dilation=2, bias=False), nn.ReLU(),
        nn.Conv1d(8, 5, 3), nn.ReLU(),
        nn.Flatten(), nn.LazyLinear(N_CLASSES),
    )  # fmt: skip
    inputs = torch.randn(6, 3, 15)
    model(inputs)  # the lazy layer learns its size
    return model, inputs, labels(6)


class Residual(nn.Module):
    """A basic block that adds in place and ends in an in-place ReLU."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.down = nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.down(x)
        x = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        x += shortcut
        return self.relu(x)


RESNET_WEIGHTS = (
    "0.weight",
    "3.conv1.weight",
    "3.conv2.weight",
    "4.conv1.weight",
    "4.conv2.weight",
    "4.down.weight",
    "7.weight",
)


def small_resnet() -> nn.Module:
    stem = [nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True)]
    return settle_batchnorm(nn.Sequential(*stem, Residual(6, 6, 1), Residual(6, 8, 2), *conv_head(8)))


@network("resnet_eval", "conv", "batchnorm", "inplace", observed=RESNET_WEIGHTS)
def resnet_eval() -> Made:
    return small_resnet(), torch.randn(5, 3, 8, 8), labels(5)


@network("resnet_train", "conv", "batchnorm", "inplace", "coupled", observed=RESNET_WEIGHTS, train=True)
def resnet_train() -> Made:
    return small_resnet(), torch.randn(6, 3, 8, 8), labels(6)
