"""Networks whose weights are computed in the forward: their makers must still receive a gradient."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from networks.registry import N_CLASSES, Made, labels, network

WIDTH = 6


@network("weight_norm", "derived", observed=("0.weight", "4.weight"), n_derived=1)
def weight_normed() -> Made:
    model = nn.Sequential(
        nn.Linear(5, WIDTH), nn.ReLU(), weight_norm(nn.Linear(WIDTH, 9)), nn.ReLU(), nn.Linear(9, N_CLASSES)
    )
    return model, torch.randn(6, 5), labels(6)


@network("weight_norm_conv", "derived", "conv", observed=("4.weight",), n_derived=1)
def weight_normed_conv() -> Made:
    model = nn.Sequential(
        weight_norm(nn.Conv2d(3, 5, 3)), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, N_CLASSES)
    )
    return model, torch.randn(5, 3, 6, 6), labels(5)


class InterleavedQkv(nn.Module):
    """Query, key and value rows interleaved in a larger weight and put together by `cat`, as supernets do."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(24, 8) / 3)
        self.head = nn.Linear(WIDTH, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        rows = torch.cat([self.weight[i : 3 * WIDTH : 3, :WIDTH] for i in range(3)])
        query, key, value = F.linear(x, rows).chunk(3, -1)
        mixed = (query @ key.transpose(1, 2)).softmax(-1) @ value
        return self.head(F.gelu(x + mixed).mean(1))


@network("interleaved_qkv", "derived", "attention", observed=("head.weight",), n_derived=1)
def interleaved_qkv() -> Made:
    return InterleavedQkv(), torch.randn(6, 5, WIDTH), labels(6)


class SampleDynamicConv(nn.Module):
    """One kernel per sample, made by a Linear from the mean of its input; samples are folded into the channels.

    The convolution sees (1, B*C, H, W) in B groups, so it has no sample axis; its maker has one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.maker = nn.Linear(4, 5 * 4 * 9)
        self.head = nn.Linear(5, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        n_samples, channels, height, width = x.shape
        kernels = self.maker(x.mean((2, 3))).reshape(n_samples * 5, channels, 3, 3)
        folded = x.reshape(1, n_samples * channels, height, width)
        x = F.conv2d(folded, kernels, padding=1, groups=n_samples).reshape(n_samples, 5, height, width)
        return self.head(F.relu(x).mean((2, 3)))


@network("dynamic_conv_sample", "derived", "conv", observed=("stem.weight", "maker.weight", "head.weight"))
def dynamic_conv_sample() -> Made:
    return SampleDynamicConv(), torch.randn(5, 3, 6, 6), labels(5)


class SharedDynamicConv(nn.Module):
    """One kernel for all samples, made by a Linear from a learned vector: the maker has no sample axis."""

    def __init__(self) -> None:
        super().__init__()
        self.code = nn.Parameter(torch.randn(3))
        self.maker = nn.Linear(3, 4 * 3 * 9)
        self.head = nn.Linear(4, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.maker(self.code).reshape(4, 3, 3, 3)
        return self.head(F.relu(F.conv2d(x, kernel)).mean((2, 3)))


@network("dynamic_conv_shared", "derived", "conv", observed=("head.weight",), skipped=("maker.weight",), n_derived=1)
def dynamic_conv_shared() -> Made:
    return SharedDynamicConv(), torch.randn(6, 3, 6, 6), labels(6)
